import { X509Certificate } from 'node:crypto';

import type { Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import type { Peer } from '../transport/peer.ts';
import { daysUntil } from './certificate-facts.ts';
import { DAY_MS } from './validity.ts';
import type { ServerTrust } from './verify-server.ts';

/** A certificate on which connecting depends, and which ends soon or has ended. */
export interface ExpiringCertificate {
  whose: 'server' | 'client';
  /** The server's address, as people write it. */
  place: string;
  /** Milliseconds since 1970. */
  endsMs: number;
  /** Whole days; negative when it is over. */
  daysLeft: number;
}

/** How long before its end a certificate counts as expiring. */
export const EXPIRING_DAYS = 30;

/** The certificate that a server was just believed for, if it is expiring. Where a pin decides, or nothing does, its dates mean nothing. */
export function expiringServer(
  { certificate }: Peer,
  place: string,
  { pins = [], insecure }: ServerTrust,
  clock: Clock,
): ExpiringCertificate | undefined {
  if (certificate === undefined || pins.length > 0 || insecure === true) return undefined;
  return ifExpiring('server', certificate, place, clock);
}

/** The certificate (PEM) that a client will present, if it is expiring. Throws `bad-configuration` if it is none. */
export function expiringClient(pem: string, place: string, clock: Clock): ExpiringCertificate | undefined {
  return ifExpiring('client', clientCertificate(pem, place), place, clock);
}

function clientCertificate(pem: string, place: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new SealiftError('bad-configuration', `The certificate for ${place} cannot be used: ${reason}.`, {
      cause,
    });
  }
}

function ifExpiring(
  whose: ExpiringCertificate['whose'],
  { validToDate }: X509Certificate,
  place: string,
  clock: Clock,
): ExpiringCertificate | undefined {
  const endsMs = validToDate.getTime();
  if (endsMs - clock.now() > EXPIRING_DAYS * DAY_MS) return undefined;
  return { whose, place, endsMs, daysLeft: daysUntil(endsMs, clock) };
}
