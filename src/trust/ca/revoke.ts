import type { X509Certificate } from 'node:crypto';

import { SealiftError } from '../../errors.ts';
import type { Authority } from './authority.ts';
import { revokeSerials, type Revoked } from './authority-crl.ts';
import { findLeaf, issuedCertificates, issuedNames, leafFiles, leafIn } from './leaf-files.ts';
import { assertIssuedBy } from './renew.ts';

/**
 * Revokes what `text` names: all certificates of a name that have not expired, those that were renewed since, too; or
 * the certificate in a file, and all others for its key; or the one with a serial number (hexadecimal, also with
 * colons). Throws `local-not-found` if it is none of these, and `bad-configuration` for a file with a certificate of
 * somebody else.
 */
export function revoke(authority: Authority, text: string, crlDays: number): Promise<Revoked> {
  return revokeSerials(authority, () => serialsOf(authority, text), crlDays);
}

async function serialsOf(authority: Authority, text: string): Promise<string[]> {
  const named = await findLeaf(authority.directory, text);
  if (named) {
    const certificates = await issuedCertificates(named);
    const standing = await leafIn(named.certificate);
    if (standing) {
      assertIssuedBy(authority, standing, named.certificate);
      certificates.push(standing);
    }
    return validSerials(authority, certificates);
  }
  const presented = await leafIn(text);
  if (presented) {
    assertIssuedBy(authority, presented, text);
    const all = await everyIssued(authority);
    const sameKey = all.filter(({ publicKey }) => publicKey.equals(presented.publicKey));
    return validSerials(authority, [presented, ...sameKey]);
  }
  const digits = text.replaceAll(':', '');
  if (SERIAL.test(digits)) return [digits];
  throw new SealiftError(
    'local-not-found',
    `${JSON.stringify(text)} is no name that has a certificate in ${authority.directory}, no file, and no serial number.`,
    { hint: 'A serial number has 32 hexadecimal digits, as sealift cert show prints it.' },
  );
}

/** RFC 5280 allows 20 bytes. Shorter ones than ours are more likely a name that was mistyped. */
const SERIAL = /^[0-9A-Fa-f]{32,40}$/;

async function everyIssued({ directory }: Authority): Promise<X509Certificate[]> {
  const names = await issuedNames(directory);
  return (await Promise.all(names.map((name) => issuedCertificates(leafFiles(directory, name))))).flat();
}

function validSerials({ clock }: Authority, certificates: readonly X509Certificate[]): string[] {
  const valid = certificates.filter(({ validToDate }) => validToDate.getTime() > clock.now());
  return valid.map(({ serialNumber }) => serialNumber);
}
