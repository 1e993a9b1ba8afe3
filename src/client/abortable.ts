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
