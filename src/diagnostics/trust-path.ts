import type { X509Certificate } from 'node:crypto';

/** How a presented certificate is linked to somebody who is trusted, or where that breaks off. */
export type TrustPath =
  | { state: 'trusted'; path: X509Certificate[] }
  /** The last of the path vouches for itself, and nobody here trusts it. */
  | { state: 'self-signed'; path: X509Certificate[] }
  /** Who issued the last of the path was not sent, and is not trusted here. */
  | { state: 'broken'; path: X509Certificate[] };

/** Follows `chain`, as it was sent, from its first to one of `roots`. Dates, names and usages are not looked at. */
export function trustPath(
  [leaf, ...sent]: readonly [X509Certificate, ...X509Certificate[]],
  roots: readonly X509Certificate[],
): TrustPath {
  const path = [leaf];
  let last = leaf;
  for (;;) {
    const current = last;
    const isTrusted = roots.some(
      (root) => root.fingerprint256 === current.fingerprint256 || issued(root, current),
    );
    if (isTrusted) return { state: 'trusted', path };
    if (isSelfSigned(current)) return { state: 'self-signed', path };
    const issuer = sent.find((other) => !path.includes(other) && issued(other, current));
    if (issuer === undefined) return { state: 'broken', path };
    path.push(issuer);
    last = issuer;
  }
}

/** Whether each certificate stands right before the one that issued it, as TLS asks for (RFC 8446, 4.4.2). */
export function isInOrder(chain: readonly X509Certificate[]): boolean {
  return chain.every((certificate, index) => {
    const next = chain[index + 1];
    return next === undefined || issued(next, certificate);
  });
}

/** Whether a certificate vouches for itself, be it an authority or not. */
function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.subject === certificate.issuer && signed(certificate, certificate);
}

/** Whether `issuer` may sign other certificates, and signed this one. */
function issued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && signed(issuer, certificate);
}

function signed(issuer: X509Certificate, certificate: X509Certificate): boolean {
  try {
    return certificate.verify(issuer.publicKey);
  } catch {
    // A signature of a kind that OpenSSL does not know vouches for nothing.
    return false;
  }
}
