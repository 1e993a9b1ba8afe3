import { abortedError } from '../clock.ts';

/** Settles as `task` does, or rejects with `aborted` as soon as `signal` fires; the task itself then goes on unwatched. */
export async function abortable<T>(task: T | Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return task;
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

/** Runs `task`, and meanwhile `work`, whose signal fires when the task has ended. Settles when both have: as the task does, or with what went wrong with the work. */
export async function whileBusy<T>(
  work: (over: AbortSignal) => Promise<void>,
  task: () => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const working = work(over.signal);
  // It is looked at once the task has ended.
  working.catch(() => undefined);
  try {
    const result = await task();
    over.abort();
    await working;
    return result;
  } catch (error) {
    over.abort();
    await working.catch(() => undefined);
    throw error;
  }
}
