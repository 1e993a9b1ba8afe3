import { SealiftError } from '../errors.ts';
import type { Cut, Direction } from './fault-cut.ts';

/** Both directions. */
export const DIRECTIONS: readonly Direction[] = ['up', 'down'];

/** One value for both directions, or one for each that is concerned. */
export type PerDirection = number | { readonly up?: number; readonly down?: number };

/** What goes wrong on the way; nothing does by default. Positions and counts of bytes are per connection. */
export interface Faults {
  /** How much later everything arrives, in milliseconds, order kept. */
  readonly latencyMs?: PerDirection;
  /** Up to so many milliseconds more, at random for each piece that was read. */
  readonly jitterMs?: PerDirection;
  /** The rate of each connection, at least 1. */
  readonly bytesPerSecond?: PerDirection;
  /** Forwards in pieces of so many bytes, each in its own turn of the event loop. */
  readonly splitBytes?: PerDirection;
  /** Flips the lowest bit of the byte at this position, counted from 0. */
  readonly corruptAtByte?: PerDirection;
  /** Forwards so many bytes, then no more until other faults are set. */
  readonly stallAfterBytes?: PerDirection;
  readonly cut?: Cut;
  /** Resets all connections that are open, each time so many milliseconds have passed; at least 1. */
  readonly resetEveryMs?: number;
  /** Closes a new connection at once. */
  readonly refuse?: boolean;
  /** Accepts a new connection, and neither reads from it nor connects to the target. */
  readonly blackhole?: boolean;
}

/** The faults that have a number for each direction, and the least that makes sense. */
const LEAST = {
  latencyMs: 0,
  jitterMs: 0,
  bytesPerSecond: 1,
  splitBytes: 1,
  corruptAtByte: 0,
  stallAfterBytes: 0,
} as const satisfies Partial<Record<keyof Faults, number>>;

/** The name of a fault that is a number. */
export type NumericFault = keyof typeof LEAST;

/** The number that `fault` has in `direction`; undefined if it does not concern it. */
export function valueOf(faults: Faults, fault: NumericFault, direction: Direction): number | undefined {
  const value = faults[fault];
  return typeof value === 'object' ? value[direction] : value;
}

/** Throws `invalid-argument` for a number that makes no sense. */
export function checkFaults(faults: Faults): void {
  for (const fault of Object.keys(LEAST) as NumericFault[]) {
    for (const direction of DIRECTIONS) checkNumber(fault, valueOf(faults, fault, direction), LEAST[fault]);
  }
  checkNumber('cut.afterBytes', faults.cut?.afterBytes, 0);
  checkNumber('cut.times', faults.cut?.times, 0);
  checkNumber('resetEveryMs', faults.resetEveryMs, 1);
}

function checkNumber(name: string, value: number | undefined, least: number): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= least)) return;
  throw new SealiftError('invalid-argument', `${name} must be a whole number from ${least}, not ${value}.`);
}
