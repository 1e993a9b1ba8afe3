import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';

import { systemClock } from '../../src/clock.ts';
import { systemRandom } from '../../src/random.ts';
import { signedCrl } from '../../src/trust/ca/signed-crl.ts';
import { newKey } from '../../src/trust/private-key.ts';
import {
  loadX509,
  publicKeyBytes,
  signedCertificate,
  signingKey,
  type CertificateContent,
} from '../../src/trust/signed-certificate.ts';

/** A certificate and its key, both PEM. */
export interface Pair {
  cert: string;
  key: string;
}

export interface CertificateRequest {
  commonName?: string;
  /** DNS names and IP addresses; default those of this machine's loopback. */
  names?: string[];
  notBefore?: Date;
  notAfter?: Date;
  /** Default: both. */
  usages?: CertificateContent['usages'];
  /** Signs it; default: itself. */
  ca?: Pair;
  /** The key that it is for (PEM); default: a new one. */
  key?: string;
}

const LOOPBACK = ['localhost', '127.0.0.1', '::1'];
const HOUR_MS = 3_600_000;

/** A certificate for a server or a client, valid now unless told otherwise. Real TLS judges it by the real time. */
export async function issueCertificate({
  commonName = 'localhost',
  names = LOOPBACK,
  notBefore = new Date(Date.now() - HOUR_MS),
  notAfter = new Date(Date.now() + HOUR_MS),
  usages = ['server', 'client'],
  ca,
  key,
}: CertificateRequest = {}): Promise<Pair> {
  return generated(
    {
      subject: commonName,
      validity: { notBefore, notAfter },
      usages,
      names: names.map((value) => ({ type: /[\d:]$/.test(value) ? 'ip' : 'dns', value })),
    },
    ca,
    key,
  );
}

/** An authority to sign certificates with, by default one that vouches for itself. */
export async function issueAuthority(
  commonName = 'Test authority',
  ca?: Pair,
  {
    notBefore = new Date(Date.now() - HOUR_MS),
    notAfter = new Date(Date.now() + HOUR_MS),
    key,
  }: Pick<CertificateRequest, 'notBefore' | 'notAfter' | 'key'> = {},
): Promise<Pair> {
  return generated({ subject: commonName, validity: { notBefore, notAfter }, usages: [] }, ca, key);
}

/** An authority that may have others below it; those that Sealift makes may not. */
export async function issueRoot(commonName = 'Test root'): Promise<Pair> {
  const x509 = await loadX509();
  const key = newKey();
  const privateKey = createPrivateKey(key);
  const publicKey = publicKeyBytes(createPublicKey(privateKey));
  const { keyCertSign, cRLSign } = x509.KeyUsageFlags;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: '01',
    subject: `CN=${commonName}`,
    issuer: `CN=${commonName}`,
    notBefore: new Date(Date.now() - HOUR_MS),
    notAfter: new Date(Date.now() + HOUR_MS),
    publicKey,
    signingKey: signingKey(privateKey),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(keyCertSign | cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  return { cert: `${certificate.toString('pem').trim()}\n`, key };
}

/** The list (PEM) of what `ca` has revoked. */
export async function issueRevocationList(ca: Pair, revoked: readonly Pair[]): Promise<string> {
  const entries = revoked.map(({ cert }) => ({
    serial: new X509Certificate(cert).serialNumber,
    revokedMs: Date.now(),
  }));
  const issuer = {
    certificate: new X509Certificate(ca.cert),
    key: createPrivateKey(ca.key),
    clock: systemClock,
  };
  return signedCrl({ number: 1n, revoked: entries, days: 1 }, issuer);
}

let loopback: Promise<Pair> | undefined;

/** The self-signed certificate that test servers show; made once per process, and valid for as long as a long run takes. */
export function loopbackCertificate(): Promise<Pair> {
  return (loopback ??= issueCertificate({ notAfter: new Date(Date.now() + 7 * 24 * HOUR_MS) }));
}

async function generated(
  content: Omit<CertificateContent, 'publicKey'>,
  ca?: Pair,
  key = newKey(),
): Promise<Pair> {
  const issuer = { key: createPrivateKey(ca?.key ?? key), certificate: ca?.cert };
  const publicKey = createPublicKey(key);
  return { cert: await signedCertificate({ ...content, publicKey }, issuer, systemRandom), key };
}
