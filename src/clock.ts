import { SealiftError } from './errors.ts';

/** The only source of time and of timers, so that a test can make an hour pass at once. */
export interface Clock {
  /** Wall-clock time in milliseconds since 1970; may jump. */
  now(): number;
  /** Milliseconds since some fixed moment; never runs backwards. */
  monotonicMs(): number;
  /** Calls `callback` once after `delayMs`, at once if that is over; the returned function takes that back and may be called again. */
  schedule(delayMs: number, callback: () => void): () => void;
}

/** The longest delay that a Node timer takes (2^31 - 1 ms, 24.8 days); longer ones fire at once. */
const MAX_TIMER_MS = 2_147_483_647;

/** The time of this machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  schedule(delayMs, callback) {
    let timer: NodeJS.Timeout;
    const wait = (leftMs: number) => {
      const next = leftMs > MAX_TIMER_MS ? () => wait(leftMs - MAX_TIMER_MS) : callback;
      timer = setTimeout(next, Math.min(leftMs, MAX_TIMER_MS));
    };
    // Of a negative one Node warns on standard error.
    wait(Math.max(0, delayMs));
    return () => clearTimeout(timer);
  },
};

/** Resolves after `delayMs`; rejects with `aborted` as soon as `signal` fires. */
export async function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  throwIfAborted(signal);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const cancel = clock.schedule(delayMs, resolve);
  const onAbort = () => reject(abortedError(signal));
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    await promise;
  } finally {
    cancel();
    signal?.removeEventListener('abort', onAbort);
  }
}

/** Resolves in the next turn of the event loop, which is no matter of time: what else has come by then is seen to first. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Fires when one of `signals` does; those that are undefined never do. */
export function anySignal(...signals: readonly (AbortSignal | undefined)[]): AbortSignal {
  return AbortSignal.any(signals.filter((signal) => signal !== undefined));
}

/** Throws `aborted` if `signal` has fired, with the signal's own reason as the cause. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortedError(signal);
}

/** The error for an operation that its caller's signal ended: the reason itself where it is one of ours. */
export function abortedError(signal: AbortSignal | undefined): SealiftError {
  if (signal?.reason instanceof SealiftError) return signal.reason;
  return new SealiftError('aborted', 'The operation was aborted.', { cause: signal?.reason });
}

/** The whole milliseconds of a time in nanoseconds: down, also before 1970, so that a time set in milliseconds is read back as the same. */
export function floorMilliseconds(nanoseconds: bigint): number {
  const whole = nanoseconds / 1_000_000n;
  return Number(nanoseconds % 1_000_000n < 0n ? whole - 1n : whole);
}

/**
 * A time as Node's `utimes` takes it, whole to microseconds. Half a microsecond more, so that what a double cannot say
 * exactly does not become the microsecond before. As text, because Node takes a negative number for the present.
 */
export function secondsOf(milliseconds: number): string {
  return String((milliseconds * 1000 + 0.5) / 1_000_000);
}
