import { createPublicKey, type KeyObject, type X509Certificate } from 'node:crypto';

import { SealiftError } from '../../errors.ts';
import { alternativeName, commonName, serverNames } from '../certificate-names.ts';
import { isPrincipalName } from '../principals.ts';
import { assertPrivate, readPrivateFile } from '../private-file.ts';
import { newKey, signerKey } from '../private-key.ts';
import { signedCertificate, type CertificateContent, type Validity } from '../signed-certificate.ts';
import { validFor } from '../validity.ts';
import { certCommand, exclusively, type Authority } from './authority.ts';
import { revocations } from './authority-crl.ts';
import { issuedCertificates, leafFiles, leafIn, writeLeaf, type LeafFiles } from './leaf-files.ts';

/** Whom a certificate is to be for. */
export type Holder = { server: readonly string[] } | { client: string };

export interface Issued {
  files: LeafFiles;
  certificate: X509Certificate;
}

/**
 * Issues a certificate with a key of its own, as `NAME.pem` and `NAME.key`. A key that stands there alone, left by a
 * crash, is used. Throws `local-exists` if there is a certificate for the name, `invalid-argument` for a name that
 * it cannot bear, and `bad-configuration` if the authority itself has expired.
 */
export async function issueCertificate(authority: Authority, holder: Holder, days: number): Promise<Issued> {
  const content = contentFor(holder);
  const validity = leafValidity(authority, days);
  const files = leafFiles(authority.directory, content.name);
  return exclusively(authority, async () => {
    if ((await leafIn(files.certificate)) !== undefined) {
      throw new SealiftError('local-exists', `There is a certificate already: ${files.certificate} exists.`, {
        hint: `To renew it: ${certCommand(`renew ${files.name}`, authority.directory)}`,
      });
    }
    const present = await readPrivateFile(files.key);
    if (present !== undefined) await assertPrivate(files.key);
    const key = present ?? newKey();
    const publicKey = createPublicKey(signerKey(key, files.key));
    await assertKeyNotRevoked(authority, files, publicKey, `For a new key, remove ${files.key}.`);
    const issuer = { key: authority.key, certificate: authority.pem };
    const leaf = await signedCertificate({ ...content, publicKey, validity }, issuer, authority.random);
    return {
      files,
      certificate: await writeLeaf(authority, files, leaf, present === undefined ? key : undefined),
    };
  });
}

/** What a certificate for a client says. Throws `invalid-argument` for a name that no principal can have. */
export function clientContent(name: string): Pick<CertificateContent, 'subject' | 'usages' | 'names'> {
  if (!isPrincipalName(name)) {
    throw new SealiftError('invalid-argument', `${JSON.stringify(name)} is no name for a client.`, {
      hint: 'It has 1 to 64 of A-Z a-z 0-9 . _ @ -, and begins with a letter or digit.',
    });
  }
  const [user, domain, ...rest] = name.split('@');
  const isEmail = user !== '' && rest.length === 0 && alternativeName(domain ?? '')?.type === 'dns';
  const host = alternativeName(name);
  const names = isEmail ? [{ type: 'email' as const, value: name }] : host?.type === 'dns' ? [host] : [];
  return { subject: name, usages: ['client'], names };
}

/** When a certificate of the authority may be valid: not beyond the authority's own. Throws `bad-configuration` if that is over. */
export function leafValidity(
  { certificate, clock, directory }: Pick<Authority, 'certificate' | 'clock'> & { directory?: string },
  days: number,
): Validity {
  const latest = certificate.validToDate;
  if (latest.getTime() > clock.now()) return validFor(days, clock, latest);
  const message = `The certificate of the CA expired on ${certificate.validTo}.`;
  const command = directory === undefined ? 'sealift cert renew ca' : certCommand('renew ca', directory);
  throw new SealiftError('bad-configuration', message, { hint: `To renew it: ${command}` });
}

/** Throws `bad-configuration`, with that hint, if a certificate with this key was revoked: somebody else may have the key. */
export async function assertKeyNotRevoked(
  authority: Authority,
  files: LeafFiles,
  publicKey: KeyObject,
  hint: string,
): Promise<void> {
  const isRevoked = await revocations(authority);
  const sameKey = (await issuedCertificates(files)).filter((each) => each.publicKey.equals(publicKey));
  if (!sameKey.some(isRevoked)) return;
  throw new SealiftError('bad-configuration', `A certificate with the key of ${files.name} was revoked.`, {
    hint,
  });
}

function contentFor(
  holder: Holder,
): Pick<CertificateContent, 'subject' | 'usages' | 'names'> & { name: string } {
  if ('client' in holder) return { name: holder.client, ...clientContent(holder.client) };
  const names = serverNames(holder.server);
  return { name: names[0].value, subject: commonName(names[0]), usages: ['server'], names };
}
