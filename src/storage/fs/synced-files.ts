import { baseName, parentPath } from '../../transfer/remote-path.ts';
import { concurrently } from '../concurrently.ts';
import { statsAt } from './entries.ts';
import { closingFile } from './file-bytes.ts';
import { OPEN, type FileSystem } from './file-system.ts';
import { explaining, passOverGone } from './store-errors.ts';
import { placeIn, type Place, type Tree } from './tree.ts';

/**
 * Directories worked in at once, and files of each. Node has four threads for this, and while they wait for the
 * disk, which writes the journal once for all of them, the next files are opened.
 */
const DIRECTORIES_AT_ONCE = 4;
const FILES_AT_ONCE = 8;

/** Syncs the data of the files under `paths`, each directory being gone into once. What is gone, or no file, is passed over. */
export async function syncFiles(files: FileSystem, tree: Tree, paths: readonly string[]): Promise<void> {
  const directories = [...Map.groupBy(paths, parentPath)];
  await concurrently(directories, DIRECTORIES_AT_ONCE, ([parent, children]) =>
    tree
      .inside(parent, (directory) =>
        concurrently(children, FILES_AT_ONCE, (path) =>
          explaining(path, () => syncIfFile(files, placeIn(directory, baseName(path)))).catch(passOverGone),
        ),
      )
      .catch(passOverGone),
  );
}

async function syncFile(files: FileSystem, { systemPath }: Place): Promise<void> {
  const file = await files.open(systemPath, OPEN.read);
  await closingFile(file, () => file.sync());
}

// Looked at before it is opened: opening a device can do things.
async function syncIfFile(files: FileSystem, place: Place): Promise<void> {
  if ((await statsAt(files, place.systemPath))?.isFile() === true) await syncFile(files, place);
}
