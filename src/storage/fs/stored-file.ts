import { SealiftError } from '../../errors.ts';
import type { Entry, StoredFile } from '../store.ts';
import { entryFromStats } from './entries.ts';
import { readFully } from './file-bytes.ts';
import { OPEN, type FileSystem, type OpenFile } from './file-system.ts';
import { storeError } from './store-errors.ts';
import type { Place } from './tree.ts';

/** Opens the file at `place` for reading. Throws `is-directory`, `bad-request` (a link) or `not-found`. */
export async function openStoredFile(files: FileSystem, place: Place, path: string): Promise<StoredFile> {
  // Looked at before it is opened: opening a device can do things.
  assertReadable(entryFromStats(await files.lstat(place.systemPath), path), path);
  const file = await files.open(place.systemPath, OPEN.read);
  try {
    const entry = entryFromStats(await file.stat(), path);
    assertReadable(entry, path);
    return new OpenStoredFile(file, entry);
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
  #isOpen = true;

  constructor(file: OpenFile, entry: Entry) {
    this.#file = file;
    this.entry = entry;
  }

  async read(target: Buffer, position: number, length: number): Promise<void> {
    try {
      if (!(await readFully(this.#file, target, position, length))) throw this.#changed();
    } catch (error) {
      throw storeError(error, this.entry.path);
    }
  }

  async assertUnchanged(): Promise<void> {
    const now = entryFromStats(await this.#file.stat(), this.entry.path);
    // Replacing or renaming the file moves its ctime as well, and leaves this content whole: only size and time
    // of modification tell that it was written to.
    if (now?.size !== this.entry.size || now.mtimeMs !== this.entry.mtimeMs) throw this.#changed();
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await this.#file.close();
  }

  #changed(): SealiftError {
    return new SealiftError(
      'precondition-failed',
      `${JSON.stringify(this.entry.path)} was changed while it was being read.`,
    );
  }
}
