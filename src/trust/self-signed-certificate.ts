import { createPublicKey } from 'node:crypto';

import type { AlternativeName } from './certificate-names.ts';

export interface CertificateContent {
  /** Whom it is for, checked; the first one is the subject too. */
  names: readonly [AlternativeName, ...AlternativeName[]];
  notBefore: Date;
  notAfter: Date;
  /** The ECDSA P-256 key to certify, PEM. Default: a new one. */
  privateKey?: string | undefined;
}

/** A self-signed certificate for TLS servers, and its key, both PEM: ECDSA P-256 with SHA-256. */
export async function selfSignedCertificate({
  names,
  notBefore,
  notAfter,
  privateKey,
}: CertificateContent): Promise<{ cert: string; key: string }> {
  // Loaded when needed: what it brings along is large, and most runs make no certificate.
  const { generate } = await import('selfsigned');
  const made = await generate([{ name: 'commonName', value: commonName(names[0]) }], {
    // Without these it makes an RSA key and signs with SHA-1.
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: notBefore,
    notAfterDate: notAfter,
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames: names.map(toEntry) },
    ],
    ...(privateKey !== undefined && { keyPair: { privateKey, publicKey: publicKeyOf(privateKey) } }),
  });
  return { cert: `${made.cert.trim()}\n`, key: privateKey ?? made.private };
}

/** What X.520 allows, in characters; a longer name stands among the alternative names only. */
const MAX_COMMON_NAME = 64;

// selfsigned escapes nothing in it. A checked name has nothing to escape.
function commonName({ value }: AlternativeName): string {
  return value.length <= MAX_COMMON_NAME ? value : 'sealift';
}

function toEntry({ type, value }: AlternativeName): { type: 2; value: string } | { type: 7; ip: string } {
  return type === 'dns' ? { type: 2, value } : { type: 7, ip: value };
}

function publicKeyOf(privateKey: string): string {
  return createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }) as string;
}
