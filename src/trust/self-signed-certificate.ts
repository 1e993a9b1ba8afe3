import { createPrivateKey, createPublicKey } from 'node:crypto';

import type { Random } from '../random.ts';
import { commonName, type AlternativeName } from './certificate-names.ts';
import { newKey } from './private-key.ts';
import { signedCertificate, type Validity } from './signed-certificate.ts';

export interface SelfSignedContent {
  /** Whom it is for, checked; the first one is the subject too. */
  names: readonly [AlternativeName, ...AlternativeName[]];
  validity: Validity;
  /** The ECDSA P-256 key to certify, PEM. Default: a new one. */
  privateKey?: string | undefined;
}

/** A self-signed certificate for TLS servers, and its key, both PEM: ECDSA P-256 with SHA-256. */
export async function selfSignedCertificate(
  { names, validity, privateKey = newKey() }: SelfSignedContent,
  random: Random,
): Promise<{ cert: string; key: string }> {
  const key = createPrivateKey(privateKey);
  const content = { subject: commonName(names[0]), publicKey: createPublicKey(key), validity };
  const cert = await signedCertificate({ ...content, usages: ['server'], names }, { key }, random);
  return { cert, key: privateKey };
}
