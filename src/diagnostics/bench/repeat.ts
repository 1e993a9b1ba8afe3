import { nextTurn, throwIfAborted, type Clock } from '../../clock.ts';
import { SealiftError } from '../../errors.ts';
import { latencyOf } from '../latency.ts';
import type { Measurement } from './measurement.ts';

/** How far one measurement may go. It ends by whichever comes first. */
export interface Bounds {
  /** In milliseconds. What was begun by then is still waited for. */
  durationMs: number;
  /** Of content; never exceeded. */
  maxBytes: number;
  clock: Clock;
  signal: AbortSignal;
}

/** What is done again and again. */
export interface Work {
  /** Of content, each time. 0: bytes do not count. */
  bytes: number;
  /** How many at once. */
  concurrency: number;
  /** Does it once; `index` counts from 0. */
  once: (index: number) => Promise<unknown>;
  /** What it cannot go beyond, whatever the bounds are. */
  atMost?: Pick<Bounds, 'durationMs'> & { bytes: number };
}

/** Blocks on their way at once on a connection: as many as a server of this project takes in before it answers one. */
export const BLOCKS_IN_FLIGHT = 8;

/** What came of it. */
export type Figures = Omit<Measurement, 'kind' | 'name'>;

/** Repeats `work` until the bounds are reached, but once at least. Throws `aborted`, and what `once` throws. */
export async function repeat(
  { bytes, concurrency, once, atMost = { durationMs: Infinity, bytes: Infinity } }: Work,
  { clock, signal, ...bounds }: Bounds,
): Promise<Figures> {
  const durationMs = Math.min(bounds.durationMs, atMost.durationMs);
  const maxCount = bytes === 0 ? Infinity : Math.floor(Math.min(bounds.maxBytes, atMost.bytes) / bytes);
  const startMs = clock.monotonicMs();
  const times: number[] = [];
  let begun = 0;
  const isOver = () => begun > 0 && (begun >= maxCount || clock.monotonicMs() - startMs >= durationMs);
  const lane = async () => {
    for (;;) {
      await nextTurn();
      throwIfAborted(signal);
      // Judged and counted without a pause between them: the lanes share what is left.
      if (isOver()) return;
      const beganMs = clock.monotonicMs();
      await once(begun++);
      times.push(clock.monotonicMs() - beganMs);
    }
  };
  const lanes = Array.from({ length: concurrency }, lane);
  await Promise.all(lanes).catch((error: unknown) => {
    begun = Infinity;
    throw error;
  });
  const latency = latencyOf(times);
  if (latency === undefined) throw new SealiftError('internal', 'Nothing was measured.');
  const seconds = (clock.monotonicMs() - startMs) / 1_000;
  return { count: times.length, seconds, bytes: bytes * times.length, latency };
}
