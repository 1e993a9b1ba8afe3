import { X509Certificate } from 'node:crypto';

import { SealiftError } from '../errors.ts';

/** The certificates in a PEM text, in its order; `file` is its name for messages. Throws `bad-configuration` if there is none, or if one is damaged. */
export function certificatesIn(text: string, file: string): [X509Certificate, ...X509Certificate[]] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  try {
    const [first, ...others] = blocks.map((block) => new X509Certificate(block));
    if (first) return [first, ...others];
  } catch (cause) {
    throw new SealiftError('bad-configuration', `${file} holds a certificate that is damaged.`, { cause });
  }
  throw new SealiftError('bad-configuration', `${file} holds no certificate in PEM.`);
}
