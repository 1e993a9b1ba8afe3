import { abortedError, throwIfAborted } from '../clock.ts';

/** Settles as `task` does, or rejects with `aborted` as soon as `signal` fires; the task itself then goes on unwatched. */
export async function abortable<T>(task: T | Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return task;
  if (!(task instanceof Promise)) {
    throwIfAborted(signal);
    return task;
  }
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(abortedError(signal));
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([task, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/**
 * Runs `task`, and beside it `work`, which is of use only meanwhile: the signal of the work fires when the task has ended.
 * What goes wrong with the work ends both, by the signal of the task. Settles when both have.
 */
export async function whileBusy<T>(
  work: (over: AbortSignal) => Promise<void>,
  task: (failed: AbortSignal) => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const failed = new AbortController();
  const working = work(over.signal).catch((error: unknown) => failed.abort(error));
  try {
    return await task(failed.signal);
  } finally {
    over.abort();
    await working;
    failed.signal.throwIfAborted();
  }
}
