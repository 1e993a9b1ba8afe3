import { anySignal } from '../clock.ts';
import { SealiftError, toSealiftError } from '../errors.ts';
import type { Message } from '../protocol/decoder.ts';
import type { RequestOptions } from './requests.ts';

/** Bytes of pages that may have come and not been taken: the listing of a few million files. */
const MAX_WAITING_BYTES = 256 * 2 ** 20;

/**
 * Turns an answer of many parts into something to iterate over, page by page. What comes faster than it is taken waits in memory:
 * if the connection waited instead, who asks something else for each page would wait for ever. Who stops early
 * cancels the request.
 */
export async function* pagesOf<T>(
  send: (options: Pick<RequestOptions, 'onPart' | 'signal'>) => Promise<Message>,
  items: (part: Message) => T[],
  signal: AbortSignal | undefined,
): AsyncGenerator<T[]> {
  const waiting: Message[] = [];
  let waitingBytes = 0;
  let more = Promise.withResolvers<void>();
  const deliver = (part: Message) => {
    waitingBytes += part.content.length;
    if (waitingBytes > MAX_WAITING_BYTES) {
      throw new SealiftError(
        'too-large',
        'The server sent more of a listing than can be kept until it is read.',
      );
    }
    waiting.push(part);
    more.resolve();
  };
  const stopped = new AbortController();
  const both = anySignal(signal, stopped.signal);
  let end: { failure?: SealiftError } | undefined;
  const answered = send({ onPart: deliver, signal: both })
    .then(deliver)
    .then(
      () => (end = {}),
      (error: unknown) => (end = { failure: toSealiftError(error) }),
    )
    .finally(() => more.resolve());
  try {
    for (;;) {
      await more.promise;
      more = Promise.withResolvers();
      for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) {
        yield items(part);
        waitingBytes -= part.content.length;
        if (end?.failure !== undefined) throw end.failure;
      }
      if (end !== undefined && waiting.length === 0) {
        if (end.failure !== undefined) throw end.failure;
        return;
      }
    }
  } finally {
    stopped.abort();
    await answered;
  }
}
