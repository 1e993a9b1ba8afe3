import { systemCode } from '../../errors.ts';
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

/** Removes what stands at `place`, with all in it: it goes to `aside` first, in one step; what a crash leaves there is deleted when the store opens. */
export async function removeTreeAside(
  files: FileSystem,
  place: Place,
  aside: string,
  tree: Pick<Tree, 'directoryMadeIn'>,
): Promise<void> {
  await renameEntry(files, place.systemPath, aside);
  try {
    await files.removeTree(aside);
  } catch (error) {
    // What could not be deleted stands where it stood, for whoever mends the reason and tries again, also after a crash.
    await putBack(files, aside, place, tree).catch(() => undefined);
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
