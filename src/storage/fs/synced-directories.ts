import type { Directory } from './directory.ts';

/** How many directories are remembered. That one is forgotten costs another sync of it, and nothing else. */
const MAX_REMEMBERED = 10_000;

/**
 * Remembers of which directories every directory in them is on disk, so that a way is synced by the first file
 * that has to be safe at its end, and not again by each of the following. What an earlier process made is not
 * known to be on disk; what other programs make meanwhile is theirs to sync.
 */
export class SyncedDirectories {
  /** By remote path: the sync that has done it or is about to. */
  readonly #syncs = new Map<string, Promise<void>>();
  /** Whether directories are being made of which nothing was told yet. */
  #isUncertain = false;

  /** Resolves once all directories that were made in `directory`, which is at `path`, are on disk. */
  async sync(path: string, directory: Directory): Promise<void> {
    if (this.#isUncertain) this.forget();
    const known = this.#syncs.get(path);
    if (known !== undefined) return known;
    if (this.#syncs.size >= MAX_REMEMBERED) this.#syncs.clear();
    const sync = directory.sync();
    this.#syncs.set(path, sync);
    try {
      await sync;
    } catch (error) {
      if (this.#syncs.get(path) === sync) this.#syncs.delete(path);
      throw error;
    }
  }

  /** A directory was made in the one at `path`: a sync that is under way may have come too early for it. */
  madeIn(path: string): void {
    this.#syncs.delete(path);
  }

  /** From now on directories may be made anywhere, and are told of later: until `certain`, nothing that is remembered is relied on. */
  uncertain(): void {
    this.#isUncertain = true;
  }

  /** All directories that were made have been told of. */
  certain(): void {
    this.#isUncertain = false;
  }

  /** Directories have changed their paths, or were made nobody knows where. */
  forget(): void {
    this.#syncs.clear();
  }
}
