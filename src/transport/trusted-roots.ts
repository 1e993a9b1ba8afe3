import { X509Certificate } from 'node:crypto';
import { getCACertificates } from 'node:tls';

/** The authorities that TLS trusts here when it is given none: those that come with Node, and those that its settings add. */
export function trustedRoots(): X509Certificate[] {
  return getCACertificates('default').map((pem) => new X509Certificate(pem));
}
