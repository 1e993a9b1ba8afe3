import { verify, type X509Certificate } from 'node:crypto';

import { SealiftError } from '../errors.ts';
import { parseCrls, serialText, type Crl } from './crl.ts';
import { derValues, sequence } from './der.ts';
import { certificatesIn } from './pem.ts';

/** What certificate authorities have revoked. */
export interface RevocationLists {
  /** Whether `certificate` is on the list of who issued it, also when that list is out of date. */
  isRevoked(certificate: X509Certificate): boolean;
  /** When the first of the lists is out of date, in milliseconds since 1970; infinite if none says. */
  readonly nextUpdateMs: number;
}

/**
 * Reads the revocation lists in a PEM text, one or more, each signed by one of the authorities in `clientCa` (PEM).
 * `file` is its name for messages. Throws `bad-configuration` where a list is damaged, or no authority here signed
 * it. One that is out of date is no error, since what it revokes stays revoked.
 */
export function parseRevocationLists(text: string, clientCa: string, file: string): RevocationLists {
  const authorities = certificatesIn(clientCa, file);
  const crls = parseCrls(text, file);
  const lists = crls.map((crl) => ({
    signer: signerOf(crl, authorities, file),
    serials: new Set(crl.revoked.map(({ serial }) => serial)),
  }));
  return {
    isRevoked: (certificate) => {
      const serial = serialText(certificate.serialNumber);
      return lists.some(({ signer, serials }) => serials.has(serial) && isIssuedBy(certificate, signer));
    },
    nextUpdateMs: Math.min(...crls.map(({ nextUpdateMs }) => nextUpdateMs)),
  };
}

// By its name, whatever key it had then; or as the TLS layer finds it, which takes names for the same that differ in
// capitals and spaces: RFC 5280, section 7.1.
function isIssuedBy(certificate: X509Certificate, authority: X509Certificate): boolean {
  return certificate.issuer === authority.subject || certificate.checkIssued(authority);
}

/** The one among `authorities` that issued `crl` and signed it. Throws `bad-configuration` if there is none. */
export function signerOf(crl: Crl, authorities: readonly X509Certificate[], file: string): X509Certificate {
  const hash = HASHES.get(crl.algorithm.toString('hex'));
  if (hash === undefined) {
    throw new SealiftError('bad-configuration', `${file} is signed in a way that is not known here.`, {
      hint: 'It has to be signed with ECDSA, RSA (PKCS#1) or Ed25519, and with SHA-2.',
    });
  }
  const issuers = authorities.filter((authority) => subjectOf(authority).equals(crl.issuer));
  const signer = issuers.find(({ publicKey }) => isSignedBy(crl, hash, publicKey));
  if (signer) return signer;
  const [message, hint] =
    issuers.length === 0
      ? [
          `No certificate authority here issued the list of revoked certificates ${file}.`,
          'Give its authority, too.',
        ]
      : [
          `The signature of the list of revoked certificates ${file} is wrong.`,
          'Fetch it again from who issues it.',
        ];
  throw new SealiftError('bad-configuration', message, { hint });
}

/** By object identifier in DER: the hash that Node takes; null where the algorithm has its own. */
const HASHES: ReadonlyMap<string, string | null> = new Map([
  ['2a8648ce3d040302', 'sha256'], // ecdsa-with-SHA256, RFC 5758
  ['2a8648ce3d040303', 'sha384'],
  ['2a8648ce3d040304', 'sha512'],
  ['2a864886f70d01010b', 'sha256'], // sha256WithRSAEncryption, RFC 4055
  ['2a864886f70d01010c', 'sha384'],
  ['2a864886f70d01010d', 'sha512'],
  ['2b6570', null], // Ed25519, RFC 8410
]);

function isSignedBy(
  { signed, signature }: Crl,
  hash: string | null,
  publicKey: X509Certificate['publicKey'],
): boolean {
  try {
    return verify(hash, signed, publicKey, signature);
  } catch {
    // A key of another kind than the signature.
    return false;
  }
}

/** The subject of a certificate in DER: RFC 5280, section 4.1. */
function subjectOf({ raw }: X509Certificate): Buffer {
  const [content] = sequence(derValues(raw)[0]);
  const fields = sequence(content);
  // The version may be left out.
  return fields[fields[0]?.tag === VERSION_TAG ? 5 : 4]?.raw ?? Buffer.alloc(0);
}

const VERSION_TAG = 0xa0;
