import { baseName, parentPath } from '../../transfer/remote-path.ts';
import { concurrently } from '../concurrently.ts';
import { entryFromStats } from './entries.ts';
import { systemFiles, type FileSystem } from './file-system.ts';
import type { LostFiles } from './lost-files.ts';
import { explaining, passOverGone } from './store-errors.ts';
import { MIN_PATHS, syncFileSystem, syncUnnamed } from './sync-file-system.ts';
import { placeIn, type Place, type Tree } from './tree.ts';

/**
 * Directories worked in at once, and files of each. Node has four threads for this, and while they wait for the
 * disk, which writes the journal once for all of them, the next files are opened.
 */
const DIRECTORIES_AT_ONCE = 4;
const FILES_AT_ONCE = 8;

/** What syncs files of a tree. */
export interface FileSyncing {
  files: FileSystem;
  tree: Tree;
  lost: LostFiles;
}

/** See `Store.sync`. */
export async function syncPaths(syncing: FileSyncing, paths: readonly string[]): Promise<void> {
  const { files, tree, lost } = syncing;
  const isOfThisMachine = files === systemFiles;
  const isForAll = isOfThisMachine && paths.length >= MIN_PATHS && !lost.areAny;
  if (isForAll && (await syncFileSystem(tree.self))) return;
  const gone = await syncFiles(syncing, paths);
  await tree.syncAbove(paths);
  // It may have been moved, from another root or by another program: nobody knows where to.
  if (gone !== undefined && isOfThisMachine) await syncUnnamed(tree.self, gone);
}

/** Syncs the data of the files under `paths`, each directory being gone into once. What is no file is passed over, and so is what is gone, of which one is told. Throws as `LostFiles` does. */
async function syncFiles(syncing: FileSyncing, paths: readonly string[]): Promise<string | undefined> {
  const directories = [...Map.groupBy(paths, parentPath)];
  let gone: string | undefined;
  const passOver = (path: string) => (error: unknown) => {
    passOverGone(error);
    gone = path;
  };
  await concurrently(directories, DIRECTORIES_AT_ONCE, ([parent, children]) =>
    syncing.tree
      .inside(parent, (directory) =>
        concurrently(children, FILES_AT_ONCE, (path) =>
          explaining(path, () => syncIfFile(syncing, placeIn(directory, baseName(path)), path)).catch(
            passOver(path),
          ),
        ),
      )
      .catch(passOver(parent)),
  );
  return gone;
}

// Looked at before it is opened: opening a device can do things.
async function syncIfFile({ files, lost }: FileSyncing, place: Place, path: string): Promise<void> {
  const entry = entryFromStats(await files.lstat(place.systemPath), path);
  if (entry?.type === 'file') await lost.sync(files, place, entry);
}
