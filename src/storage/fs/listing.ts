import { isSealiftError } from '../../errors.ts';
import { joinPath, pathProblem } from '../../transfer/remote-path.ts';
import type { Entry } from '../store.ts';
import type { Directory } from './directory.ts';
import { entryAt } from './entries.ts';
import type { FileSystem } from './file-system.ts';
import { storeError } from './store-errors.ts';
import { placeIn, type Tree } from './tree.ts';

/** How many entries of a directory are looked at together. */
const BATCH = 64;

/** Lists the directory `path`; see `Store.list`. Only the directories still to be read are remembered. */
export async function* listTree(
  files: FileSystem,
  tree: Tree,
  path: string,
  { recursive }: { recursive: boolean },
): AsyncGenerator<Entry> {
  const waiting = [path];
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    try {
      for await (const entry of listDirectory(files, tree, directory)) {
        yield entry;
        if (recursive && entry.type === 'directory') waiting.push(entry.path);
      }
    } catch (error) {
      // Below the top a directory may vanish while the listing is under way, and is then no part of it; and one
      // that this process may not read must not keep everybody from all the others.
      if (directory === path || !isSealiftError(error, 'not-found', 'not-directory', 'forbidden'))
        throw error;
    }
  }
}

// A reader that is slow, or that never comes back for the rest, holds a batch and one open directory.
async function* listDirectory(files: FileSystem, tree: Tree, path: string): AsyncGenerator<Entry> {
  const directory = await tree.hold(path);
  try {
    let batch: string[] = [];
    for await (const name of tree.names(directory)) {
      batch.push(name);
      if (batch.length < BATCH) continue;
      yield* await entriesOf(files, path, directory, batch);
      batch = [];
    }
    yield* await entriesOf(files, path, directory, batch);
  } catch (error) {
    throw storeError(error, path);
  } finally {
    await directory.close();
  }
}

async function entriesOf(
  files: FileSystem,
  path: string,
  directory: Directory,
  names: readonly string[],
): Promise<Entry[]> {
  const entries = names.map(async (name) => {
    const child = joinPath(path, name);
    // A name that the protocol cannot say was not put here by it, and cannot be fetched by it.
    if (pathProblem(child) !== undefined) return undefined;
    return entryAt(files, placeIn(directory, name), child);
  });
  return (await Promise.all(entries)).filter((entry) => entry !== undefined);
}
