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
  await new Expiry(parts, beforeMs, signal).run();
}

class Expiry {
  readonly #parts: ExpiryParts;
  readonly #beforeMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #failures: unknown[] = [];
  readonly #waiting: (readonly string[])[] = [[]];

  constructor(parts: ExpiryParts, beforeMs: number, signal: AbortSignal | undefined) {
    this.#parts = parts;
    this.#beforeMs = beforeMs;
    this.#signal = signal;
  }

  async run(): Promise<void> {
    for (let at = this.#waiting.pop(); at !== undefined; at = this.#waiting.pop()) {
      const names = at;
      await this.#trying(() => this.#expireIn(names));
    }
    if (this.#failures.length > 0) throw this.#failures[0];
  }

  /** Expires the versions of all names in a directory, and takes note of the directories in it. */
  async #expireIn(at: readonly string[]): Promise<void> {
    const { files, root } = this.#parts;
    const directory = await root.descend(at);
    let isLeaf = true;
    try {
      for await (const name of files.names(directory.self)) {
        if (isOwnName(name)) continue;
        isLeaf = false;
        this.#waiting.push([...at, name]);
      }
      await this.#expireNames(directory);
    } finally {
      await directory.close();
    }
    if (isLeaf) await this.#removeEmpty(at);
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

  /** Removes the directory, and those above it, as far up as they are empty. Who needs one at this moment makes it again. */
  async #removeEmpty(at: readonly string[]): Promise<void> {
    const { files, root } = this.#parts;
    for (let depth = at.length; depth > 0; depth -= 1) {
      const above = await root.descend(at.slice(0, depth - 1));
      try {
        if (!(await removeIfEmpty(files, above.child(at[depth - 1] as string)))) return;
      } finally {
        await above.close();
      }
    }
  }

  async #trying(task: () => Promise<void>): Promise<void> {
    throwIfAborted(this.#signal);
    await task().catch((error: unknown) => {
      throwIfAborted(this.#signal);
      // Gone meanwhile, as it should be: several may do this at once, and directories are removed with their last version.
      if (systemCode(error) !== 'ENOENT') this.#failures.push(error);
    });
  }
}

/** Removes a directory, and tells whether it was empty. */
async function removeIfEmpty(files: FileSystem, path: string): Promise<boolean> {
  try {
    await files.rmdir(path);
    return true;
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST'].includes(systemCode(error) ?? '')) return false;
    throw error;
  }
}

function undefinedIfGone(error: unknown): undefined {
  if (systemCode(error) !== 'ENOENT') throw error;
}
