/**
 * Tasks that several take from, each as fast as it gets on. What somebody could not do is given back, for whoever
 * asks next.
 */
export class SharedTasks<T extends object> {
  readonly #fresh: AsyncIterator<T>;
  readonly #givenBack: T[] = [];
  /** What was made and not taken yet, since something that was given back came before it. */
  readonly #made: T[] = [];
  #isMaking = false;
  #isExhausted = false;
  #failure: { error: unknown } | undefined;
  #isStopped = false;
  #underWay = 0;
  #changed = Promise.withResolvers<void>();

  constructor(tasks: AsyncIterable<T>) {
    this.#fresh = tasks[Symbol.asyncIterator]();
  }

  /** The next task; undefined once all are done. Waits while what is under way may still be given back. Throws what the tasks throw. */
  async take(): Promise<T | undefined> {
    while (!this.#isStopped) {
      const task = this.#givenBack.shift() ?? this.#made.shift();
      if (task !== undefined) {
        this.#underWay += 1;
        return task;
      }
      if (this.#failure) throw this.#failure.error;
      if (!this.#isExhausted) void this.#make();
      else if (this.#underWay === 0) return undefined;
      // Not only for a fresh one: that may have to wait until what was given back is done.
      await this.#changed.promise;
    }
    return undefined;
  }

  /** A task that was taken is done. */
  done(): void {
    this.#underWay -= 1;
    this.#tell();
  }

  /** A task that was taken is to be done by somebody else. */
  giveBack(task: T): void {
    this.#givenBack.push(task);
    this.done();
  }

  /** Gives no more tasks out; resolves when none is being made any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#tell();
    await this.#fresh.return?.();
  }

  async #make(): Promise<void> {
    if (this.#isMaking) return;
    this.#isMaking = true;
    try {
      const next = await this.#fresh.next();
      if (next.done === true) this.#isExhausted = true;
      else this.#made.push(next.value);
    } catch (error) {
      this.#failure = { error };
    }
    this.#isMaking = false;
    this.#tell();
  }

  #tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
