import type { Directory } from './directory.ts';
import type { FileSystem } from './file-system.ts';

/** How many directories are remembered. That one is forgotten costs another sync of it, and nothing else. */
const MAX_REMEMBERED = 10_000;

/** One for all stores of this process in one file system: of two, one may lie in the other. */
const shared = new WeakMap<FileSystem, SyncedDirectories>();

/** How a way is gone. */
export interface WayOptions {
  /** Of the directories that are missing. */
  mode: number;
  /** Whether the way has to be on disk. */
  isDurable: boolean;
  /** Told of each directory in which one was made, by what tells it from others. */
  onMade?: ((node: string) => void) | undefined;
  /** Told of each directory in which one is about to be made; what it throws prevents that. */
  beforeMaking?: ((parent: Directory) => Promise<void>) | undefined;
}

/**
 * Remembers of which directories every directory in them is on disk, so that a way is synced by the first file
 * that has to be safe at its end, and not again by each of the following. What an earlier process made is not
 * known to be on disk; what other programs make meanwhile is theirs to sync. Directories are known by what they are and not
 * by their paths, which may be others for another store, and in a moment.
 */
export class SyncedDirectories {
  /** By node: the sync that has done it or is about to. */
  readonly #syncs = new Map<string, Promise<void>>();
  /** Who is making directories of which nothing was told yet. */
  readonly #makers = new Set<object>();

  static of(files: FileSystem): SyncedDirectories {
    const synced = shared.get(files) ?? new SyncedDirectories();
    shared.set(files, synced);
    return synced;
  }

  /**
   * Opens the directory at `names` below `top`, making what is missing; without names it is `top` itself. However long the
   * way is, two directories of it are open at a time: each is synced when the next has been entered.
   */
  async wayDown(
    top: Directory,
    names: readonly string[],
    { mode, isDurable, onMade, beforeMaking }: WayOptions,
  ): Promise<Directory> {
    const made = (node: string) => {
      this.madeIn(node);
      onMade?.(node);
    };
    let directory = top;
    for (const name of names) {
      const above = directory;
      try {
        ({ directory } = await above.enterOrMake(name, mode, made, beforeMaking));
        if (isDurable) await this.#sync(above);
      } catch (error) {
        if (directory !== above) await directory.close();
        throw error;
      } finally {
        if (above !== top) await above.close();
      }
    }
    return directory;
  }

  /** A directory was made in the one that is `node`, or has come there: a sync that is under way may have come too early for it. */
  madeIn(node: string): void {
    this.#syncs.delete(node);
  }

  /** From now on `maker` may make directories anywhere, and tells of them later: until `certain`, nothing that is remembered is relied on. */
  uncertain(maker: object): void {
    this.#makers.add(maker);
  }

  /** `maker` has told of all that it made. */
  certain(maker: object): void {
    this.#makers.delete(maker);
  }

  /** Directories were made nobody knows where. */
  forget(): void {
    this.#syncs.clear();
  }

  /** Resolves once all directories that were made in `directory` are on disk. */
  async #sync(directory: Directory): Promise<void> {
    const node = await directory.node();
    if (this.#makers.size > 0) return directory.sync();
    const known = this.#syncs.get(node);
    if (known !== undefined) return known;
    if (this.#syncs.size >= MAX_REMEMBERED) this.#syncs.clear();
    const sync = directory.sync();
    this.#syncs.set(node, sync);
    try {
      await sync;
    } catch (error) {
      if (this.#syncs.get(node) === sync) this.#syncs.delete(node);
      throw error;
    }
  }
}
