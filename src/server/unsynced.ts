import type { Store } from '../storage/store.ts';
import { isWithin } from '../transfer/remote-path.ts';

/**
 * Paths remembered before they are synced unasked, while more are published: so a client that never says `sync` does
 * not fill the memory, and one that does at the end of a large tree finds nearly all of it on disk.
 */
const MAX_REMEMBERED = 1_024;

/** What one connection published with durability `memory`, until it is on disk. */
export class Unsynced {
  readonly #store: Store;
  #paths = new Set<string>();
  #syncing: Promise<void> = Promise.resolve();
  #failure: { error: unknown } | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Remembers `path`; resolves at once, unless so much is waiting that the disk has to be waited for. */
  async add(path: string): Promise<void> {
    this.#paths.add(path);
    if (this.#paths.size < MAX_REMEMBERED) return;
    await this.#syncing;
    this.#begin();
  }

  /** What is being synced is, before it goes elsewhere and would not be found. */
  async settled(): Promise<void> {
    await this.#syncing;
  }

  /** What stood under `from` has to be synced where it stands now. */
  moved(from: string, to: string): void {
    for (const path of [...this.#paths])
      if (isWithin(path, from)) this.#paths.add(`${to}${path.slice(from.length)}`);
  }

  /**
   * Resolves once everything remembered is on disk. Throws the first failure since the last call: what was
   * remembered until then is void, and forgotten, since a sync that is said again after a failure would lie.
   */
  async sync(): Promise<void> {
    this.#begin();
    await this.#syncing;
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) throw failure.error;
  }

  // What is published meanwhile waits for the next one.
  #begin(): void {
    const paths = [...this.#paths];
    this.#paths = new Set();
    this.#syncing = this.#syncing
      .then(() => this.#store.sync(paths))
      .catch((error: unknown) => {
        this.#failure ??= { error };
      });
  }
}
