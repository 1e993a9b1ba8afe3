import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import type { Store } from '../storage/store.ts';

/** The pause between two looks at the versions, in milliseconds: none outlives its age by more. */
const INTERVAL_MS = 3_600_000;

/** Lets a store remove versions that are too old: at once, and from then on every hour, also where no client ever comes. */
export class VersionExpiry {
  readonly #parts: { store: Store; clock: Clock; logger: Logger };
  readonly #ended = new AbortController();
  #running = Promise.resolve();
  #cancelNext: () => void = () => undefined;

  constructor(parts: { store: Store; clock: Clock; logger: Logger }) {
    this.#parts = parts;
  }

  /** Begins; nothing happens if the store keeps no versions. */
  start(): void {
    if (this.#parts.store.features.versions) this.#running = this.#run();
  }

  /** Ends it, also in the middle of its work. May be called again. */
  async close(): Promise<void> {
    this.#ended.abort();
    this.#cancelNext();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { store, clock, logger } = this.#parts;
    const { signal } = this.#ended;
    try {
      await store.expireVersions({ signal });
    } catch (error) {
      if (!signal.aborted) logger.error({ err: error }, 'removing old versions failed');
    }
    if (!signal.aborted) this.#cancelNext = clock.schedule(INTERVAL_MS, () => this.start());
  }
}
