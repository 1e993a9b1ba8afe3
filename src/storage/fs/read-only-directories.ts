import { systemCode } from '../../errors.ts';
import type { KeyedMutex } from '../keyed-mutex.ts';
import type { RemoveOptions } from '../store.ts';
import { closingFile } from './file-bytes.ts';
import { OPEN, type FileStats, type FileSystem } from './file-system.ts';
import type { Place, Tree } from './tree.ts';

/** What the owner of a directory needs to change what is in it. */
const OWNER_BITS = 0o700;

/**
 * Renames what stands at `from`. A directory that comes to another parent is itself written to (its `..`), which
 * its own bits may forbid to a process that is not root: then they are lifted for as long as it takes.
 */
export async function renameEntry(files: FileSystem, from: string, to: string): Promise<void> {
  try {
    await files.rename(from, to);
  } catch (error) {
    if (systemCode(error) !== 'EACCES' || !isReadOnlyDirectory(await files.lstat(from))) throw error;
    const directory = await files.open(from, OPEN.attributes);
    await closingFile(directory, async () => {
      const mode = Number((await directory.stat()).mode) & 0o7777;
      await directory.chmod(mode | OWNER_BITS);
      try {
        await files.rename(from, to);
      } finally {
        await directory.chmod(mode);
      }
    });
  }
}

/** Renames what stands at `place`, in sight, to `aside`, and tells that; what a crash leaves there is deleted when the store opens. */
export async function renamedAside(files: FileSystem, place: Place, aside: string): Promise<string> {
  await renameEntry(files, place.systemPath, aside);
  return aside;
}

/** Deletes what was renamed from `place`, under the remote `path`, to `aside`, with all in it. */
export async function deleteAside(
  { files, tree, names }: { files: FileSystem; tree: Pick<Tree, 'directoryMadeIn'>; names: KeyedMutex },
  aside: string,
  { place, path, onAside }: { place: Place; path: string } & Pick<RemoveOptions, 'onAside'>,
): Promise<void> {
  onAside?.();
  try {
    await files.removeTree(aside);
  } catch (error) {
    // What could not be deleted stands where it stood, for whoever mends the reason and tries again, also after a crash.
    await names.run(path, () => putBack(files, aside, place, tree)).catch(() => undefined);
    throw error;
  }
}

async function putBack(
  files: FileSystem,
  aside: string,
  { directory, systemPath }: Place,
  tree: Pick<Tree, 'directoryMadeIn'>,
): Promise<void> {
  const node = await directory.node();
  await renameEntry(files, aside, systemPath);
  tree.directoryMadeIn(node);
  await directory.sync();
}

function isReadOnlyDirectory(stats: FileStats): boolean {
  return stats.isDirectory() && (Number(stats.mode) & OWNER_BITS) !== OWNER_BITS;
}
