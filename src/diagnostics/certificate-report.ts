import type { Clock } from '../clock.ts';
import { certificateFacts, type CertificateFacts } from '../trust/certificate-facts.ts';
import { matchedName, type Chain } from './certificate-findings.ts';
import { signatureAlgorithm } from './signature-algorithm.ts';

/** The certificate of a server, and those that were sent behind it. */
export interface CertificateReport extends CertificateFacts {
  /** Which of its names stands for the server that was asked for; null if none does. */
  matchedName: string | null;
  /** How it is signed, as OpenSSL calls it; null where Node does not tell. */
  signatureAlgorithm: string | null;
  /** The others, in the order in which they were sent. */
  chain: CertificateFacts[];
  /** All of them. */
  pem: string;
}

/** Reads a chain as of now. */
export function certificateReport(chain: Chain, host: string, clock: Clock): CertificateReport {
  const [leaf, ...issuers] = chain;
  return {
    ...certificateFacts(leaf, clock),
    matchedName: matchedName(leaf, host) ?? null,
    signatureAlgorithm: signatureAlgorithm(leaf) ?? null,
    chain: issuers.map((issuer) => certificateFacts(issuer, clock)),
    pem: chain.map(String).join(''),
  };
}
