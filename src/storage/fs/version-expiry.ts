import { throwIfAborted } from '../../clock.ts';
import { systemCode } from '../../errors.ts';
import type { Random } from '../../random.ts';
import { isOwnName, STATE_DIRECTORY } from '../own-names.ts';
import { retiredAtMs } from '../version-ids.ts';
import type { Directory } from './directory.ts';
import type { FileSystem } from './file-system.ts';
import { renameEntry } from './read-only-directories.ts';
import { uniqueName } from './state-directory.ts';
import type { VersionParts } from './version-listing.ts';

/** What expiring works with. */
export interface ExpiryParts extends VersionParts {
  /** For what is being deleted. */
  removed: Directory;
  random: Random;
}

/**
 * Removes what was retired before `beforeMs`, and the directories that are empty then. What cannot be removed keeps
 * nothing else from it: the first failure is thrown at the end.
 */
export async function expireVersions(
  parts: ExpiryParts,
  beforeMs: number,
  signal?: AbortSignal,
): Promise<void> {
  const root = await parts.root.enter('.');
  await new Expiry(parts, beforeMs, root, signal).run();
}

/** A directory on the way down from the root of versions. */
interface Level {
  name: string;
  /** The directories in it that are still to be gone through. */
  waiting: string[];
}

/** Goes through all directories with one of them open, down and up again: there may be two thousand on a way. */
class Expiry {
  readonly #parts: ExpiryParts;
  readonly #beforeMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #failures: unknown[] = [];
  /** The way from the root to the directory that is open. */
  readonly #way: Level[] = [];
  #directory: Directory;

  constructor(parts: ExpiryParts, beforeMs: number, root: Directory, signal: AbortSignal | undefined) {
    this.#parts = parts;
    this.#beforeMs = beforeMs;
    this.#directory = root;
    this.#signal = signal;
  }

  async run(): Promise<void> {
    try {
      await this.#trying(() => this.#expireIn(''));
      for (let level = this.#way.at(-1); level !== undefined; level = this.#way.at(-1)) {
        const name = level.waiting.pop();
        if (name !== undefined) await this.#trying(() => this.#goDown(name));
        else await this.#goUp();
      }
    } finally {
      await this.#directory.close();
    }
    if (this.#failures.length > 0) throw this.#failures[0];
  }

  async #goDown(name: string): Promise<void> {
    await this.#changeTo(await this.#directory.enter(name));
    await this.#expireIn(name);
  }

  /** Leaves the directory, and removes it if it is empty. Who needs it at this moment makes it again. */
  async #goUp(): Promise<void> {
    const left = this.#way.pop();
    if (left === undefined || this.#way.length === 0) return;
    const { length } = this.#way;
    const above = await this.#directory.parent().catch(this.#note);
    await this.#changeTo(above ?? (await this.#fromRoot()));
    if (this.#way.length < length) return;
    await this.#trying(() => removeIfEmpty(this.#parts.files, this.#directory.child(left.name)));
  }

  /** Opens the last directory on the way that can be reached still. */
  async #fromRoot(): Promise<Directory> {
    for (;;) {
      try {
        return await this.#parts.root.descend(this.#way.slice(1).map(({ name }) => name));
      } catch (error) {
        if (this.#way.length === 1) throw error;
        this.#note(error);
        this.#way.pop();
      }
    }
  }

  async #changeTo(directory: Directory): Promise<void> {
    const before = this.#directory;
    this.#directory = directory;
    await before.close();
  }

  /** Expires the versions of all names in the directory that was entered as `name`, and takes note of the directories in it. */
  async #expireIn(name: string): Promise<void> {
    const level: Level = { name, waiting: [] };
    this.#way.push(level);
    for await (const each of this.#parts.files.names(this.#directory.self))
      if (!isOwnName(each)) level.waiting.push(each);
    await this.#expireNames(this.#directory);
  }

  async #expireNames(directory: Directory): Promise<void> {
    const { files } = this.#parts;
    const own = await directory.enter(STATE_DIRECTORY).catch(undefinedIfGone);
    if (own === undefined) return;
    try {
      for await (const name of files.names(own.self)) await this.#trying(() => this.#expireName(own, name));
    } finally {
      await own.close();
    }
    await removeIfEmpty(files, directory.child(STATE_DIRECTORY));
  }

  async #expireName(own: Directory, name: string): Promise<void> {
    const { files } = this.#parts;
    const versions = await own.enter(name);
    let hasMore = false;
    try {
      for await (const id of files.names(versions.self)) {
        const retiredMs = retiredAtMs(id);
        if (retiredMs !== undefined && retiredMs < this.#beforeMs)
          await this.#trying(() => this.#remove(versions.child(id)));
        else hasMore = true;
      }
    } finally {
      await versions.close();
    }
    if (!hasMore) await removeIfEmpty(files, own.child(name));
  }

  async #remove(version: string): Promise<void> {
    const { files, removed, random } = this.#parts;
    try {
      return await files.unlink(version);
    } catch (error) {
      // What POSIX says of a directory, and what Linux does.
      if (!['EPERM', 'EISDIR'].includes(systemCode(error) ?? '')) throw error;
    }
    // It can take long: out of everybody's sight in one step, and what a crash leaves is deleted at the start.
    const aside = removed.child(uniqueName(random));
    await renameEntry(files, version, aside);
    await files.removeTree(aside);
  }

  async #trying(task: () => Promise<void>): Promise<void> {
    throwIfAborted(this.#signal);
    await task().catch((error: unknown) => {
      throwIfAborted(this.#signal);
      this.#note(error);
    });
  }

  readonly #note = (error: unknown): undefined => {
    // Gone meanwhile, as it should be: several may do this at once, and directories are removed with their last version.
    if (systemCode(error) !== 'ENOENT') this.#failures.push(error);
  };
}

/** Removes a directory if it is empty. */
async function removeIfEmpty(files: FileSystem, path: string): Promise<void> {
  try {
    await files.rmdir(path);
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST'].includes(systemCode(error) ?? '')) throw error;
  }
}

function undefinedIfGone(error: unknown): undefined {
  if (systemCode(error) !== 'ENOENT') throw error;
}
