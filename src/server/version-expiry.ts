import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import type { Store } from '../storage/store.ts';

/** The pause between two rounds, in milliseconds: no version outlives its age by more. */
const INTERVAL_MS = 3_600_000;

/** What a round goes through. */
export interface VersionExpiryOptions {
  /** Where there may be versions. Never rejects. */
  directories: () => Promise<readonly (string | undefined)[]>;
  /** Runs `task` with the store in one of them. */
  visit: (directory: string | undefined, task: (store: Store) => Promise<void>) => Promise<void>;
  clock: Clock;
  logger: Logger;
}

/** Lets stores remove versions that are too old: at once, and from then on every hour, also where no client ever comes. */
export class VersionExpiry {
  readonly #options: VersionExpiryOptions;
  readonly #ended = new AbortController();
  #running = Promise.resolve();
  #cancelNext: () => void = () => undefined;

  constructor(options: VersionExpiryOptions) {
    this.#options = options;
  }

  /** Begins. */
  start(): void {
    this.#running = this.#run();
  }

  /** Ends it, also in the middle of its work. May be called again. */
  async close(): Promise<void> {
    this.#ended.abort();
    this.#cancelNext();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { directories, clock } = this.#options;
    const { signal } = this.#ended;
    for (const directory of await directories()) if (!signal.aborted) await this.#expireIn(directory);
    if (!signal.aborted) this.#cancelNext = clock.schedule(INTERVAL_MS, () => this.start());
  }

  async #expireIn(directory: string | undefined): Promise<void> {
    const { visit, logger } = this.#options;
    const { signal } = this.#ended;
    try {
      await visit(directory, (store) => store.expireVersions({ signal }));
    } catch (error) {
      if (!signal.aborted) logger.error({ err: error, directory }, 'removing old versions failed');
    }
  }
}
