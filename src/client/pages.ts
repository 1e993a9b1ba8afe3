import type { Message } from '../protocol/decoder.ts';
import type { RequestOptions } from './requests.ts';

/**
 * Turns an answer of many parts into something to iterate over. The next part is read from the connection only
 * when all items of the one before were taken; who stops early cancels the request.
 */
export async function* pagesOf<T>(
  send: (options: Pick<RequestOptions, 'onPart' | 'signal'>) => Promise<Message>,
  items: (part: Message) => T[],
  signal: AbortSignal | undefined,
): AsyncGenerator<T> {
  const stopped = new AbortController();
  let taken = Promise.withResolvers<void>();
  let next = Promise.withResolvers<Message | undefined>();
  const deliver = async (part: Message | undefined) => {
    taken = Promise.withResolvers();
    next.resolve(part);
    await taken.promise;
  };
  let failure: { error: unknown } | undefined;
  const both = signal === undefined ? stopped.signal : AbortSignal.any([signal, stopped.signal]);
  const answered = send({ onPart: deliver, signal: both }).then(
    async (last) => {
      await deliver(last);
      next.resolve(undefined);
    },
    (error: unknown) => {
      // While the reader is at a page nobody waits for the next.
      failure = { error };
      next.reject(error);
    },
  );
  // A failure after the reader has left is of no interest to anybody.
  const forget = () => undefined;
  try {
    for (;;) {
      const part = await next.promise;
      if (part === undefined) return;
      yield* items(part);
      next = Promise.withResolvers();
      next.promise.catch(forget);
      taken.resolve();
      if (failure !== undefined) throw failure.error;
    }
  } finally {
    taken.resolve();
    stopped.abort();
    await answered;
  }
}
