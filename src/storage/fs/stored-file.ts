import { SealiftError } from '../../errors.ts';
import type { Entry, StoredFile } from '../store.ts';
import { entryFromStats } from './entries.ts';
import { readFully } from './file-bytes.ts';
import { OPEN, type FileStats, type FileSystem, type OpenFile } from './file-system.ts';
import { explaining } from './store-errors.ts';
import type { Place } from './tree.ts';

/** Opens the file at `place` for reading. Throws `is-directory`, `bad-request` (a link) or `not-found`. */
export async function openStoredFile(files: FileSystem, place: Place, path: string): Promise<StoredFile> {
  // Looked at before it is opened: opening a device can do things.
  assertReadable(entryFromStats(await files.lstat(place.systemPath), path), path);
  const file = await files.open(place.systemPath, OPEN.read);
  try {
    const stats = await file.stat();
    const entry = entryFromStats(stats, path);
    assertReadable(entry, path);
    return new OpenStoredFile(file, stats, entry);
  } catch (error) {
    await file.close().catch(() => undefined);
    throw error;
  }
}

function assertReadable(entry: Entry | undefined, path: string): asserts entry is Entry {
  const name = JSON.stringify(path);
  if (entry === undefined) throw new SealiftError('not-found', `${name} is no file that could be read.`);
  if (entry.type === 'directory') throw new SealiftError('is-directory', `${name} is a directory.`);
  if (entry.type === 'symlink')
    throw new SealiftError('bad-request', `${name} is a symbolic link, which is never followed.`);
}

class OpenStoredFile implements StoredFile {
  readonly entry: Entry;
  readonly #file: OpenFile;
  readonly #stats: FileStats;
  #isOpen = true;

  constructor(file: OpenFile, stats: FileStats, entry: Entry) {
    this.#file = file;
    this.#stats = stats;
    this.entry = entry;
  }

  async read(target: Buffer, position: number, length: number): Promise<void> {
    await explaining(this.entry.path, async () => {
      if (!(await readFully(this.#file, target, position, length))) throw this.#changed();
    });
  }

  async assertUnchanged(): Promise<void> {
    const now = await explaining(this.entry.path, () => this.#file.stat());
    // Replacing or renaming the file moves its ctime as well, and leaves this content whole: only size and time
    // of modification tell that it was written to.
    if (now.size !== this.#stats.size || now.mtimeNs !== this.#stats.mtimeNs) throw this.#changed();
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    // What was read is right, whatever becomes of the handle.
    await this.#file.close().catch(() => undefined);
  }

  #changed(): SealiftError {
    return new SealiftError(
      'precondition-failed',
      `${JSON.stringify(this.entry.path)} was changed while it was being read.`,
    );
  }
}
