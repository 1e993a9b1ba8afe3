import type { Store } from '../storage/store.ts';
import { isWithin } from '../transfer/remote-path.ts';

/**
 * Paths remembered before they are synced unasked, while more are published: so a client that never says `sync` does
 * not fill the memory, and one that does at the end of a large tree finds nearly all of it on disk.
 */
const MAX_REMEMBERED = 1_024;

/**
 * What all connections to a store published with durability `memory`. Their syncs and moves go in the order in which they were
 * begun: what one connection published, another may move away while it is synced under the name that it had.
 */
export class UnsyncedByAll {
  readonly #store: Store;
  readonly #connections = new Set<Unsynced>();
  /** Resolves when the moves that were begun so far have ended. */
  #moves: Promise<void> = Promise.resolve();

  constructor(store: Store) {
    this.#store = store;
  }

  /** For a new connection, which leaves it in the end. */
  enter(): Unsynced {
    const unsynced = new Unsynced(this.#store, () => this.#moves);
    this.#connections.add(unsynced);
    return unsynced;
  }

  /** What the connection published stays void unless it was synced. */
  leave(unsynced: Unsynced): void {
    this.#connections.delete(unsynced);
  }

  /** Runs `move`, by which what stands under `from` comes to stand under `to`, also for the next sync of whoever published it. */
  async moving<T>(from: string, to: string, move: () => Promise<T>): Promise<T> {
    const syncs = [...this.#connections].map((unsynced) => unsynced.settled());
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    this.#moves = this.#moves.then(() => ended);
    try {
      await Promise.all(syncs);
      const result = await move();
      for (const unsynced of this.#connections) unsynced.moved(from, to);
      return result;
    } finally {
      end();
    }
  }
}

/** What one connection published with durability `memory`, until it is on disk. */
export class Unsynced {
  readonly #store: Store;
  readonly #moves: () => Promise<void>;
  #paths = new Set<string>();
  #syncing: Promise<void> = Promise.resolve();
  #failure: { error: unknown } | undefined;

  /** `moves`: resolves when the moves that were begun so far have ended. */
  constructor(store: Store, moves: () => Promise<void>) {
    this.#store = store;
    this.#moves = moves;
  }

  /** Remembers `path`; resolves at once, unless so much is waiting that the disk has to be waited for. */
  async add(path: string): Promise<void> {
    this.#paths.add(path);
    if (this.#paths.size < MAX_REMEMBERED) return;
    await this.#syncing;
    this.#begin();
  }

  /** Resolves when the syncs that were begun so far have ended. */
  settled(): Promise<void> {
    return this.#syncing;
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

  #begin(): void {
    const moves = this.#moves();
    this.#syncing = this.#syncing
      .then(() => moves)
      .then(() => {
        const paths = [...this.#paths];
        this.#paths.clear();
        return this.#store.sync(paths);
      })
      .catch((error: unknown) => {
        this.#failure ??= { error };
      });
  }
}
