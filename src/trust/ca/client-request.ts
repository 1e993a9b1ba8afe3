import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';

import type { Clock } from '../../clock.ts';
import { isSealiftError, SealiftError } from '../../errors.ts';
import type { Random } from '../../random.ts';
import { certificatesIn } from '../pem.ts';
import { newKey, signerKey } from '../private-key.ts';
import { loadX509, signedCertificate, signingKey } from '../signed-certificate.ts';
import { clientContent, leafValidity } from './issue.ts';

/** PEM texts of a certificate authority. */
export interface RequestSigner {
  ca: string;
  key: string;
  passphrase?: string | undefined;
}

export interface ClientCertificateOptions {
  /** The principal that the certificate will be for. */
  name: string;
  days: number;
  clock: Clock;
  random: Random;
}

/** A new ECDSA P-256 key, and the request (PKCS#10) to have it certified; both PEM. The key stays with the client. */
export async function createClientRequest(): Promise<{ key: string; request: string }> {
  const x509 = await loadX509();
  const key = newKey();
  const privateKey = createPrivateKey(key);
  const publicKey = createPublicKey(privateKey).toCryptoKey(ECDSA_KEY, true, ['verify']);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: new x509.Name([{ CN: [{ utf8String: 'sealift' }] }]),
    keys: { privateKey: signingKey(privateKey), publicKey },
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
  });
  return { key, request: `${request.toString('pem').trim()}\n` };
}

/**
 * Certifies the key of a client's request (PKCS#10, PEM) for `name`: the certificate, and behind it that of the
 * authority, PEM. What the request says of names or usage is passed over. Throws `bad-request` where the request is
 * none, or was not made by who holds its key, or for a key that is no ECDSA P-256 key; `invalid-argument` for a name
 * that no principal can have, and `bad-configuration` where the authority cannot sign.
 */
export async function signClientRequest(
  { ca, key, passphrase }: RequestSigner,
  request: string,
  { name, days, clock, random }: ClientCertificateOptions,
): Promise<string> {
  const content = clientContent(name);
  const publicKey = await requestedKey(request);
  const signer = signerKey(key, 'the key of the CA', passphrase);
  const [certificate] = certificatesIn(ca, 'The CA');
  if (!certificate.checkPrivateKey(signer))
    throw new SealiftError('bad-configuration', 'The key of the CA is not the one of its certificate.');
  const validity = leafValidity({ certificate, clock }, days);
  const issuer = { key: signer, certificate: certificate.toString() };
  const leaf = await signedCertificate({ ...content, publicKey, validity }, issuer, random);
  return leaf + issuer.certificate;
}

const ECDSA_KEY = { name: 'ECDSA', namedCurve: 'P-256' } as const;
/** Beyond what any request needs: the longest keys make some kilobytes. */
const MAX_REQUEST_CHARACTERS = 16_384;

async function requestedKey(text: string): Promise<KeyObject> {
  const { Pkcs10CertificateRequest } = await loadX509();
  try {
    if (text.length > MAX_REQUEST_CHARACTERS) throw new RangeError('too long');
    const request = new Pkcs10CertificateRequest(text);
    const der = Buffer.from(request.publicKey.rawData);
    const publicKey = createPublicKey({ key: der, type: 'spki', format: 'der' });
    // Before anything is computed with a key of any size.
    if (publicKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
      throw new SealiftError('bad-request', 'The certificate request is for no ECDSA P-256 key.');
    if (await request.verify()) return publicKey;
  } catch (cause) {
    if (isSealiftError(cause)) throw cause;
    throw new SealiftError('bad-request', 'The certificate request cannot be understood.', { cause });
  }
  throw new SealiftError('bad-request', 'Whoever made the certificate request does not hold its key.');
}
