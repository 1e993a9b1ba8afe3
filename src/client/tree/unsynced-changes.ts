import { lstatSync, lutimesSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

import { secondsOf, systemClock } from '../../clock.ts';
import { systemCode } from '../../errors.ts';
import { syncDirectory, syncFile } from '../../local-sync.ts';
import { MIN_PATHS, syncFileSystem } from '../../storage/fs/sync-file-system.ts';
import { explaining } from '../local-publish.ts';
import { mapConcurrently } from './concurrency.ts';

/** Files synced at once: Node has four threads for this. */
const SYNCED_AT_ONCE = 4;
/** How much older a file looks until its data is on the disk. */
const PROVISIONAL_AGE_MS = 24 * 3_600_000;
/** File systems round times, FAT to two seconds. */
const ROUNDING_MS = 2_000;

/**
 * The time of a file until its data is on the disk, where the final one is `mtimeMs`. After a loss of power the size and
 * the time of a file may be there and its data not: with this time no later run takes it for the file of the source,
 * nor for a newer one.
 */
export function provisionalTime(mtimeMs: number): number {
  return mtimeMs - PROVISIONAL_AGE_MS;
}

/** What was changed on this machine and may not be on its disk yet. Paths are absolute. */
export class UnsyncedChanges {
  /** The final times of files, by path. */
  #files = new Map<string, number>();
  #directories = new Set<string>();
  #syncing: Promise<void> = Promise.resolve();
  #failure: { error: unknown } | undefined;

  /** A file was written to `path`, with its provisional time. It gets the final one, `mtimeMs`, once its data is on the disk. */
  addFile(path: string, mtimeMs: number): void {
    this.#files.set(path, mtimeMs);
    this.addName(path);
  }

  /** The name `path` was made, or given to something else. */
  addName(path: string): void {
    this.#directories.add(dirname(path));
  }

  /**
   * Resolves when everything noted so far is on the disk. What failed once fails for ever: the system tells only once
   * what it could not write, and then has forgotten it. Throws `local-file` or `local-no-space`.
   */
  sync(): Promise<void> {
    const syncing = this.#syncing.then(() => this.#syncAll());
    this.#syncing = syncing.catch((error: unknown) => {
      this.#failure ??= { error };
    });
    return syncing;
  }

  async #syncAll(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure.error;
    const [files, directories] = [this.#files, this.#directories];
    this.#files = new Map();
    this.#directories = new Set();
    if (files.size >= MIN_PATHS && (await syncFileSystems(directories))) {
      for (const [path, mtimeMs] of files) await explaining(path, () => date(path, mtimeMs));
      return;
    }
    await eachConcurrently(files, ([path, mtimeMs]) =>
      explaining(path, async () => {
        await syncFile(path).catch(passOverGone);
        await date(path, mtimeMs);
      }),
    );
    // After the times, which then mostly come to the disk, too. One that does not costs that its file is fetched again.
    await eachConcurrently(directories, (path) =>
      explaining(path, () => syncDirectory(path).catch(passOverGone)),
    );
  }
}

/** Brings all file systems of which these are directories to the disk; false if that cannot be had. */
async function syncFileSystems(directories: Iterable<string>): Promise<boolean> {
  const oneOfEach = new Map<number, string>();
  for (const path of directories) {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats !== undefined) oneOfEach.set(stats.dev, path);
  }
  for (const path of oneOfEach.values()) if (!(await syncFileSystem(path))) return false;
  return true;
}

async function eachConcurrently<T>(items: Iterable<T>, task: (item: T) => Promise<void>): Promise<void> {
  await Array.fromAsync(mapConcurrently(items, SYNCED_AT_ONCE, task));
}

/** Gives the file at `path`, whose data is on the disk, its time. One that is gone, or was changed, is its owner's. By calls that block: there may be many, and each is over at once. */
async function date(path: string, mtimeMs: number): Promise<void> {
  try {
    const stats = lstatSync(path);
    if (Math.abs(stats.mtimeMs - provisionalTime(mtimeMs)) < ROUNDING_MS)
      lutimesSync(path, secondsOf(systemClock.now()), secondsOf(mtimeMs));
  } catch (error) {
    passOverGone(error);
  }
}

function passOverGone(error: unknown): void {
  if (!['ENOENT', 'ENOTDIR', 'ELOOP'].includes(systemCode(error) ?? '')) throw error;
}
