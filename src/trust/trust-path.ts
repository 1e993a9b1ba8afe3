import type { X509Certificate } from 'node:crypto';

import type { Clock } from '../clock.ts';

/** How a presented certificate is linked to somebody who is trusted, or where that breaks off. */
export type TrustPath =
  /** The last of the path is one of those who are trusted. */
  | { state: 'trusted'; path: X509Certificate[] }
  /** The last of the path vouches for itself, and nobody here trusts it. */
  | { state: 'self-signed'; path: X509Certificate[] }
  /** Who issued the last of the path was not sent, and is not trusted here. */
  | { state: 'broken'; path: X509Certificate[] };

/**
 * Follows `chain`, as it was sent, from its first to one of `roots`, as OpenSSL does: where several could have issued a
 * certificate, by one that is valid now. Names and usages are not looked at, nor are dates besides.
 */
export function trustPath(
  [leaf, ...sent]: readonly [X509Certificate, ...X509Certificate[]],
  roots: readonly X509Certificate[],
  clock: Clock,
): TrustPath {
  const path = [leaf];
  let last = leaf;
  for (;;) {
    const current = last;
    if (roots.some((root) => isSame(root, current))) return { state: 'trusted', path };
    const root = issuerAmong(roots, current, clock);
    if (root !== undefined) return { state: 'trusted', path: [...path, root] };
    if (isSelfSigned(current)) return { state: 'self-signed', path };
    const others = sent.filter((other) => !path.includes(other));
    const issuer = issuerAmong(others, current, clock);
    if (issuer === undefined) return { state: 'broken', path };
    path.push(issuer);
    last = issuer;
  }
}

/** Whether they are one certificate, which may have been read twice. */
export function isSame(one: X509Certificate, other: X509Certificate): boolean {
  return one.fingerprint256 === other.fingerprint256;
}

function issuerAmong(
  candidates: readonly X509Certificate[],
  certificate: X509Certificate,
  clock: Clock,
): X509Certificate | undefined {
  const issuers = candidates.filter((candidate) => issued(candidate, certificate));
  const nowMs = clock.now();
  const isValid = ({ validFromDate, validToDate }: X509Certificate) =>
    validFromDate.getTime() <= nowMs && nowMs <= validToDate.getTime();
  return issuers.find(isValid) ?? issuers[0];
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
