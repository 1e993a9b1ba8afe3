import { SealiftError, systemCode } from '../../errors.ts';
import { baseName, components, joinPath, parentPath } from '../../transfer/remote-path.ts';
import { concurrently } from '../concurrently.ts';
import { checkStorePath, isOwnName } from '../own-names.ts';
import { Directory } from './directory.ts';
import type { FileSystem } from './file-system.ts';
import { explaining, otherFileSystem, passOverGone } from './store-errors.ts';
import { SyncedDirectories } from './synced-directories.ts';

/** Directories synced at once: the disk writes its journal once for all of them. */
const SYNCED_AT_ONCE = 8;

/** A place where a name stands or may stand: the directory that holds it, open, and the name. */
export interface Place {
  directory: Directory;
  name: string;
  /** The path by which file-system calls reach it. */
  systemPath: string;
}

/** A directory that is kept open. */
interface Last {
  path: string;
  directory: Directory;
  /** Whether it is known that something in it may be changed. */
  isChangeable: boolean;
}

/** Turns remote paths into places under a root without ever following a symbolic link. */
export class Tree {
  readonly #files: FileSystem;
  readonly #root: Directory;
  readonly #synced: SyncedDirectories;
  readonly #onMade: (node: string) => void;
  /** The directory that was worked in last, while it is kept open. */
  #last: Last | undefined;
  #keepsLast = false;
  #device: bigint | undefined;

  private constructor(files: FileSystem, root: Directory, onMade: (node: string) => void) {
    this.#files = files;
    this.#root = root;
    this.#synced = SyncedDirectories.of(files);
    this.#onMade = onMade;
  }

  /**
   * Opens the tree under the directory `root`, which must exist, or that under the one at `below` in it, of which no name may
   * be a link. `onMade` is told of the directories in which it makes others, by their nodes.
   */
  static async open(
    files: FileSystem,
    root: string,
    { below = [], onMade = nothing }: { below?: readonly string[]; onMade?: (node: string) => void } = {},
  ): Promise<Tree> {
    const top = await Directory.open(files, root);
    if (below.length === 0) return new Tree(files, top, onMade);
    return new Tree(files, await top.descend(below).finally(() => top.close()), onMade);
  }

  /** The path by which file-system calls reach its root, whatever becomes of the names that lead there. */
  get self(): string {
    return this.#root.self;
  }

  /**
   * While `task` runs, the directory worked in last stays open, for the next name in it: to enter it anew takes twice as
   * many calls as a small file itself. For one task at a time, which has to be short: nobody else notices
   * that the directory was moved meanwhile.
   */
  async keepingLast(task: () => Promise<void>): Promise<void> {
    this.#keepsLast = true;
    try {
      await task();
    } finally {
      this.#keepsLast = false;
      await this.#keep(undefined);
    }
  }

  /** Lets go of the directory worked in last if it may be the one at `path`, which is about to be removed: where names are folded, it may be known by another spelling. */
  async leave(path: string): Promise<void> {
    const depth = components(path).length;
    if (this.#last !== undefined && components(this.#last.path).length >= depth) await this.#keep(undefined);
  }

  /** Runs `task` with the place of `path`, whose parents must stand. Closes what it opened. */
  async at<T>(path: string, task: (place: Place) => Promise<T>): Promise<T> {
    checkStorePath(path, { allowRoot: true });
    return explaining(path, async () => {
      if (path === '') return task({ directory: this.#root, name: '.', systemPath: this.#root.self });
      const parent = parentPath(path);
      const last = this.#last?.path === parent ? this.#last.directory : undefined;
      if (last !== undefined) return task(placeIn(last, baseName(path)));
      if (!this.#keepsLast || parent === '')
        return this.#inDirectory(parent, (directory) => task(placeIn(directory, baseName(path))));
      const directory = await this.hold(parent);
      await this.#keep({ path: parent, directory, isChangeable: false });
      return task(placeIn(directory, baseName(path)));
    });
  }

  /** As `at`, for a task that changes something: throws `unsupported` for what is mounted below the root, which no sync covers. */
  async atChanging<T>(path: string, task: (place: Place) => Promise<T>): Promise<T> {
    return this.at(path, async (place) => {
      await this.#assertChangeable(place.directory, path);
      return task(place);
    });
  }

  /**
   * As `atChanging`, but makes missing parents; one that somebody removes at that moment is `busy`. With `isDurable` the whole
   * way to the directory of the place is on disk before `task` runs, which has to sync that directory itself.
   */
  async atMaking<T>(
    path: string,
    { isDurable }: { isDurable: boolean },
    task: (place: Place) => Promise<T>,
  ): Promise<T> {
    checkStorePath(path, { allowRoot: false });
    return explaining(path, async () => {
      const parent = parentPath(path);
      let opened: Directory | undefined;
      try {
        const last = this.#last?.path === parent ? this.#last : undefined;
        if (last !== undefined) {
          // It may have been opened by who only reads.
          if (!last.isChangeable) await this.#assertChangeable(last.directory, path);
          last.isChangeable = true;
          return await task(placeIn(last.directory, baseName(path)));
        }
        const beforeMaking = (above: Directory) => this.#assertChangeable(above, path);
        const way = { mode: 0o777, isDurable, onMade: this.#onMade, beforeMaking };
        const directory = await this.#synced.wayDown(this.#root, components(parent), way);
        if (parent !== '') opened = directory;
        await this.#assertChangeable(directory, path);
        if (this.#keepsLast && parent !== '') {
          opened = undefined;
          await this.#keep({ path: parent, directory, isChangeable: true });
        }
        return await task(placeIn(directory, baseName(path)));
      } catch (error) {
        if (systemCode(error) !== 'ENOENT') throw error;
        const message = `A directory on the way to ${JSON.stringify(path)} was removed in that moment.`;
        throw new SealiftError('busy', message, { cause: error });
      } finally {
        await opened?.close();
      }
    });
  }

  /** To be called once a directory was made in the one that is `node`, or has come there. */
  readonly directoryMadeIn = (node: string): void => {
    this.#synced.madeIn(node);
    this.#onMade(node);
  };

  /** To be called before another thread begins to make directories. */
  makingElsewhere(): void {
    this.#synced.uncertain(this);
  }

  /** To be called once that has ended: they were made in these; undefined if nobody knows in which. */
  madeElsewhere(nodes: readonly string[] | undefined): void {
    if (nodes === undefined) this.#synced.forget();
    else for (const node of nodes) this.#synced.madeIn(node);
    this.#synced.certain(this);
  }

  /** Runs `task` with the directory `path` open. */
  async inside<T>(path: string, task: (directory: Directory) => Promise<T>): Promise<T> {
    checkStorePath(path, { allowRoot: true });
    return explaining(path, () => this.#inDirectory(path, task));
  }

  /** Runs `task` with the nearest directory above `path` that stands. */
  async insideNearest<T>(path: string, task: (directory: Directory) => Promise<T>): Promise<T> {
    return this.#onTheWay(path, async (directory, _, obstacle) => {
      if (obstacle !== undefined) throw obstacle.error;
      return task(directory);
    });
  }

  /** The path of what stands nearest above `path`, if only in the way. */
  async nearest(path: string): Promise<string> {
    return this.#onTheWay(path, (_, at, obstacle) => {
      if (obstacle === undefined) return Promise.resolve(at);
      if (!['ENOTDIR', 'ELOOP'].includes(systemCode(obstacle.error) ?? '')) throw obstacle.error;
      return Promise.resolve(joinPath(at, obstacle.name));
    });
  }

  /** Opens the directory `path`; the caller closes it. */
  async hold(path: string): Promise<Directory> {
    checkStorePath(path, { allowRoot: true });
    return explaining(path, () => this.#root.descend(components(path)));
  }

  /** The names in an open directory, without the service's own; see `FileSystem.names`. */
  async *names(directory: Directory, options?: { isSmall: boolean }): AsyncGenerator<string> {
    for await (const name of this.#files.names(directory.self, options)) {
      if (!isOwnName(name)) yield name;
    }
  }

  /** Syncs the directories on the way to each of `paths`, each once; one that is gone is passed over. */
  async syncAbove(paths: readonly string[]): Promise<void> {
    const ways = new Set(paths.filter((path) => path !== '').map(parentPath));
    if (ways.size > 0) await explaining('', () => this.#root.sync());
    const begun = new Set<string>();
    await concurrently([...ways], SYNCED_AT_ONCE, (way) =>
      explaining(way, () => this.#syncWay(way, begun)).catch(passOverGone),
    );
  }

  async close(): Promise<void> {
    await this.#root.close();
  }

  async #keep(next: Last | undefined): Promise<void> {
    const last = this.#last;
    this.#last = next;
    await last?.directory.close();
  }

  async #assertChangeable(directory: Directory, path: string): Promise<void> {
    if (directory === this.#root) return;
    this.#device ??= await this.#root.device();
    if ((await directory.device()) !== this.#device) throw otherFileSystem(path);
  }

  /** Syncs the directories on the way to `path`, and that itself, but for those in `begun`. Goes down once: there may be two thousand of them. */
  async #syncWay(path: string, begun: Set<string>): Promise<void> {
    let [directory, at] = [await this.hold(''), ''];
    try {
      for (const name of components(path)) {
        const above = directory;
        directory = await above.enter(name);
        await above.close();
        at = joinPath(at, name);
        if (begun.has(at)) continue;
        begun.add(at);
        await directory.sync();
      }
    } finally {
      await directory.close();
    }
  }

  /** Runs `task` with the last directory on the way to `path` that can be entered, its path, and what keeps from entering what stands next. Goes down once: all on the way may be missing. */
  async #onTheWay<T>(
    path: string,
    task: (directory: Directory, at: string, obstacle?: { name: string; error: unknown }) => Promise<T>,
  ): Promise<T> {
    const parent = parentPath(path);
    checkStorePath(parent, { allowRoot: true });
    return explaining(parent, async () => {
      let [directory, at] = [await this.hold(''), ''];
      try {
        for (const name of components(parent)) {
          let next: Directory;
          try {
            next = await directory.enter(name);
          } catch (error) {
            if (systemCode(error) === 'ENOENT') break;
            return await task(directory, at, { name, error });
          }
          await directory.close();
          [directory, at] = [next, joinPath(at, name)];
        }
        return await task(directory, at);
      } finally {
        await directory.close();
      }
    });
  }

  async #inDirectory<T>(path: string, task: (directory: Directory) => Promise<T>): Promise<T> {
    // The root is open already, and most names stand in it.
    if (path === '') return task(this.#root);
    const directory = await this.hold(path);
    try {
      return await task(directory);
    } finally {
      await directory.close();
    }
  }
}

/** The place of `name`, one component, in an open directory. */
export function placeIn(directory: Directory, name: string): Place {
  return { directory, name, systemPath: directory.child(name) };
}

function nothing(): void {
  // Nobody wants to know.
}
