import { sleep, type Clock } from '../clock.ts';
import { SealiftError, toSealiftError } from '../errors.ts';
import type { Random } from '../random.ts';

/** When to try again. Times in milliseconds. */
export interface RetryPolicy {
  /** Attempts after the first that bring nothing. */
  retries: number;
  /** From the first failure that was not followed by progress. */
  maxElapsedMs: number;
  /** The first delay is up to this; each later one up to twice as much. */
  baseDelayMs: number;
  /** No delay is longer. */
  maxDelayMs: number;
}

export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  retries: 8,
  maxElapsedMs: 900_000,
  baseDelayMs: 500,
  maxDelayMs: 30_000,
};

const POLICY_NAMES = Object.keys(DEFAULT_RETRY_POLICY) as (keyof RetryPolicy)[];

/** A failure that is going to be followed by another attempt. */
export interface RetryEvent {
  error: SealiftError;
  /** 1 for the first retry since there was progress. */
  retry: number;
  delayMs: number;
}

/** Progress that operations over one link make together: while one gets on, the others are not given up. */
export interface SharedProgress {
  count: number;
}

export interface RetryOptions {
  policy: RetryPolicy;
  clock: Clock;
  random: Random;
  signal?: AbortSignal | undefined;
  onRetry?: ((event: RetryEvent) => void) | undefined;
  sharedProgress?: SharedProgress | undefined;
}

/**
 * Runs `attempt` until it succeeds, fails for good, or the policy is used up. `attempt` calls `progressed` when
 * the other side, or the partial file, holds more than ever before: only then the count starts afresh. Throws the
 * last error of an attempt, as `retries-exhausted` if it could have been retried, and `invalid-argument` for a policy
 * that would never end.
 */
export async function withRetries<T>(
  options: RetryOptions,
  attempt: (progressed: () => void) => Promise<T>,
): Promise<T> {
  const { policy, clock, random, signal, onRetry, sharedProgress = { count: 0 } } = options;
  assertNumbers(policy);
  let seen = sharedProgress.count;
  let retries = 0;
  let failingSinceMs: number | undefined;
  const progressed = () => {
    sharedProgress.count += 1;
  };
  const noteProgress = () => {
    if (seen === sharedProgress.count) return;
    seen = sharedProgress.count;
    retries = 0;
    failingSinceMs = undefined;
  };
  for (;;) {
    try {
      const result = await attempt(progressed);
      progressed();
      return result;
    } catch (cause) {
      const error = toSealiftError(cause);
      noteProgress();
      if (!error.retryable || signal?.aborted === true) throw error;
      failingSinceMs ??= clock.monotonicMs();
      const delayMs = retryDelay(retries, error, policy, random);
      const isOver =
        retries >= policy.retries || clock.monotonicMs() + delayMs - failingSinceMs > policy.maxElapsedMs;
      if (isOver) throw exhausted(error, retries);
      retries += 1;
      onRetry?.({ error, retry: retries, delayMs });
      await sleep(clock, delayMs, signal);
    }
  }
}

function assertNumbers(policy: RetryPolicy): void {
  for (const name of POLICY_NAMES) {
    const value: unknown = policy[name];
    if (typeof value !== 'number' || Number.isNaN(value))
      throw new SealiftError('invalid-argument', `The ${name} of a retry policy has to be a number.`);
  }
}

/** Full jitter: up to twice as long as before, and anywhere below, so that a thousand clients do not come at once. What the server asks for is the least, within reason. */
export function retryDelay(
  retries: number,
  error: SealiftError,
  policy: RetryPolicy,
  random: Random,
): number {
  const ceiling = Math.min(policy.maxDelayMs, policy.baseDelayMs * 2 ** retries);
  const floor = Math.min(policy.maxDelayMs, error.retryAfterMs ?? 0);
  return Math.max(floor, random.fraction() * ceiling);
}

function exhausted(error: SealiftError, retries: number): SealiftError {
  if (retries === 0) return error;
  return new SealiftError(
    'retries-exhausted',
    `${error.message} Gave up after ${retries} ${retries === 1 ? 'retry' : 'retries'} without progress.`,
    {
      cause: error,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      details: { ...error.details, lastCode: error.code },
    },
  );
}
