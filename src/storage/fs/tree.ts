import { isSealiftError, SealiftError, systemCode } from '../../errors.ts';
import { baseName, components, joinPath, parentPath } from '../../transfer/remote-path.ts';
import { concurrently } from '../concurrently.ts';
import { checkStorePath, isOwnName } from '../own-names.ts';
import { Directory } from './directory.ts';
import type { FileSystem } from './file-system.ts';
import { explaining, passOverGone } from './store-errors.ts';
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

/** Turns remote paths into places under a root without ever following a symbolic link. */
export class Tree {
  readonly #files: FileSystem;
  readonly #root: Directory;
  readonly #synced = new SyncedDirectories();
  readonly #onMade: (path: string) => void;
  /** The directory that was worked in last, while it is kept open. */
  #last: { path: string; directory: Directory } | undefined;
  #keepsLast = false;

  private constructor(files: FileSystem, root: Directory, onMade: (path: string) => void) {
    this.#files = files;
    this.#root = root;
    this.#onMade = onMade;
  }

  /** Opens the tree under the directory `root`, which must exist. `onMade` is told of the directories that it makes. */
  static async open(
    files: FileSystem,
    root: string,
    onMade: (path: string) => void = nothing,
  ): Promise<Tree> {
    return new Tree(files, await Directory.open(files, root), onMade);
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
      await this.#keep({ path: parent, directory });
      return task(placeIn(directory, baseName(path)));
    });
  }

  /**
   * As `at`, but makes missing parents; one that somebody removes at that moment is `busy`. `syncParents` syncs the directory of the place and those above it that
   * may have a child that is not on disk, so that the whole way to the name is.
   */
  async atMaking<T>(
    path: string,
    task: (place: Place, syncParents: () => Promise<void>) => Promise<T>,
  ): Promise<T> {
    checkStorePath(path, { allowRoot: false });
    return explaining(path, async () => {
      const opened: Directory[] = [];
      const parent = parentPath(path);
      try {
        if (this.#last?.path === parent) {
          const { directory } = this.#last;
          return await task(placeIn(directory, baseName(path)), () => directory.sync());
        }
        let directory = this.#root;
        let directoryPath = '';
        const above: (readonly [string, Directory])[] = [];
        for (const name of components(parent)) {
          const child = joinPath(directoryPath, name);
          const next = await directory.enterOrMake(name, 0o777, () => this.directoryMade(child));
          opened.push(next.directory);
          above.push([directoryPath, directory]);
          directory = next.directory;
          directoryPath = child;
        }
        const syncParents = async () => {
          for (const each of above) await this.#synced.sync(...each);
          await directory.sync();
        };
        if (this.#keepsLast && opened.length > 0) {
          opened.pop();
          await this.#keep({ path: parent, directory });
        }
        return await task(placeIn(directory, baseName(path)), syncParents);
      } catch (error) {
        if (systemCode(error) !== 'ENOENT') throw error;
        const message = `A directory on the way to ${JSON.stringify(path)} was removed in that moment.`;
        throw new SealiftError('busy', message, { cause: error });
      } finally {
        for (const each of opened) await each.close();
      }
    });
  }

  /** To be called once a directory was made under `path`. */
  directoryMade(path: string): void {
    this.#synced.madeIn(parentPath(path));
    this.#onMade(path);
  }

  /** To be called before another thread begins to make directories. */
  makingElsewhere(): void {
    this.#synced.uncertain();
  }

  /** To be called once that has ended: these were made; undefined if nobody knows which. */
  madeElsewhere(paths: readonly string[] | undefined): void {
    if (paths === undefined) this.#synced.forget();
    else for (const path of paths) this.directoryMade(path);
    this.#synced.certain();
  }

  /** To be called once a directory bears another name, with all that is in it. */
  directoryMoved(): void {
    this.#synced.forget();
  }

  /** Runs `task` with the directory `path` open. */
  async inside<T>(path: string, task: (directory: Directory) => Promise<T>): Promise<T> {
    checkStorePath(path, { allowRoot: true });
    return explaining(path, () => this.#inDirectory(path, task));
  }

  /** Runs `task` with the nearest directory above `path` that stands. */
  async insideNearest<T>(path: string, task: (directory: Directory) => Promise<T>): Promise<T> {
    const parent = parentPath(path);
    try {
      return await this.inside(parent, task);
    } catch (error) {
      if (parent === '' || !isSealiftError(error, 'not-found')) throw error;
      return this.insideNearest(parent, task);
    }
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
    const directories = new Set<string>();
    for (const path of paths)
      for (let above = path; above !== '';) directories.add((above = parentPath(above)));
    await concurrently([...directories], SYNCED_AT_ONCE, (path) =>
      this.inside(path, (directory) => directory.sync()).catch(passOverGone),
    );
  }

  async close(): Promise<void> {
    await this.#root.close();
  }

  async #keep(next: { path: string; directory: Directory } | undefined): Promise<void> {
    const last = this.#last;
    this.#last = next;
    await last?.directory.close();
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
