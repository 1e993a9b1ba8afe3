import { X509Certificate } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { SealiftError, systemCode } from '../../errors.ts';
import { alternativeName } from '../certificate-names.ts';
import { localFileError } from '../local-file-error.ts';
import { certificatesIn } from '../pem.ts';
import { readPrivateFile, writePrivateFile } from '../private-file.ts';
import type { Authority } from './authority.ts';

/** Where the certificate of a name is kept. */
export interface LeafFiles {
  /** The name, as a file can bear it: `_` stands for `*` and `:`. */
  name: string;
  /** The certificate and, behind it, that of the authority. */
  certificate: string;
  key: string;
  /** A directory with every certificate that was ever issued for the name, each under its serial number: to revoke one means to revoke all that are still valid. */
  issued: string;
}

/** The files for a name, which need not exist. Throws `invalid-argument` if no file can be called so. */
export function leafFiles(directory: string, name: string): LeafFiles {
  const fileName = fileNameOf(name);
  if (fileName === undefined) {
    throw new SealiftError('invalid-argument', `No file can be named after ${JSON.stringify(name)}.`, {
      hint: 'The files are named after the first name: give another one first.',
    });
  }
  return {
    name: fileName,
    certificate: join(directory, `${fileName}.pem`),
    key: join(directory, `${fileName}.key`),
    issued: join(directory, ISSUED, fileName),
  };
}

/** The files of a certificate that was issued for `name`, however it is written; undefined if there is none. */
export async function findLeaf(directory: string, name: string): Promise<LeafFiles | undefined> {
  const spellings = new Set([name, alternativeName(name)?.value ?? name]);
  for (const spelling of spellings) {
    if (fileNameOf(spelling) === undefined) continue;
    const files = leafFiles(directory, spelling);
    if ((await readPrivateFile(files.certificate)) !== undefined) return files;
    if ((await issuedCertificates(files)).length > 0) return files;
  }
  return undefined;
}

/** The names for which certificates were issued, as files bear them. */
export function issuedNames(directory: string): Promise<string[]> {
  return namesIn(join(directory, ISSUED));
}

/** Every certificate that was issued for the name, in no order. */
export async function issuedCertificates({ issued }: LeafFiles): Promise<X509Certificate[]> {
  const files = (await namesIn(issued)).filter((name) => name.endsWith('.pem'));
  const certificates = await Promise.all(files.map((name) => leafIn(join(issued, name))));
  return certificates.filter((each) => each !== undefined);
}

/** The first certificate of a file; undefined if there is no file. */
export async function leafIn(file: string): Promise<X509Certificate | undefined> {
  const text = await readPrivateFile(file);
  return text === undefined ? undefined : certificatesIn(text, file)[0];
}

/**
 * Writes a certificate (PEM), and its key if that is new. First of all it is noted as issued, so that nothing is ever
 * in use that cannot be revoked; the certificate comes last. A crash before leaves the new key with the old
 * certificate, or with none; issuing and renewing then go on with that key.
 */
export async function writeLeaf(
  { pem, random }: Authority,
  files: LeafFiles,
  leaf: string,
  key: string | undefined,
): Promise<X509Certificate> {
  const certificate = new X509Certificate(leaf);
  await writePrivateFile(join(files.issued, `${certificate.serialNumber}.pem`), leaf, random);
  if (key !== undefined) await writePrivateFile(files.key, key, random);
  await writePrivateFile(files.certificate, leaf + pem, random);
  return certificate;
}

const ISSUED = 'issued';
/** Of the 255 bytes that file systems allow, what an ending leaves. */
const MAX_FILE_NAME = 251;

function fileNameOf(name: string): string | undefined {
  const fileName = name.replaceAll(/[*:]/g, '_');
  const isSafe = /^[A-Za-z0-9_][A-Za-z0-9_.@-]*$/.test(fileName) && fileName.length <= MAX_FILE_NAME;
  return isSafe && fileName.toLowerCase() !== 'ca' ? fileName : undefined;
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw localFileError('read', directory, error);
  }
}
