import { sleep, systemClock, type Clock } from '../clock.ts';
import { SealiftError, toSealiftError } from '../errors.ts';
import { formatDuration } from '../units.ts';

/** How to ping. Times in milliseconds. */
export interface PingOptions {
  /** Infinity: until `signal` fires. */
  count: number;
  /** From the beginning of one to that of the next. */
  intervalMs: number;
  /** An answer that takes longer is lost. */
  waitMs: number;
  clock?: Clock | undefined;
  signal: AbortSignal;
}

/** What came of one ping: how long it took, or why no answer came. */
export type PingOutcome<T> = { sequence: number } & Answered<T>;

type Answered<T> = { reply: T; failure?: never } | { reply?: never; failure: SealiftError };

/** One question and its answer; to be given up when `signal` fires. */
export type Probe<T> = (signal: AbortSignal) => Promise<T>;

/**
 * Asks again and again, one question at a time. What may be better the next time (no answer in time, a connection
 * that broke) is an outcome; throws what will not. Ends early, without an outcome for what is under way, when
 * `signal` fires.
 */
export async function* ping<T>(
  probe: Probe<T>,
  { count, intervalMs, waitMs, clock = systemClock, signal }: PingOptions,
): AsyncGenerator<PingOutcome<T>> {
  const isOver = () => signal.aborted;
  for (let sequence = 1; sequence <= count && !isOver(); sequence += 1) {
    const startMs = clock.monotonicMs();
    const outcome = await answered(() => inTime(probe, { waitMs, clock, signal }));
    if (isOver()) return;
    if (outcome.failure?.retryable === false) throw outcome.failure;
    yield { sequence, ...outcome };
    const pauseMs = startMs + intervalMs - clock.monotonicMs();
    if (sequence < count && pauseMs > 0) await sleep(clock, pauseMs, signal).catch(() => undefined);
  }
}

async function answered<T>(ask: () => Promise<T>): Promise<Answered<T>> {
  try {
    return { reply: await ask() };
  } catch (error) {
    return { failure: toSealiftError(error) };
  }
}

async function inTime<T>(
  probe: Probe<T>,
  { waitMs, clock, signal }: { waitMs: number; clock: Clock; signal: AbortSignal },
): Promise<T> {
  const deadline = new AbortController();
  const cancel = clock.schedule(waitMs, () =>
    deadline.abort(new SealiftError('stalled', `No answer came within ${formatDuration(waitMs)}.`)),
  );
  try {
    return await probe(AbortSignal.any([deadline.signal, signal]));
  } finally {
    cancel();
  }
}
