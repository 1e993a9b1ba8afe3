/** So many may wait that the disk and the network work at once, and no more. */
const MAX_PENDING_WRITES = 4;

/**
 * Blocks on their way to the disk, while the next ones are being received. Nobody waits for a single write: what fails
 * shows when another is added, or when `throwFailure` is asked at the end.
 */
export class PendingWrites {
  readonly #pending = new Set<Promise<void>>();
  #failure: { error: unknown } | undefined;

  /** Begins `write`; resolves when there is place for the next. Throws the first failure of any before. */
  async add(write: () => Promise<void>): Promise<void> {
    this.throwFailure();
    const pending = write()
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#pending.delete(pending));
    this.#pending.add(pending);
    if (this.#pending.size >= MAX_PENDING_WRITES) await Promise.race(this.#pending);
  }

  /** Resolves when none is under way; never rejects. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending);
  }

  /** Throws the first failure so far, if there was one. */
  throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }
}
