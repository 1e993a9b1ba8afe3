import { SealiftError, type ErrorCode } from '../errors.ts';
import { shellWord } from '../shell-word.ts';
import type { Peer } from '../transport/peer.ts';
import { certificatePin } from './pins.ts';

/** Why a server would be believed. */
export interface ServerTrust {
  /** Pins of accepted keys. If there are any, they alone decide: no CA, name or date is looked at. */
  pins?: readonly string[] | undefined;
  /** What `sealift trust` is to be given for the server, in words of a shell. Default: its address. */
  calledBy?: string | undefined;
  /** Whether the user names the CA that is to be asked: then nothing that `sealift trust` keeps is looked at. */
  isCaNamed?: boolean | undefined;
  /** Believe anyone. For tests of a set-up, never for files that matter. */
  insecure?: boolean | undefined;
}

/**
 * Judges the certificate of a server. `place` is how people write its address. Throws one of the certificate errors.
 * Where the server is not one of Sealift, which `sealift trust` could look at, the remedy is a flag.
 */
export function verifyServer(
  { certificate, certificateProblem }: Peer,
  place: string,
  { pins = [], insecure, calledBy = shellWord(place), isCaNamed = false }: ServerTrust,
  { isSealift = true }: { isSealift?: boolean } = {},
): void {
  if (insecure === true) return;
  if (certificate === undefined)
    throw new SealiftError('certificate-untrusted', `${place} presented no certificate.`);
  const pin = certificatePin(certificate);
  if (pins.length > 0) {
    if (pins.includes(pin)) return;
    throw new SealiftError(
      'pin-mismatch',
      `${place} presented another key (${pin}) than the one that is trusted (${pins.join(', ')}).`,
      {
        hint: `Either the server has a new key, or somebody is in between. Ask its operator; if the key is really new: ${isSealift ? `sealift trust --replace ${calledBy}` : `--pin ${pin}`}`,
        details: { presented: pin, trusted: pins },
      },
    );
  }
  if (certificateProblem === undefined) return;
  const remedy = isSealift && !isCaNamed ? `sealift trust ${calledBy}` : `--pin ${pin}, or --ca FILE`;
  throw problemError(certificateProblem, place, certificate, pin, remedy);
}

function problemError(
  problem: string,
  place: string,
  certificate: NonNullable<Peer['certificate']>,
  pin: string,
  remedy: string,
): SealiftError {
  const error = (code: ErrorCode, message: string, hint: string) =>
    new SealiftError(code, message, { hint, details: { pin } });
  switch (problem) {
    case 'CERT_HAS_EXPIRED':
      return error(
        'certificate-expired',
        `The certificate of ${place} expired on ${certificate.validTo}.`,
        'Its operator has to renew it.',
      );
    case 'CERT_NOT_YET_VALID':
      return error(
        'certificate-not-yet-valid',
        `The certificate of ${place} is valid only from ${certificate.validFrom} on.`,
        'Look at the clocks of both machines.',
      );
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return error(
        'certificate-wrong-name',
        `The certificate of ${place} is for other names (${certificate.subjectAltName ?? certificate.subject}).`,
        'Use one of these names, or have the certificate issued for this one.',
      );
    default:
      return error(
        'certificate-untrusted',
        `${place} presented a certificate that no CA here signed (pin ${pin}; ${problem.toLowerCase().replaceAll('_', ' ')}).`,
        `To trust it: ${remedy}`,
      );
  }
}
