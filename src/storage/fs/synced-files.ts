import { baseName, parentPath } from '../../transfer/remote-path.ts';
import { concurrently } from '../concurrently.ts';
import { entryFromStats, statsAt } from './entries.ts';
import type { FileSystem } from './file-system.ts';
import type { LostFiles } from './lost-files.ts';
import { explaining, passOverGone } from './store-errors.ts';
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

/** Syncs the data of the files under `paths`, each directory being gone into once. What is gone, or no file, is passed over. Throws as `LostFiles` does. */
export async function syncFiles(syncing: FileSyncing, paths: readonly string[]): Promise<void> {
  const directories = [...Map.groupBy(paths, parentPath)];
  await concurrently(directories, DIRECTORIES_AT_ONCE, ([parent, children]) =>
    syncing.tree
      .inside(parent, (directory) =>
        concurrently(children, FILES_AT_ONCE, (path) =>
          explaining(path, () => syncIfFile(syncing, placeIn(directory, baseName(path)), path)).catch(
            passOverGone,
          ),
        ),
      )
      .catch(passOverGone),
  );
}

// Looked at before it is opened: opening a device can do things.
async function syncIfFile({ files, lost }: FileSyncing, place: Place, path: string): Promise<void> {
  const stats = await statsAt(files, place.systemPath);
  const entry = stats && entryFromStats(stats, path);
  if (entry?.type === 'file') await lost.sync(files, place, entry);
}
