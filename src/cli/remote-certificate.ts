import { createPrivateKey, X509Certificate } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { SealiftError } from '../errors.ts';
import { localFileError } from '../trust/local-file-error.ts';
import { writePrivateFile } from '../trust/private-file.ts';
import type { Directories } from './directories.ts';
import type { SavedRemote } from './remotes.ts';

type CertificateFiles = Required<Pick<SavedRemote, 'cert' | 'key'>>;

/**
 * Keeps the certificate that joining brought for a saved remote, and its key, which never left this machine. Throws
 * `protocol-violation` if it is no certificate for that key.
 */
export async function keepCertificate(
  directories: Directories,
  name: string,
  { certificate, key }: { certificate: string; key: string },
): Promise<CertificateFiles> {
  if (!isCertificateFor(certificate, key)) {
    throw new SealiftError(
      'protocol-violation',
      'The server sent something else than a certificate for the key of this client.',
    );
  }
  const files = certificateFiles(directories, name);
  await writePrivateFile(files.key, key);
  await writePrivateFile(files.cert, certificate);
  return files;
}

/** Removes what `keepCertificate` kept for a remote, if it did. */
export async function forgetCertificate(directories: Directories, name: string): Promise<void> {
  for (const file of Object.values(certificateFiles(directories, name))) {
    await rm(file, { force: true }).catch((cause: unknown) => {
      throw localFileError('write', file, cause);
    });
  }
}

function certificateFiles({ config }: Directories, name: string): CertificateFiles {
  return { cert: join(config, 'remotes', `${name}.pem`), key: join(config, 'remotes', `${name}.key`) };
}

function isCertificateFor(certificate: string, key: string): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}
