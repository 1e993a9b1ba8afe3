import type { Clock } from '../../clock.ts';
import { cannotLink, SealiftError, systemCode } from '../../errors.ts';
import type { Random } from '../../random.ts';
import { VersionIds } from '../version-ids.ts';
import type { Directory } from './directory.ts';
import { statsAt } from './entries.ts';
import type { FileSystem } from './file-system.ts';
import { renameEntry } from './read-only-directories.ts';
import { SyncedDirectories } from './synced-directories.ts';
import type { Place } from './tree.ts';
import { versionDirectory } from './version-places.ts';

/** How often a place for a version is made again after an expiry took it away as empty, or an id was taken. */
const MAX_ATTEMPTS = 10;

export interface VersionsOptions {
  files: FileSystem;
  /** Where versions are kept; see `version-places.ts`. */
  root: Directory;
  clock: Clock;
  random: Random;
}

/**
 * Keeps what loses its name: a version is the file itself under another name, with its content, times and bits, and
 * costs no copy. Called in the room of the path.
 */
export class Versions {
  readonly #options: VersionsOptions;
  readonly #ids: VersionIds;

  constructor(options: VersionsOptions) {
    this.#options = options;
    this.#ids = new VersionIds(options);
  }

  /**
   * Keeps the file at `place`, and then runs `replace`, which puts something else in its place. The file has both names
   * until then, so that a crash in between leaves it standing. It is on the disk under the new one before it loses the
   * old: it must not be lost together with its successor.
   */
  async replacing(place: Place, path: string, replace: () => Promise<void>): Promise<void> {
    const kept = await this.#keep(place, path, {
      isDurable: true,
      name: (version) => this.#nameTwice(place.systemPath, version),
    });
    if (kept === undefined) return replace();
    const { directory, result: undo } = kept;
    try {
      await directory.sync();
      await replace();
    } catch (error) {
      // It still stands, and is no version.
      await undo().catch(() => undefined);
      throw error;
    } finally {
      await directory.close();
    }
  }

  /** Takes a file, or a directory with all in it, from its name and keeps it, in one step: like a removal, it is not synced. Throws `not-found`. */
  async retire(place: Place, path: string): Promise<void> {
    const kept = await this.#keep(place, path, {
      isDurable: false,
      name: (version) => renameEntry(this.#options.files, place.systemPath, version),
    });
    await kept?.directory.close();
    // Another program was first: for whoever removes it, it is not there.
    if (kept === undefined) throw new SealiftError('not-found', `${JSON.stringify(path)} does not exist.`);
  }

  /** Runs `name` with a new name for a version of `path`, in its directory, which stays open; undefined if nothing stands at `place` to be kept. */
  async #keep<T>(
    place: Place,
    path: string,
    { isDurable, name }: { isDurable: boolean; name: (version: string) => Promise<T> },
  ): Promise<{ result: T; directory: Directory } | undefined> {
    const { files } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      let directory: Directory | undefined;
      try {
        directory = await this.#makeDirectory(path, isDurable);
        const version = directory.child(this.#ids.next());
        return { result: await name(version), directory };
      } catch (error) {
        await directory?.close();
        if (!['ENOENT', 'EEXIST'].includes(systemCode(error) ?? '')) throw error;
        if ((await statsAt(files, place.systemPath)) === undefined) return undefined;
        if (attempt === MAX_ATTEMPTS)
          throw new SealiftError('internal', 'The storage of the server failed.', { cause: error });
      }
    }
  }

  /** Opens the directory of the versions of `path`, with the whole way to it made, and, if it is to be durable, on disk. */
  #makeDirectory(path: string, isDurable: boolean): Promise<Directory> {
    const { files, root } = this.#options;
    return SyncedDirectories.of(files).wayDown(root, versionDirectory(path), { mode: 0o700, isDurable });
  }

  /** Gives what stands at `from` the name `version` too; what it returns takes that back. */
  async #nameTwice(from: string, version: string): Promise<() => Promise<void>> {
    const { files } = this.#options;
    try {
      await files.link(from, version);
      return () => files.unlink(version);
    } catch (error) {
      if (!cannotLink(error)) throw error;
    }
    // Without links the name is free for a moment: a crash then leaves the file as a version, and nothing in its place.
    await files.rename(from, version);
    return () => files.rename(version, from);
  }
}
