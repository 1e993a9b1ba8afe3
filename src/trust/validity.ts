import type { Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import type { Validity } from './signed-certificate.ts';

const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

/** What nobody means, and dates in certificates still can say. */
const MAX_DAYS = 36_500;

/** Valid for so many days, from an hour ago, for those whose clock is behind, and not beyond `latest`. */
export function validFor(days: number, clock: Clock, latest?: Date): Validity {
  assertDays(days);
  const notBeforeMs = clock.now() - HOUR_MS;
  const notAfterMs = notBeforeMs + days * DAY_MS;
  return {
    notBefore: new Date(notBeforeMs),
    notAfter: new Date(Math.min(notAfterMs, latest?.getTime() ?? Infinity)),
  };
}

/** Throws `invalid-argument` unless that is a number of days for which something can be valid. */
export function assertDays(days: number): void {
  if (Number.isInteger(days) && days >= 1 && days <= MAX_DAYS) return;
  throw new SealiftError('invalid-argument', `Nothing is valid for ${days} days: it is 1 to ${MAX_DAYS}.`);
}
