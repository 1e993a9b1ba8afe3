import type { Latency } from '../latency.ts';

/** What is measured, in the order of the report. */
export const MEASUREMENT_KINDS = [
  'round-trip',
  'handshake',
  'plain',
  'cipher',
  'streams',
  'copy',
  'hash',
  'stored',
  'disk',
] as const;
export type MeasurementKind = (typeof MEASUREMENT_KINDS)[number];

/** Those whose bytes go somewhere, over a network or to a disk. */
export const MOVING: ReadonlySet<MeasurementKind> = new Set(['plain', 'cipher', 'streams', 'stored', 'disk']);

/** What was measured of one kind. */
export interface Measurement {
  kind: MeasurementKind;
  /** Which of its kind: the cipher suite, the count of streams, the hash function. */
  name: string;
  /** How often it was done, and over which time, in seconds. */
  count: number;
  seconds: number;
  /** Of content, one way; 0 where none counts. */
  bytes: number;
  /** Of each single time, in milliseconds. */
  latency: Latency;
}

/** What could not be measured, and why. */
export interface Unmeasured {
  kind: MeasurementKind;
  name: string;
  reason: string;
}

/** Bytes of content a second. */
export function rateOf({ bytes, seconds }: Pick<Measurement, 'bytes' | 'seconds'>): number {
  return seconds === 0 ? 0 : bytes / seconds;
}
