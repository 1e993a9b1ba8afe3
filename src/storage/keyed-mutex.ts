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
    const each = typeof keys === 'string' ? [keys] : [...new Set(keys)];
    const wanted = each.map((key) => `${this.#prefix}${key}`);
    const { promise: done, resolve } = Promise.withResolvers<void>();
    // All tails are replaced in the same turn, so two tasks can never wait for each other.
    const before = wanted.map((key) => this.#tails.get(key)).filter((tail) => tail !== undefined);
    for (const key of wanted) this.#tails.set(key, done);
    try {
      // The usual case, for each of many small files.
      if (before.length > 0) await Promise.all(before);
      return await task();
    } finally {
      for (const key of wanted) if (this.#tails.get(key) === done) this.#tails.delete(key);
      resolve();
    }
  }
}
