import type { X509Certificate } from 'node:crypto';
// `toLegacyObject` loads a part of this: before the whole, it leaves Node 24 without `createSecureContext` for good.
import 'node:tls';

/** The common names in the subject of a certificate, as they are: what `subject` says is escaped, and cannot be told apart. */
export function commonNames(certificate: X509Certificate): string[] {
  const { CN: common } = certificate.toLegacyObject().subject as { CN?: string | string[] };
  return common === undefined ? [] : [common].flat();
}
