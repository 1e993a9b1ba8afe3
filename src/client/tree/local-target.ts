import { hash } from 'node:crypto';
import {
  chmod,
  lstat,
  lutimes,
  mkdir,
  readdir,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  unlink,
  utimes,
} from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

import { secondsOf, systemClock } from '../../clock.ts';
import { SealiftError, systemCode } from '../../errors.ts';
import { makeDirectories, syncFile } from '../../local-sync.ts';
import { FileSyncs } from '../../storage/fs/file-syncs.ts';
import { KeyedMutex } from '../../storage/keyed-mutex.ts';
import { parentPath } from '../../transfer/remote-path.ts';
import { claimProcessLock, type ProcessLock } from '../../trust/process-lock.ts';
import { explaining, modeFor, setMode, stageContent, takeName, type Completion } from '../local-publish.ts';
import { PartialFile } from '../partial-file.ts';
import type { Attributes } from './direction.ts';
import { keepingTime } from './keeping-time.ts';
import { treeLockName } from './tree-entry.ts';
import { provisionalTime, UnsyncedChanges } from './unsynced-changes.ts';

/** How a small file is to stand under its name. */
export interface SmallFile extends Omit<Completion, 'size'> {
  /** It takes the place of another: they must not be lost together. Else it is synced with others, and has another time until then. */
  isReplacement: boolean;
}

/**
 * Writes a tree below a local directory, and nowhere else, whatever the paths say: each directory on the way to a
 * name is looked at before the first use, and one that is a link is replaced or refused, never followed. What
 * looked right stays right, since links are made only where no directory is meant to be.
 */
export class LocalTarget {
  /** Absolute; `""` in paths. */
  readonly root: string;
  /** In the names of temporaries: which source and target they belong to. */
  readonly #id: string;
  /** Directories by path that are there, and no links. */
  readonly #directories = new Map<string, Promise<void>>();
  readonly #temporaries = new KeyedMutex();
  readonly #unsynced = new UnsyncedChanges();
  readonly #fileSyncs = new FileSyncs();
  #lock: ProcessLock | undefined;
  #lockDirectory = '';

  /** `sourceName` says where the tree comes from. */
  constructor(root: string, sourceName: string) {
    this.root = resolve(root);
    this.#id = hashed(`${sourceName}\0${this.root}`).slice(0, 8);
  }

  file(path: string): string {
    return path === '' ? this.root : join(this.root, path);
  }

  /** Keeps other runs for the same source and target away. `isFile`: the root is a single file. Throws `locked`. */
  async claim({ isFile }: { isFile: boolean }): Promise<void> {
    const directory = isFile ? dirname(this.root) : this.root;
    await explaining(directory, () => makeDirectories(directory));
    const path = join(directory, treeLockName(this.#id));
    this.#lock ??= await keepingTime(directory, () => claimProcessLock(path, this.root));
    this.#lockDirectory = directory;
  }

  /** When the root was changed last, as the system noted by itself; undefined where nothing stands. In nanoseconds. */
  async changedNs(): Promise<bigint | undefined> {
    const stats = await stat(this.root, { bigint: true }).catch(() => undefined);
    return stats?.ctimeNs;
  }

  /** Whether `path` is a partial file that a run for this source and target has left. Its lock is given back by who holds it. */
  isOwnPartial(path: string): boolean {
    const name = basename(path);
    return name.startsWith(`.sealift-${this.#id}`) && name.endsWith('.part');
  }

  /** Makes the directory `path` and those above it. */
  directory(path: string, mode = 0o777): Promise<void> {
    const known = this.#directories.get(path);
    if (known !== undefined) return known;
    const making = this.#makeDirectory(path, mode);
    this.#directories.set(path, making);
    // The next one that needs it tries again.
    making.catch(() => this.#directories.delete(path));
    return making;
  }

  /** Puts a small file under its name, whole, also if an earlier one left its own there. Where it `isReplacement`, its data is on the disk before that. */
  async writeFile(path: string, content: Buffer, wanted: SmallFile): Promise<void> {
    const target = this.file(path);
    await this.#withTemporary(path, (temporary) =>
      explaining(target, async () => {
        const mode = modeFor(target, wanted);
        // Who syncs it opens it to read.
        const isReadable = (mode & 0o400) !== 0;
        const isSyncedLater = !wanted.isReplacement && isReadable;
        const mtimeMs = isSyncedLater ? provisionalTime(wanted.mtimeMs) : wanted.mtimeMs;
        try {
          stageContent(content, temporary, { mode: mode | 0o400, mtimeMs });
          if (!isSyncedLater) await this.#fileSyncs.sync(temporary);
          if (!isReadable) setMode(temporary, mode);
          await wanted.beforePublishing?.();
          await takeName(temporary, target, wanted);
        } catch (error) {
          await rm(temporary, { force: true }).catch(() => undefined);
          throw error;
        }
        if (isSyncedLater) this.#unsynced.addFile(target, wanted.mtimeMs);
        else this.#unsynced.addName(target);
      }),
    );
  }

  /** Lends what an earlier run left of a large file, or a new one. */
  async withPartial<T>(path: string, task: (partial: PartialFile) => Promise<T>): Promise<T> {
    return this.#withTemporary(path, async (temporary) => {
      const partial = await PartialFile.openWithin(this.file(path), temporary);
      try {
        return await task(partial);
      } finally {
        await partial[Symbol.asyncDispose]();
      }
    });
  }

  /** Makes a link, in the place of a file or link that stands there. */
  async link(path: string, target: string, mtimeMs: number): Promise<void> {
    const file = this.file(path);
    await this.#withTemporary(path, (temporary) =>
      explaining(file, async () => {
        await rm(temporary, { force: true });
        await symlink(target, temporary);
        try {
          await lutimes(temporary, secondsOf(systemClock.now()), secondsOf(mtimeMs));
          await rename(temporary, file);
          this.#unsynced.addName(file);
        } catch (error) {
          await unlink(temporary).catch(() => undefined);
          throw error;
        }
      }),
    );
  }

  /** Sets attributes of what stands there; of a link only its own time. */
  async set(path: string, { mode, mtimeMs }: Attributes): Promise<void> {
    await this.#parents(path);
    const file = this.file(path);
    await explaining(file, async () => {
      // A link at the top is the user's own, and what it leads to is meant.
      const stats = await lstat(file);
      const isLink = path !== '' && stats.isSymbolicLink();
      if (mode !== undefined && !isLink) await chmod(file, mode & 0o777);
      if (mtimeMs === undefined) return;
      // Its time may be another because its data is not on the disk yet, after a run that was killed.
      if (stats.isFile() && Math.floor(stats.mtimeMs) !== mtimeMs) await syncFile(file);
      const setTimes = path === '' ? utimes : lutimes;
      await setTimes(file, secondsOf(systemClock.now()), secondsOf(mtimeMs));
    });
  }

  async move(from: string, to: string): Promise<void> {
    await this.#parents(from);
    await this.#parents(to);
    await explaining(this.file(to), () => rename(this.file(from), this.file(to)));
    this.#unsynced.addName(this.file(to));
  }

  /**
   * Moves a file or link into another tree, which is written to with the same care: it may hold links from here.
   * Throws `local-exists` where a directory is in the way, or what is none, and with `mustBeNew` where anything is.
   */
  async moveTo(
    other: LocalTarget,
    path: string,
    otherPath: string,
    { mustBeNew }: { mustBeNew: boolean },
  ): Promise<void> {
    await this.#parents(path);
    await other.#parents(otherPath);
    const to = other.file(otherPath);
    await explaining(to, async () => {
      const standing = await lstat(to).catch(() => undefined);
      if (standing !== undefined && (mustBeNew || standing.isDirectory()))
        throw new SealiftError('local-exists', `${to} exists already.`);
      await rename(this.file(path), to);
    }).catch(passOverGone);
    other.#unsynced.addName(to);
  }

  async remove(path: string, isDirectory: boolean): Promise<void> {
    await this.#parents(path);
    this.#directories.delete(path);
    const file = this.file(path);
    await explaining(file, () => (isDirectory ? removeDirectory(file) : unlink(file))).catch(passOverGone);
  }

  /** Removes temporaries that nobody needs any more. */
  async discard(temporaries: Iterable<string>): Promise<void> {
    for (const path of temporaries) {
      const file = this.file(path);
      await explaining(file, () => keepingTime(dirname(file), () => rm(file, { force: true })));
    }
  }

  /** Resolves when everything that was made, written or moved so far is on the disk. Fails for good: throws the same if called again. */
  sync(): Promise<void> {
    return this.#unsynced.sync();
  }

  /** Lets other runs in again, once nothing is written any more. May be called again. */
  async release(): Promise<void> {
    await this.#fileSyncs.close();
    const lock = this.#lock;
    this.#lock = undefined;
    if (lock !== undefined) await keepingTime(this.#lockDirectory, () => lock.release());
  }

  async #makeDirectory(path: string, mode: number): Promise<void> {
    const file = this.file(path);
    if (path === '') {
      await explaining(file, () => makeDirectories(file));
      return;
    }
    await this.#parents(path);
    await explaining(file, async () => {
      try {
        await mkdir(file, mode);
        this.#unsynced.addName(file);
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') throw error;
        if ((await lstat(file)).isDirectory()) return;
        throw new SealiftError('local-exists', `${file} is no directory, and something is to go into it.`, {
          cause: error,
        });
      }
    });
  }

  async #parents(path: string): Promise<void> {
    if (path !== '') await this.directory(parentPath(path));
  }

  /** Runs `task` alone with the temporary name for `path`, in the directory where it is going to stand. */
  async #withTemporary<T>(path: string, task: (temporary: string) => Promise<T>): Promise<T> {
    await this.#parents(path);
    const name = `.sealift-${this.#id}${hashed(path).slice(0, 8)}.part`;
    const temporary = join(dirname(this.file(path)), name);
    return this.#temporaries.run(temporary, () => task(temporary));
  }
}

async function removeDirectory(directory: string): Promise<void> {
  try {
    await rmdir(directory);
  } catch (cause) {
    if (systemCode(cause) !== 'ENOTEMPTY') throw cause;
    // What no tree shows: a special file, a name that no path can say, or what another run has left.
    const names = await readdir(directory);
    const shown = names.slice(0, 3).map((name) => JSON.stringify(name));
    const others = names.length > shown.length ? ' and others' : '';
    throw new SealiftError(
      'local-file',
      `${directory} cannot be removed: it holds ${shown.join(', ')}${others}.`,
      { cause, hint: 'Remove that by hand; what transfers have left (.sealift-….part), with sealift clean.' },
    );
  }
}

function hashed(text: string): string {
  return hash('sha256', text);
}

function passOverGone(error: unknown): void {
  if (systemCode((error as { cause?: unknown }).cause) !== 'ENOENT') throw error;
}
