/** Runs `task` for every item, `limit` at once, begun in their order. Throws the first failure, once those under way have ended; no further one is begun then. */
export async function forEachConcurrently<T>(
  items: AsyncIterable<T>,
  limit: number,
  task: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.asyncIterator]();
  let failure: { error: unknown } | undefined;
  const isOver = () => failure !== undefined;
  const work = async () => {
    try {
      while (!isOver()) {
        const next = await iterator.next();
        // Another may have failed while this one waited for its item.
        if (next.done === true || isOver()) return;
        await task(next.value);
      }
    } catch (error) {
      failure ??= { error };
    }
  };
  await Promise.all(Array.from({ length: limit }, work));
  await iterator.return?.();
  if (failure !== undefined) throw failure.error;
}

/** The results of `task` in the order of the items, while up to `limit` are worked on at once. */
export async function* mapConcurrently<T, R>(
  items: AsyncIterable<T> | Iterable<T>,
  limit: number,
  task: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const working: Promise<R>[] = [];
  try {
    for await (const item of items) {
      const result = task(item);
      // Whoever takes the results sees the failure; meanwhile it is nobody's.
      result.catch(() => undefined);
      working.push(result);
      const first = working.length >= limit ? working.shift() : undefined;
      if (first !== undefined) yield await first;
    }
    for (let first = working.shift(); first !== undefined; first = working.shift()) yield await first;
  } finally {
    await Promise.allSettled(working);
  }
}

/** Takes items as fast as they come, from now on, and keeps them until they are wanted. The failure of `items` comes after them. */
export class Ahead<T> implements AsyncIterable<T> {
  #waiting: T[] = [];
  #more = Promise.withResolvers<void>();
  #isOver = false;
  #isWanted = true;
  #failure: { error: unknown } | undefined;
  readonly #taking: Promise<void>;

  constructor(items: AsyncIterable<T>) {
    this.#taking = this.#take(items).catch((error: unknown) => {
      this.#failure = { error };
    });
    void this.#taking.finally(() => {
      this.#isOver = true;
      this.#more.resolve();
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    try {
      for (let batch = await this.#next(); batch !== undefined; batch = await this.#next()) yield* batch;
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

  async #take(items: AsyncIterable<T>): Promise<void> {
    for await (const item of items) {
      if (!this.#isWanted) return;
      this.#waiting.push(item);
      this.#more.resolve();
    }
  }
}
