/**
 * Items as they come, several together: to hand each of many thousand through every stage by itself would cost more
 * than what is done with it.
 */
export type Batches<T> = AsyncIterable<readonly T[]> | Iterable<readonly T[]>;

/** How many at once, from 1: so many, or as many as may be just now. */
export type Limit = number | (() => number);

/**
 * Runs `task` for every item, `limit` at once, begun in their order. Throws the first failure, once those under way have
 * ended; no further one is begun then, nor once `isWanted` says no.
 */
export async function forEachConcurrently<T>(
  batches: Batches<T>,
  limit: Limit,
  task: (item: T) => Promise<void>,
  isWanted: () => boolean = () => true,
): Promise<void> {
  const iterator =
    Symbol.asyncIterator in batches ? batches[Symbol.asyncIterator]() : batches[Symbol.iterator]();
  let failure: { error: unknown } | undefined;
  let batch: readonly T[] = [];
  let position = 0;
  let more: Promise<boolean> | undefined;
  let hasMore = true;
  let workers = 0;
  const ended = Promise.withResolvers<void>();
  const isOver = () => failure !== undefined || !isWanted();
  const nextBatch = async () => {
    const next = await iterator.next();
    more = undefined;
    hasMore = next.done !== true;
    batch = next.done === true ? [] : next.value;
    position = 0;
    return hasMore;
  };
  const work = async () => {
    workers += 1;
    try {
      while (!isOver() && workers <= now(limit)) {
        if (position < batch.length) await task(batch[position++] as T);
        else if (!(await (more ??= nextBatch()))) break;
        if (hasMore && workers < now(limit)) begin();
      }
    } catch (error) {
      failure ??= { error };
    }
    workers -= 1;
    if (workers === 0) ended.resolve();
  };
  // A worker may end in the very call that begins it.
  const begin = () => {
    for (let free = now(limit) - workers; free > 0; free -= 1) void work();
  };
  begin();
  await ended.promise;
  await iterator.return?.();
  if (failure !== undefined) throw failure.error;
}

/** The results of `task` in the order of the items, while up to `limit` are worked on at once. */
export async function* mapConcurrently<T, R>(
  items: AsyncIterable<T> | Iterable<T>,
  limit: Limit,
  task: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const working: Promise<R>[] = [];
  try {
    for await (const item of items) {
      const result = task(item);
      // Whoever takes the results sees the failure; meanwhile it is nobody's.
      result.catch(() => undefined);
      working.push(result);
      while (working.length >= now(limit)) yield (await working.shift()) as R;
    }
    for (let first = working.shift(); first !== undefined; first = working.shift()) yield await first;
  } finally {
    await Promise.allSettled(working);
  }
}

function now(limit: Limit): number {
  // Also where it is no number: with nobody at work nothing would ever end.
  return Math.max(1, typeof limit === 'number' ? limit : limit()) || 1;
}

/** The items of batches, one by one. */
export async function* each<T>(batches: Batches<T>): AsyncGenerator<T> {
  for await (const batch of batches) yield* batch;
}

/** Takes items as fast as they come, from now on, and gives all that wait when they are wanted. The failure of `batches` comes after them. */
export class Ahead<T> implements AsyncIterable<T[]> {
  #waiting: T[] = [];
  #more = Promise.withResolvers<void>();
  #isOver = false;
  #isWanted = true;
  #failure: { error: unknown } | undefined;
  readonly #taking: Promise<void>;

  constructor(batches: Batches<T>) {
    this.#taking = this.#take(batches).catch((error: unknown) => {
      this.#failure = { error };
    });
    void this.#taking.finally(() => {
      this.#isOver = true;
      this.#more.resolve();
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T[]> {
    try {
      for (let batch = await this.#next(); batch !== undefined; batch = await this.#next()) yield batch;
    } finally {
      await this.stop();
    }
  }

  /** Takes no more items. May be called again. */
  async stop(): Promise<void> {
    this.#isWanted = false;
    await this.#taking;
  }

  /** All that has come since the last call, at least one item; undefined when there are no more. */
  async #next(): Promise<T[] | undefined> {
    await this.#more.promise;
    if (!this.#isOver) this.#more = Promise.withResolvers();
    const batch = this.#waiting;
    this.#waiting = [];
    if (batch.length > 0) return batch;
    if (this.#failure !== undefined) throw this.#failure.error;
    return this.#isOver ? undefined : this.#next();
  }

  async #take(batches: Batches<T>): Promise<void> {
    for await (const batch of batches) {
      if (!this.#isWanted) return;
      for (const item of batch) this.#waiting.push(item);
      this.#more.resolve();
    }
  }
}
