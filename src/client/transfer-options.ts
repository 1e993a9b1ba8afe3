import { systemClock, type Clock } from '../clock.ts';
import type { SealiftError } from '../errors.ts';
import { systemRandom, type Random } from '../random.ts';
import {
  DEFAULT_RETRY_POLICY,
  withRetries,
  type RetryEvent,
  type RetryPolicy,
  type SharedProgress,
} from './retry.ts';
import type { TransferProgress } from './transfer-progress.ts';

/** What uploads and downloads have in common. */
export interface TransferOptions {
  /** Default: 8 retries without progress, 15 minutes. */
  retry?: RetryPolicy;
  /** Ends it, which then throws `aborted`. What has arrived is kept where it can be resumed. */
  signal?: AbortSignal;
  onProgress?: (progress: TransferProgress) => void;
  onRetry?: (event: RetryEvent) => void;
  /** Connections for one file of more than a block. Default 1. */
  streams?: number | undefined;
  /** Called when one of several connections was given up; the others go on. */
  onStreamLost?: ((error: SealiftError) => void) | undefined;
  /** Waits until so many bytes may be moved: a limit of the rate. Of a file of more than a block, as they travel. With `signal` they will not be. */
  throttle?: ((bytes: number, signal?: AbortSignal) => Promise<void>) | undefined;
  clock?: Clock;
  random?: Random;
  /** Of all transfers that share a link, as the files of a tree do. */
  sharedProgress?: SharedProgress;
}

/** Runs the attempts of a transfer, and counts in `run` how often it was tried again. */
export function retrying<T>(
  {
    retry = DEFAULT_RETRY_POLICY,
    clock = systemClock,
    random = systemRandom,
    signal,
    onRetry,
    sharedProgress,
  }: TransferOptions,
  run: { retries: number },
  attempt: (progressed: () => void) => Promise<T>,
): Promise<T> {
  const count = (event: RetryEvent) => {
    run.retries += 1;
    onRetry?.(event);
  };
  return withRetries({ policy: retry, clock, random, signal, onRetry: count, sharedProgress }, attempt);
}
