import { createPrivateKey, createPublicKey } from 'node:crypto';

import { systemRandom } from '../../src/random.ts';
import { newKey } from '../../src/trust/private-key.ts';
import { signedCertificate, type CertificateContent } from '../../src/trust/signed-certificate.ts';

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
export async function issueAuthority(commonName = 'Test authority', ca?: Pair): Promise<Pair> {
  const validity = { notBefore: new Date(Date.now() - HOUR_MS), notAfter: new Date(Date.now() + HOUR_MS) };
  return generated({ subject: commonName, validity, usages: [] }, ca);
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
