import { createPublicKey, type KeyObject, type X509Certificate } from 'node:crypto';

import { isSealiftError, SealiftError } from '../../errors.ts';
import { assertPrivate, readPrivateFile } from '../private-file.ts';
import { isEncryptedKey, newKey, signerKey } from '../private-key.ts';
import { renewedCertificate } from '../signed-certificate.ts';
import { DAY_MS } from '../validity.ts';
import { certCommand, exclusively, type Authority } from './authority.ts';
import { revocations } from './authority-crl.ts';
import { assertKeyNotRevoked, leafValidity, type Issued } from './issue.ts';
import { issuedNames, leafFiles, leafIn, writeLeaf, type LeafFiles } from './leaf-files.ts';

/** How long before its end a certificate is renewed. */
const RENEWAL_MS = 30 * DAY_MS;

/** Whether it is time to renew a certificate. */
export function isDue({ validToDate }: X509Certificate, { clock }: Pick<Authority, 'clock'>): boolean {
  return validToDate.getTime() - clock.now() <= RENEWAL_MS;
}

/** The names whose certificates are to be renewed. Those that were revoked, or taken away, are not wanted any more. */
export async function dueNames(authority: Authority): Promise<string[]> {
  const isRevoked = await revocations(authority);
  const due: string[] = [];
  for (const name of await issuedNames(authority.directory)) {
    const files = leafFiles(authority.directory, name);
    if (await needsRenewal(authority, files, isRevoked)) due.push(name);
  }
  return due;
}

async function needsRenewal(
  authority: Authority,
  files: LeafFiles,
  isRevoked: (certificate: X509Certificate) => boolean,
): Promise<boolean> {
  try {
    const certificate = await leafIn(files.certificate);
    if (certificate === undefined || isRevoked(certificate)) return false;
    // A crash may have left a new key beside the old certificate.
    const key = await presentKey(files, certificate);
    return isDue(certificate, authority) || !key.equals(certificate.publicKey);
  } catch (error) {
    // What is wrong is told when it is renewed, and the other names are, too.
    if (isSealiftError(error)) return true;
    throw error;
  }
}

/**
 * Issues the certificate of a name once more, for the same names and usage. The key stays, and with it the pin, unless
 * there is to be a new one. The certificate before stays valid until it expires, or until the name is revoked. Throws
 * `local-not-found` if there is none, and `bad-configuration` for one of another authority, or whose key was revoked.
 */
export async function renewCertificate(
  authority: Authority,
  files: LeafFiles,
  { days, withNewKey }: { days: number; withNewKey: boolean },
): Promise<Issued> {
  const validity = leafValidity(authority, days);
  return exclusively(authority, async () => {
    const previous = await leafIn(files.certificate);
    if (previous === undefined) {
      throw new SealiftError('local-not-found', `There is no certificate ${files.certificate}.`);
    }
    assertIssuedBy(authority, previous, files.certificate);
    const key = withNewKey ? newKey() : undefined;
    const publicKey =
      key === undefined ? await presentKey(files, previous) : createPublicKey(signerKey(key, files.key));
    const hint = `To make a new key: ${certCommand(`renew ${files.name} --new-key`, authority.directory)}`;
    await assertKeyNotRevoked(authority, files, publicKey, hint);
    const issuer = { key: authority.key, certificate: authority.pem };
    const leaf = await renewedCertificate(
      previous.toString(),
      { publicKey, validity },
      issuer,
      authority.random,
    );
    return { files, certificate: await writeLeaf(authority, files, leaf, key) };
  });
}

/** Throws `bad-configuration` unless `authority` has signed `certificate`, which is in `file`. */
export function assertIssuedBy(
  { certificate: issuer, directory }: Authority,
  certificate: X509Certificate,
  file: string,
): void {
  if (!certificate.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)) return;
  throw new SealiftError(
    'bad-configuration',
    `${file} is no certificate that the CA in ${directory} issued.`,
    { hint: 'Say with --dir where the CA is that issued it.' },
  );
}

// The file with the key is the newer one, should a crash have come between the two. It may also have been taken to
// where the certificate is used, or been encrypted there; then the certificate tells what is to be known of it.
async function presentKey(files: LeafFiles, certificate: X509Certificate): Promise<KeyObject> {
  const key = await readPrivateFile(files.key);
  if (key === undefined || isEncryptedKey(key)) return certificate.publicKey;
  await assertPrivate(files.key);
  return createPublicKey(signerKey(key, files.key));
}
