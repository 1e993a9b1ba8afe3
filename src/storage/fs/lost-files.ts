import { SealiftError } from '../../errors.ts';
import { nodeOf } from '../same-node.ts';
import type { Entry } from '../store.ts';
import { closingFile } from './file-bytes.ts';
import { OPEN, type FileSystem } from './file-system.ts';
import type { Place } from './tree.ts';

/**
 * Remembers files whose data could not be brought to the disk: the system says so once, and asked again would call
 * them whole. What is not there for good must never take the place of another file, nor be called synced.
 */
export class LostFiles {
  /** What tells them from all other files, by whatever name and with whatever attributes. */
  readonly #nodes = new Set<string>();

  /** Whether there are any: then only file by file can be said what is on the disk. */
  get areAny(): boolean {
    return this.#nodes.size > 0;
  }

  /** Syncs the data of the file `entry`, which stands at `place`. Throws what the system says; and, where it has said so before, `internal`, which is not worth another try. */
  async sync(files: FileSystem, { systemPath }: Place, { path, etag }: Entry): Promise<void> {
    const node = nodeOf(etag);
    if (this.#nodes.has(node)) {
      const message = `${JSON.stringify(path)} could not be brought to the disk, and has to be put again.`;
      throw new SealiftError('internal', message, { retryable: false });
    }
    const file = await files.open(systemPath, OPEN.read);
    await closingFile(file, async () => {
      try {
        await file.sync();
      } catch (error) {
        this.#nodes.add(node);
        throw error;
      }
    });
  }
}
