/** Lets one task at a time into the room of a key; tasks of other keys do not wait. First come, first served. */
export class KeyedMutex {
  readonly #tails: Map<string, Promise<void>>;
  readonly #prefix: string;

  constructor(tails = new Map<string, Promise<void>>(), prefix = '') {
    this.#tails = tails;
    this.#prefix = prefix;
  }

  /** The same rooms for keys to which `prefix` belongs. */
  below(prefix: string): KeyedMutex {
    return new KeyedMutex(this.#tails, `${this.#prefix}${prefix}`);
  }

  /** Runs `task` alone among those of `keys` (one, or several that are taken together). */
  async run<T>(keys: string | readonly string[], task: () => Promise<T>): Promise<T> {
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const names = (typeof keys === 'string' ? [keys] : keys).map((key) => `${this.#prefix}${key}`);
    const before: Promise<void>[] = [];
    // All tails are replaced in the same turn, so two tasks can never wait for each other.
    for (const name of names) {
      const tail = this.#tails.get(name);
      if (tail !== undefined && tail !== done) before.push(tail);
      this.#tails.set(name, done);
    }
    try {
      // Usually none: a wait for nothing would cost something for each of many small files.
      if (before.length > 0) await Promise.all(before);
      return await task();
    } finally {
      for (const name of names) if (this.#tails.get(name) === done) this.#tails.delete(name);
      resolve();
    }
  }
}
