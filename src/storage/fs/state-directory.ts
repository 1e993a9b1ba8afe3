import { systemCode } from '../../errors.ts';
import type { Random } from '../../random.ts';
import { STATE_DIRECTORY } from '../own-names.ts';
import { Directory } from './directory.ts';
import { statsAt } from './entries.ts';
import { closingFile } from './file-bytes.ts';
import type { FileSystem } from './file-system.ts';

/**
 * The private directory of the store, in the root and so in the same file system: a file moves from `uploads`
 * to its name in one step. `uploads` holds data on its way in, one file a key; `published` what is remembered of
 * publications; `removed` trees that are being deleted, which no name reaches any more; `versions`, where they are
 * kept, what was replaced or removed.
 */
export class StateDirectory {
  readonly uploads: Directory;
  readonly published: Directory;
  readonly removed: Directory;
  readonly versions: Directory | undefined;
  readonly #state: Directory;

  private constructor(
    state: Directory,
    parts: Pick<StateDirectory, 'uploads' | 'published' | 'removed' | 'versions'>,
  ) {
    this.#state = state;
    this.uploads = parts.uploads;
    this.published = parts.published;
    this.removed = parts.removed;
    this.versions = parts.versions;
  }

  /** Opens it, making what is missing, and deletes what an earlier process had begun to delete or has published. */
  static async open(
    files: FileSystem,
    root: string,
    { keepsVersions = false }: { keepsVersions?: boolean } = {},
  ): Promise<StateDirectory> {
    const rootDirectory = await Directory.open(files, root);
    const opened: Directory[] = [];
    const enter = async (parent: Directory, name: string): Promise<Directory> => {
      const { directory } = await parent.enterOrMake(name, 0o700);
      opened.push(directory);
      return directory;
    };
    try {
      const state = await enter(rootDirectory, STATE_DIRECTORY);
      const uploads = await enter(state, 'uploads');
      const published = await enter(state, 'published');
      const removed = await enter(state, 'removed');
      const versions = keepsVersions ? await enter(state, 'versions') : undefined;
      await deleteLeftovers(files, removed);
      await dropSecondNames(files, uploads);
      await Promise.all([rootDirectory.sync(), state.sync()]);
      return new StateDirectory(state, { uploads, published, removed, versions });
    } catch (error) {
      for (const directory of opened) await directory.close();
      throw error;
    } finally {
      await rootDirectory.close();
    }
  }

  async close(): Promise<void> {
    for (const directory of [this.uploads, this.published, this.removed, this.versions, this.#state])
      await directory?.close();
  }
}

/** A name that nobody else uses: 128 random bits, in hex. */
export function uniqueName(random: Random): string {
  return random.bytes(16).toString('hex');
}

/** Reads a whole small file of the state directory; undefined if it is not there. */
export async function readSmallFile(
  files: FileSystem,
  path: string,
  flags: number,
): Promise<string | undefined> {
  try {
    const file = await files.open(path, flags);
    return await closingFile(file, async () => {
      const buffer = Buffer.alloc(64 * 1024);
      return buffer.toString('utf8', 0, await file.read(buffer, 0, buffer.length));
    });
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

// What cannot be deleted takes room and does no other harm: no reason to serve nothing.
async function deleteLeftovers(files: FileSystem, removed: Directory): Promise<void> {
  for await (const name of files.names(removed.self))
    await files.removeTree(removed.child(name)).catch(() => undefined);
}

// A publication that broke off may have left a file with its name as an upload, too. Once its public name is removed it
// would look like an upload that goes on; and what is written to it then stood under that name again, if a loss of
// power undid the removal.
async function dropSecondNames(files: FileSystem, uploads: Directory): Promise<void> {
  for await (const name of files.names(uploads.self)) {
    const path = uploads.child(name);
    const hasOther = await statsAt(files, path).then((stats) => stats?.isFile() === true && stats.nlink > 1n);
    if (hasOther) await files.unlink(path).catch(() => undefined);
  }
}
