import type { KeyObject, X509Certificate } from 'node:crypto';

import type { Clock } from '../clock.ts';
import { alternativeName, alternativeNames } from './certificate-names.ts';
import { certificatePin } from './pins.ts';
import { DAY_MS } from './validity.ts';

/** What there is to know of a certificate, for people and programs. Nobody has said that it is to be believed. */
export interface CertificateFacts {
  /** Its parts in one line, as in `O=Example, CN=box.example`. */
  subject: string;
  /** The alternative names: host names, IP addresses, e-mail addresses. */
  names: string[];
  issuer: string;
  serial: string;
  /** As in `EC P-256`, `RSA 2048`, `Ed25519`. */
  key: string;
  /** `server`, `client`, `authority`, or the object identifier of another usage. */
  usage: string[];
  /** ISO 8601 in UTC. */
  notBefore: string;
  notAfter: string;
  /** Whole days; negative when it has expired. */
  daysLeft: number;
  /** Of the whole certificate in DER: hexadecimal in capitals, with colons. */
  sha256: string;
  pin: string;
}

/** Reads a certificate as of now. */
export function certificateFacts(certificate: X509Certificate, clock: Clock): CertificateFacts {
  const { subject, issuer, serialNumber, publicKey, validFromDate, validToDate, fingerprint256 } =
    certificate;
  return {
    subject: oneLine(subject),
    names: alternativeNames(certificate).map(shortName),
    issuer: oneLine(issuer),
    serial: serialNumber,
    key: describeKey(publicKey),
    usage: usages(certificate),
    notBefore: validFromDate.toISOString(),
    notAfter: validToDate.toISOString(),
    daysLeft: daysUntil(validToDate.getTime(), clock),
    sha256: fingerprint256,
    pin: certificatePin(certificate),
  };
}

/** Whole days from now until then; negative when it is over. */
export function daysUntil(thenMs: number, clock: Clock): number {
  return Math.floor((thenMs - clock.now()) / DAY_MS);
}

const USAGE_NAMES: Readonly<Record<string, string>> = {
  '1.3.6.1.5.5.7.3.1': 'server',
  '1.3.6.1.5.5.7.3.2': 'client',
};
const CURVE_NAMES: Readonly<Record<string, string>> = {
  prime256v1: 'P-256',
  secp384r1: 'P-384',
  secp521r1: 'P-521',
};

// Node writes a part on each line, and a name may be empty.
function oneLine(name: string | undefined): string {
  return (name ?? '').split('\n').join(', ');
}

// OpenSSL writes all eight groups of an IPv6 address.
function shortName({ kind, value }: { kind: string; value: string }): string {
  return (kind === 'IP Address' ? alternativeName(value)?.value : undefined) ?? value;
}

function usages({ ca, keyUsage }: X509Certificate): string[] {
  // Node calls so what is the extended key usage; a certificate without has none.
  const extended = (keyUsage as string[] | undefined) ?? [];
  return [...(ca ? ['authority'] : []), ...extended.map((id) => USAGE_NAMES[id] ?? id)];
}

function describeKey({ asymmetricKeyType: type, asymmetricKeyDetails = {} }: KeyObject): string {
  const { namedCurve, modulusLength } = asymmetricKeyDetails;
  if (namedCurve !== undefined) return `EC ${CURVE_NAMES[namedCurve] ?? namedCurve}`;
  if (modulusLength !== undefined) return `${type?.toUpperCase()} ${modulusLength}`;
  return (type ?? '').replace(/^ed/, 'Ed');
}
