import { createPublicKey, X509Certificate, type KeyObject } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { Clock } from '../../clock.ts';
import { SealiftError } from '../../errors.ts';
import type { Random } from '../../random.ts';
import { shellWord } from '../../shell-word.ts';
import { isCommonName } from '../certificate-names.ts';
import { withFileLock } from '../file-lock.ts';
import { certificatesIn } from '../pem.ts';
import { assertPrivate, makePrivateDirectory, readPrivateFile, writePrivateFile } from '../private-file.ts';
import { isEncryptedKey, newKey, signerKey } from '../private-key.ts';
import { renewedCertificate, signedCertificate } from '../signed-certificate.ts';
import { assertDays, validFor } from '../validity.ts';
import { signedCrl } from './signed-crl.ts';

/** A private certificate authority, which lives in a directory: `ca.pem`, `ca.key`, `ca.crl` and what it issued. */
export interface Authority {
  readonly directory: string;
  readonly certificate: X509Certificate;
  /** Its certificate in PEM. */
  readonly pem: string;
  readonly key: KeyObject;
  readonly clock: Clock;
  readonly random: Random;
}

/** Where an authority keeps what is its own. */
export interface AuthorityFiles {
  certificate: string;
  key: string;
  crl: string;
}

/** A command for the authority in `directory`, as a shell takes it from anybody, whatever their configuration says. */
export function certCommand(words: string, directory: string): string {
  return `sealift cert ${words} --dir ${shellWord(directory)}`;
}

/** The files of the authority in `directory`, which need not exist. */
export function authorityFiles(directory: string): AuthorityFiles {
  const at = (name: string) => join(directory, name);
  return { certificate: at('ca.pem'), key: at('ca.key'), crl: at('ca.crl') };
}

export interface NewAuthority {
  /** Its common name. */
  name: string;
  days: number;
  /** How long its list of revoked certificates, which begins empty, stays up to date. */
  crlDays: number;
  /** Encrypts its key. Default: nothing but the mode of the file protects it. */
  passphrase?: string | undefined;
}

type Services = Pick<Authority, 'clock' | 'random'>;

/**
 * Makes an authority in `directory`. Its certificate is written last: it says that the rest is there. Throws
 * `local-exists` where there is one already, or the key of one, and `invalid-argument` for a name that no
 * certificate can bear.
 */
export async function createAuthority(
  directory: string,
  { name, days, crlDays, passphrase }: NewAuthority,
  { clock, random }: Services,
): Promise<Authority> {
  if (!isCommonName(name)) {
    throw new SealiftError(
      'invalid-argument',
      `${JSON.stringify(name)} is no name for a CA: 1 to 64 characters.`,
    );
  }
  const validity = validFor(days, clock);
  assertDays(crlDays);
  const files = authorityFiles(directory);
  await makePrivateDirectory(directory);
  return exclusively({ directory, clock, random }, async () => {
    for (const file of [files.certificate, files.key]) await assertAbsent(file);
    const keyText = newKey(passphrase);
    const key = signerKey(keyText, files.key, passphrase);
    const content = { subject: name, publicKey: createPublicKey(key), validity, usages: [] };
    const pem = await signedCertificate(content, { key }, random);
    const authority = { directory, certificate: new X509Certificate(pem), pem, key, clock, random };
    const crl = await signedCrl({ number: 1n, revoked: [], days: crlDays }, authority);
    try {
      await writePrivateFile(files.key, keyText, random);
      await writePrivateFile(files.crl, crl, random);
      await writePrivateFile(files.certificate, pem, random);
    } catch (error) {
      // Nobody has anything from it yet. Left behind, its key would stand in the way of the next attempt.
      for (const file of [files.certificate, files.crl, files.key]) await rm(file, { force: true });
      throw error;
    }
    return authority;
  });
}

/**
 * The authority in `directory`. `passphrase` is asked only if its key is encrypted. Throws `local-not-found` where
 * there is none, and `bad-configuration` where its key is open to others, cannot be read, or belongs to another
 * certificate.
 */
export async function openAuthority(
  directory: string,
  { passphrase, clock, random }: Services & { passphrase: () => Promise<string | undefined> },
): Promise<Authority> {
  const files = authorityFiles(directory);
  const pem = await readPrivateFile(files.certificate);
  if (pem === undefined) {
    throw new SealiftError('local-not-found', `There is no CA in ${directory}.`, {
      hint: `To make one: ${certCommand('init', directory)}`,
    });
  }
  await assertPrivate(files.key);
  const keyText = (await readPrivateFile(files.key)) ?? '';
  const key = signerKey(keyText, files.key, isEncryptedKey(keyText) ? await passphrase() : undefined);
  const [certificate] = certificatesIn(pem, files.certificate);
  if (certificate.ca && certificate.checkPrivateKey(key)) {
    return { directory, certificate, pem, key, clock, random };
  }
  throw new SealiftError(
    'bad-configuration',
    `${files.certificate} is no certificate of a CA, or ${files.key} is not its key.`,
    { hint: 'Restore the one that was replaced.' },
  );
}

/** The same authority with a new certificate, for the same key and name: what it issued before is still believed. */
export async function renewAuthority(authority: Authority, days: number): Promise<Authority> {
  const { directory, certificate, key, clock, random } = authority;
  const content = { publicKey: certificate.publicKey, validity: validFor(days, clock) };
  const pem = await renewedCertificate(authority.pem, content, { key }, random);
  await exclusively(authority, () => writePrivateFile(authorityFiles(directory).certificate, pem, random));
  return { ...authority, pem, certificate: new X509Certificate(pem) };
}

/** Runs `change` while nobody else changes anything of the authority. */
export function exclusively<T>(
  { directory, clock, random }: Services & Pick<Authority, 'directory'>,
  change: () => Promise<T>,
): Promise<T> {
  return withFileLock(authorityFiles(directory).certificate, change, { clock, random });
}

async function assertAbsent(file: string): Promise<void> {
  if ((await readPrivateFile(file)) === undefined) return;
  throw new SealiftError('local-exists', `There is a CA already: ${file} exists.`, {
    hint: 'Choose another --dir. Only if nobody trusts that CA, remove what is there.',
  });
}
