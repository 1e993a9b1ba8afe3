import type { X509Certificate } from 'node:crypto';

import { certificatesIn } from './pem.ts';
import type { Principals } from './principals.ts';
import type { RevocationLists } from './revocation-list.ts';

/** What clients are judged by. Never changed, but replaced as a whole when the operator's files change. */
export interface ClientTrust {
  readonly principals: Principals;
  /** Who vouches for the names in client certificates. Without them names mean nothing. */
  readonly authorities?: ClientAuthorities | undefined;
  /** Certificates that their authority has called back. */
  readonly revocations?: RevocationLists | undefined;
  /** Whether a certificate that an authority vouches for is enough by itself: then its first name is the principal, who may do everything. */
  readonly trustsAuthorities?: boolean | undefined;
}

/** The authorities that vouch for clients. */
export class ClientAuthorities {
  /** As they are given to the TLS layer, which passes over what does not begin in a line of its own. */
  readonly pem: string;
  readonly certificates: readonly X509Certificate[];

  /** `file` is the name of the text for messages. Throws `bad-configuration` where it is no list of certificates. */
  constructor(pem: string, file: string) {
    this.certificates = certificatesIn(pem, file);
    this.pem = this.certificates.map(String).join('');
  }

  /** `chain`, and those of them to which it may go back. They are told by names and key identifiers: rather too many than too few. */
  completed(chain: readonly X509Certificate[]): X509Certificate[] {
    const all = [...chain];
    // Those that are found are looked behind, too.
    for (const below of all)
      all.push(...this.certificates.filter((each) => below.checkIssued(each) && !all.includes(each)));
    return all;
  }

  /** Whether one of them itself signed `certificate`. For a certificate that was signed through another one below them the answer is no. */
  issued(certificate: X509Certificate): boolean {
    return this.certificates.some(
      (authority) => certificate.checkIssued(authority) && certificate.verify(authority.publicKey),
    );
  }
}
