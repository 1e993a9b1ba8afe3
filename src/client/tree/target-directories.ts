import { isSealiftError } from '../../errors.ts';
import { parentPath } from '../../transfer/remote-path.ts';
import type { DirectoryAction } from './action.ts';
import type { TreeDirection } from './direction.ts';
import type { TreeEntry } from './tree-entry.ts';
import type { Unsynced } from './unsynced-receipts.ts';

/**
 * The directories of a target while it is changed: each is made, or opened to its owner, before anything in it is
 * changed, and gets the times and permission bits of the source once nothing in it changes any more.
 */
export class TargetDirectories {
  readonly #direction: TreeDirection;
  readonly #keepsModes: boolean;
  readonly #onMade: (action: DirectoryAction, unsynced: Unsynced | undefined) => void;
  /** By path: directories that had to be made or opened before something in them can be changed. */
  readonly #ready = new Map<string, Promise<void>>();
  /** By path: the permission bits of directories at the target, and what is to be done with those of the source. */
  readonly #known = new Map<string, { mode: number; action?: DirectoryAction }>();
  /** Directories in which something has changed, so that their times have. */
  readonly #touched = new Set<string>();

  /** `onMade` is told of each directory that was made, before anything in it is changed. */
  constructor(
    direction: TreeDirection,
    { archive }: { archive: boolean },
    onMade: (action: DirectoryAction, unsynced: Unsynced | undefined) => void,
  ) {
    this.#direction = direction;
    this.#keepsModes = archive;
    this.#onMade = onMade;
  }

  /** Takes note of a directory of the source, before any of what is in it. */
  note(action: DirectoryAction): void {
    const { entry, existing } = action;
    this.#known.set(entry.path, { mode: existing?.type === 'directory' ? existing.mode : 0o700, action });
  }

  /** Takes note of what the source lacks, before something in it is moved away or removed. */
  noteLacking(entry: TreeEntry): void {
    if (entry.type === 'directory') this.#known.set(entry.path, { mode: entry.mode });
  }

  /** Makes a directory that was noted, unless it stands. */
  make(action: DirectoryAction): Promise<void> {
    const { entry, existing, differs } = action;
    if (existing?.type === 'directory') {
      if (differs) this.#touched.add(entry.path);
      return Promise.resolve();
    }
    const making = this.#makeNew(action);
    this.#ready.set(entry.path, making);
    // What could not be made is told of once, and gets no attributes.
    making.catch(() => this.#known.delete(entry.path));
    return making;
  }

  /** Resolves when the top can be changed, if it stands. */
  openTop(): Promise<void> {
    return this.#open('') ?? Promise.resolve();
  }

  /** Resolves when the directory that holds `path` can be changed, and takes note that it will be; undefined where it can be already. */
  readyFor(path: string): Promise<void> | undefined {
    if (path === '') return undefined;
    const directory = parentPath(path);
    this.#touched.add(directory);
    return this.#open(directory);
  }

  /** Those of the source in which something has changed, or whose own attributes differ, the deepest first. */
  unfinished(): DirectoryAction[] {
    const paths = [...this.#touched].sort().reverse();
    return paths.map((path) => this.#known.get(path)?.action).filter((action) => action !== undefined);
  }

  /** Gives a directory its time and permission bits, when nothing changes in it any more. */
  async finish({ entry: { path, mtimeMs, mode } }: DirectoryAction): Promise<void> {
    await this.#direction.set(path, { mtimeMs, mode }).catch((error: unknown) => {
      // Who may only add may not change what stood there before; that a time is lost is no loss of data.
      if (!isSealiftError(error, 'forbidden')) throw error;
    });
  }

  async #makeNew(action: DirectoryAction): Promise<void> {
    const { entry, existing } = action;
    if (entry.path !== '') await this.readyFor(entry.path);
    if (existing !== undefined) await this.#direction.remove(existing);
    this.#touched.add(entry.path);
    this.#onMade(action, await this.#direction.makeDirectory(entry));
  }

  /** Resolves when the directory stands, and its bits let something in it be changed; undefined where that is so already. */
  #open(directory: string): Promise<void> | undefined {
    const making = this.#ready.get(directory);
    if (making !== undefined) return making;
    const { mode } = this.#known.get(directory) ?? { mode: 0o700 };
    if ((mode & 0o300) === 0o300 || !this.#keepsModes) return undefined;
    this.#touched.add(directory);
    const opening = this.#direction.set(directory, { mode: mode | 0o700 });
    this.#ready.set(directory, opening);
    return opening;
  }
}
