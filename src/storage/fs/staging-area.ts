import { SealiftError } from '../../errors.ts';
import type { Random } from '../../random.ts';
import type { Directory } from './directory.ts';
import { statsAt, unlinkIfThere } from './entries.ts';
import type { FileSystem } from './file-system.ts';
import { uniqueName } from './state-directory.ts';
import { explaining, storeError } from './store-errors.ts';

/** The names of staged data: the keys of uploads, and of what is made aside by this store. */
const STAGED_NAME = /^[0-9a-z-]{1,120}$/;

/** The directory in which data lies until it gets its public name: that of uploads, which outlives the store, and temporaries. */
export class StagingArea {
  readonly #files: FileSystem;
  readonly #random: Random;
  readonly #directory: Directory;
  /** Names of temporaries in use: no leftovers, and not listed as such. */
  readonly #temporaries = new Set<string>();

  constructor(files: FileSystem, random: Random, directory: Directory) {
    this.#files = files;
    this.#random = random;
    this.#directory = directory;
  }

  /** The path of the data of an upload. */
  uploadPath(key: string): string {
    if (!STAGED_NAME.test(key))
      throw new SealiftError('internal', 'The key of an upload is not of the form that it should have.');
    return this.#directory.child(key);
  }

  /** The uploads of which data is kept; see `Store.uploads`. */
  async *uploads(): AsyncGenerator<{ key: string; bytes: number; lastWrittenMs: number }> {
    try {
      for await (const key of this.#files.names(this.#directory.self)) {
        // Other things may lie here (an NFS client keeps `.nfs…` of a file that is removed while it is open).
        if (this.#temporaries.has(key) || !STAGED_NAME.test(key)) continue;
        const stats = await statsAt(this.#files, this.#directory.child(key));
        // Links are what a `symlink` that broke off has left.
        if (stats === undefined || !(stats.isFile() || stats.isSymbolicLink())) continue;
        // The time of the last change (ctime) cannot be set; that of modification is, when a file is published.
        yield { key, bytes: Number(stats.size), lastWrittenMs: Number(stats.ctimeMs) };
      }
    } catch (error) {
      throw storeError(error, '');
    }
  }

  async discardUpload(key: string): Promise<void> {
    await explaining('', () => unlinkIfThere(this.#files, this.uploadPath(key)));
  }

  /** Runs `task`, which concerns the remote `path`, with a name for temporary data that nobody else uses, and removes the data if it fails. */
  async withTemporary<T>(
    kind: 'inline' | 'link',
    path: string,
    task: (systemPath: string) => Promise<T>,
  ): Promise<T> {
    const name = `${kind}-${uniqueName(this.#random)}`;
    const systemPath = this.#directory.child(name);
    this.#temporaries.add(name);
    try {
      return await task(systemPath);
    } catch (error) {
      await unlinkIfThere(this.#files, systemPath).catch(() => undefined);
      throw storeError(error, path);
    } finally {
      this.#temporaries.delete(name);
    }
  }
}
