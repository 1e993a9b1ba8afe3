import type { X509Certificate } from 'node:crypto';

import { contentOf, derValues, sequence, TAG } from '../trust/der.ts';

/** How a certificate is signed, as OpenSSL calls it, as in `ecdsa-with-SHA256`; with the hash where the name leaves it open. Undefined where Node does not tell. */
export function signatureAlgorithm(certificate: X509Certificate): string | undefined {
  const { signatureAlgorithm: name } = certificate as { signatureAlgorithm?: string };
  if (name !== 'rsassaPss') return name;
  try {
    return `${name}-with-${pssHash(certificate)}`;
  } catch {
    // What cannot be read verifies nowhere, and the path breaks off there.
    return name;
  }
}

/** The hash of RSA-PSS, which stands in the parameters (RFC 4055, 3.1), by its name or as hexadecimal. */
function pssHash({ raw }: X509Certificate): string {
  const [, algorithm] = sequence(derValues(raw)[0]);
  const [, parameters] = sequence(algorithm);
  const stated = sequence(parameters).find(({ tag }) => tag === HASH_TAG);
  if (stated === undefined) return DEFAULT_HASH;
  const [identifier] = sequence(derValues(stated.content)[0]);
  const id = contentOf(identifier, TAG.objectIdentifier).toString('hex');
  return HASHES[id] ?? id;
}

const HASH_TAG = 0xa0;
const DEFAULT_HASH = 'SHA1';
const HASHES: Readonly<Record<string, string>> = {
  '2a864886f70d0205': 'MD5',
  '2b0e03021a': 'SHA1',
  '608648016503040204': 'SHA224',
  '608648016503040201': 'SHA256',
  '608648016503040202': 'SHA384',
  '608648016503040203': 'SHA512',
};
