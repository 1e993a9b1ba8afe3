import { createPublicKey, type KeyObject, type X509Certificate } from 'node:crypto';

import type { Clock } from '../../clock.ts';
import type { RevokedSerial } from '../crl.ts';
import { loadX509, publicKeyBytes, signingKey } from '../signed-certificate.ts';
import { assertDays, DAY_MS } from '../validity.ts';

export interface CrlContent {
  /** Higher than that of every list before. */
  number: bigint;
  revoked: readonly RevokedSerial[];
  /** When there will be another list at the latest. */
  days: number;
}

/** The authority whose list it is. */
export interface CrlIssuer {
  certificate: X509Certificate;
  key: KeyObject;
  clock: Clock;
}

/** A list of revoked certificates (PEM), version 2 of RFC 5280, section 5. No reasons are given. */
export async function signedCrl(
  { number, revoked, days }: CrlContent,
  { certificate, key, clock }: CrlIssuer,
): Promise<string> {
  assertDays(days);
  const x509 = await loadX509();
  const thisUpdateMs = clock.now();
  const issuer = new x509.X509Certificate(certificate.raw);
  const crl = await x509.X509CrlGenerator.create({
    issuer: issuer.subjectName,
    thisUpdate: new Date(thisUpdateMs),
    nextUpdate: new Date(thisUpdateMs + days * DAY_MS),
    entries: revoked.map(({ serial, revokedMs }) => ({
      serialNumber: unsignedHex(serial),
      revocationDate: new Date(revokedMs),
    })),
    extensions: [
      await x509.AuthorityKeyIdentifierExtension.create(publicKeyBytes(createPublicKey(key))),
      new x509.Extension(CRL_NUMBER_ID, false, derInteger(number)),
    ],
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    signingKey: signingKey(key),
  });
  // The library itself writes a label that openssl does not know (RFC 7468, section 6).
  return `${x509.PemConverter.encode(crl.rawData, 'X509 CRL').trim()}\n`;
}

const CRL_NUMBER_ID = '2.5.29.20';

// In DER a first bit that is set would make the number negative.
function unsignedHex(digits: string): string {
  const hex = digits.length % 2 === 0 ? digits : `0${digits}`;
  return /^[89A-F]/i.test(hex) ? `00${hex}` : hex;
}

function derInteger(value: bigint): Uint8Array<ArrayBuffer> {
  const content = Buffer.from(unsignedHex(value.toString(16)), 'hex');
  return Uint8Array.from([0x02, content.length, ...content]);
}
