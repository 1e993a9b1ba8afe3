import { createPublicKey, webcrypto, type KeyObject } from 'node:crypto';

import type * as X509 from '@peculiar/x509';

import type { Random } from '../random.ts';
import type { AlternativeName } from './certificate-names.ts';

/** When a certificate begins and ends to be valid, to the second. */
export interface Validity {
  notBefore: Date;
  notAfter: Date;
}

/** What a leaf may be used for. */
export type Usage = 'server' | 'client';

export interface CertificateContent {
  /** The common name, and the only part of the subject. */
  subject: string;
  publicKey: KeyObject;
  validity: Validity;
  /** What a leaf is for; none for a certificate authority, which signs leaves only. */
  usages: readonly Usage[];
  names?: readonly (AlternativeName | { type: 'email'; value: string })[];
}

/** Who signs: an ECDSA P-256 key, and the certificate for it (PEM). Without one the certificate signs itself. */
export interface Issuer {
  key: KeyObject;
  certificate?: string | undefined;
}

/** A certificate (PEM) by RFC 5280, with a random serial number: ECDSA with SHA-256. */
export async function signedCertificate(
  { subject, publicKey, validity, usages, names = [] }: CertificateContent,
  issuer: Issuer,
  random: Random,
): Promise<string> {
  const x509 = await loadX509();
  const { digitalSignature, keyCertSign, cRLSign } = x509.KeyUsageFlags;
  const isLeaf = usages.length > 0;
  const extensions: X509.Extension[] = [
    isLeaf
      ? new x509.BasicConstraintsExtension(false, undefined, true)
      : new x509.BasicConstraintsExtension(true, 0, true),
    new x509.KeyUsagesExtension(isLeaf ? digitalSignature : keyCertSign | cRLSign, true),
  ];
  if (isLeaf) extensions.push(new x509.ExtendedKeyUsageExtension(usages.map((usage) => USAGE_IDS[usage])));
  if (names.length > 0) extensions.push(new x509.SubjectAlternativeNameExtension([...names]));
  // Not as a string, in which commas, quotes and equals signs would mean something.
  const name = new x509.Name([{ CN: [{ utf8String: subject }] }]);
  return sign({ subject: name, extensions, publicKey, validity }, issuer, random);
}

/** The same certificate once more, for the subject, the names and the usage of `previous` (PEM). */
export async function renewedCertificate(
  previous: string,
  { publicKey, validity }: Pick<CertificateContent, 'publicKey' | 'validity'>,
  issuer: Issuer,
  random: Random,
): Promise<string> {
  const x509 = await loadX509();
  const { subjectName, extensions } = new x509.X509Certificate(previous);
  const kept = extensions.filter(({ type }) => !Object.values(KEY_IDENTIFIERS).includes(type));
  return sign({ subject: subjectName, extensions: kept, publicKey, validity }, issuer, random);
}

/** The library for certificates. Loaded when needed: it is large, and most runs make none. */
export async function loadX509(): Promise<typeof X509> {
  const x509 = await import('@peculiar/x509');
  x509.cryptoProvider.set(webcrypto);
  return x509;
}

/** How `key` is given to the library. */
export function signingKey(key: KeyObject): webcrypto.CryptoKey {
  return key.toCryptoKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
}

/** A public key as the library takes it. */
export function publicKeyBytes(key: KeyObject): Uint8Array<ArrayBuffer> {
  return new Uint8Array(key.export({ type: 'spki', format: 'der' }));
}

const USAGE_IDS: Readonly<Record<Usage, string>> = {
  server: '1.3.6.1.5.5.7.3.1',
  client: '1.3.6.1.5.5.7.3.2',
};
const KEY_IDENTIFIERS = { subject: '2.5.29.14', authority: '2.5.29.35' };
/** RFC 5280 allows 20; 127 of these bits are random. */
const SERIAL_BYTES = 16;

interface SignedParts {
  subject: X509.Name;
  extensions: readonly X509.Extension[];
  publicKey: KeyObject;
  validity: Validity;
}

async function sign(
  { subject, extensions, publicKey, validity }: SignedParts,
  issuer: Issuer,
  random: Random,
): Promise<string> {
  const x509 = await loadX509();
  const { SubjectKeyIdentifierExtension, AuthorityKeyIdentifierExtension } = x509;
  const subjectKey = publicKeyBytes(publicKey);
  const issuerKey = publicKeyBytes(createPublicKey(issuer.key));
  const authority: X509.X509Certificate | undefined =
    issuer.certificate === undefined ? undefined : new x509.X509Certificate(issuer.certificate);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(random),
    subject,
    issuer: authority?.subjectName ?? subject,
    ...validity,
    publicKey: subjectKey,
    signingKey: signingKey(issuer.key),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    extensions: [
      ...extensions,
      await SubjectKeyIdentifierExtension.create(subjectKey),
      await AuthorityKeyIdentifierExtension.create(issuerKey),
    ],
  });
  return `${certificate.toString('pem').trim()}\n`;
}

// The first bit says that the number is positive, the second that it has all its bytes.
function newSerial(random: Random): string {
  const bytes = random.bytes(SERIAL_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}
