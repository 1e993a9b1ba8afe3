import { isSealiftError, systemCode } from '../../errors.ts';
import { baseName, joinPath, pathProblem } from '../../transfer/remote-path.ts';
import type { Entry, ListOptions } from '../store.ts';
import type { Directory } from './directory.ts';
import { entryAt, entryFromStats, statsAt } from './entries.ts';
import type { FileSystem } from './file-system.ts';
import { KeptDirectories, type KeptDirectory, type SpareHandles } from './kept-directory.ts';
import { storeError } from './store-errors.ts';
import { placeIn, type Place, type Tree } from './tree.ts';

/** How many entries of a directory are looked at together. */
const BATCH = 256;
/** Directories that one listing reads at once: each costs several calls, one after the other, that take no time but for the waiting. */
const READ_AT_ONCE = 8;
/** Handles that reading a directory takes: one by which its entries are reached, one for its names. */
const HANDLES_TO_READ = 2;
/** A directory of at most so many bytes has some hundred names, and is read by one call instead of four. */
const SMALL_BYTES = 16_384n;

/** What listings work with. */
export interface ListingParts {
  files: FileSystem;
  tree: Tree;
  spare: SpareHandles;
}

/** A directory that is still to be read. */
interface Subdirectory {
  path: string;
  /** Where it is entered from while that is open; else its path has to be gone from the root. */
  parent?: KeptDirectory | undefined;
  isSmall: boolean;
}

/** What is noticed while a directory is read. */
interface Noticed {
  subdirectories: Subdirectory[];
  /** Names that no path can say, or under which nobody may see what stands. */
  unlisted: number;
  /** Names in which something could not be decoded, or that hold the character which shows that rightfully. */
  doubtful: Set<string>;
}

/** Stands for what is no UTF-8 in a name that was decoded all the same. */
const REPLACEMENT = '\ufffd';

/** Batches of entries, the last one returned: then no handle is needed any more. */
type Reading = AsyncGenerator<Entry[], Entry[]>;

/** Lists the directory `path`; see `Store.list`. Of what it has not come to, only the directories are remembered, and a few batches. */
export async function* listTree(
  parts: ListingParts,
  path: string,
  { recursive, onUnlisted }: Pick<ListOptions, 'recursive' | 'onUnlisted'>,
): AsyncGenerator<Entry> {
  const waiting: Subdirectory[] = [];
  const kept = new KeptDirectories(parts.spare);
  const readings: { path: string; reading: Reading; first: ReturnType<Reading['next']> }[] = [];
  const begin = (directory: Subdirectory, spareHandles: number) => {
    const reading = readDirectory(parts, directory, spareHandles, {
      waiting: recursive ? waiting : undefined,
      kept,
      onUnlisted,
    });
    const first = reading.next();
    // Its failure is told when its turn has come.
    first.catch(() => undefined);
    readings.push({ path: directory.path, reading, first });
  };
  const readAhead = () => {
    while (readings.length < READ_AT_ONCE) {
      // One directory at a time is read in any case.
      const spareHandles = readings.length === 0 ? 0 : HANDLES_TO_READ;
      if (waiting.length === 0 || !parts.spare.take(spareHandles)) return;
      begin(waiting.pop() as Subdirectory, spareHandles);
    }
  };
  begin({ path, isSmall: false }, 0);
  try {
    for (let current = readings[0]; current !== undefined; readAhead(), current = readings[0]) {
      let isBegun = false;
      try {
        let batch = await current.first;
        for (; batch.done !== true; batch = await current.reading.next()) {
          isBegun = true;
          yield* batch.value;
        }
        readAhead();
        yield* batch.value;
      } catch (error) {
        // Below the top a directory may vanish while the listing is under way, and is then no part of it; and one
        // that this process may not read must not keep everybody from all the others. It seems empty then, which whoever
        // wants to know can ask for; one of which a part was told would seem whole.
        const isPassedOver =
          isSealiftError(error, 'not-found', 'not-directory') ||
          (isSealiftError(error, 'forbidden') && !isBegun);
        if (current.path === path || !isPassedOver) throw error;
      }
      readings.shift();
    }
  } finally {
    for (const { first, reading } of readings) {
      await first.catch(() => undefined);
      await reading.return([]);
    }
    for (const { parent } of waiting) await parent?.leave();
  }
}

// A reader that is slow, or that never comes back for the rest, holds a batch and the handles of one directory,
// and of a few more as long as there are enough for all.
async function* readDirectory(
  parts: ListingParts,
  { path, parent, isSmall }: Subdirectory,
  spareHandles: number,
  {
    waiting,
    kept,
    onUnlisted,
  }: { waiting: Subdirectory[] | undefined; kept: KeptDirectories } & Pick<ListOptions, 'onUnlisted'>,
): Reading {
  const { files, tree, spare } = parts;
  let directory: Directory | undefined;
  try {
    directory = await parent?.enter((above) => above.enter(baseName(path)));
    directory ??= await tree.hold(path);
    const noticed: Noticed = { subdirectories: [], unlisted: 0, doubtful: new Set() };
    const { subdirectories } = noticed;
    let batch: string[] = [];
    for await (const name of tree.names(directory, { isSmall })) {
      if (batch.length === BATCH) {
        yield await entriesOf(files, path, directory, batch, noticed);
        batch = [];
      }
      batch.push(name);
    }
    const last = await entriesOf(files, path, directory, batch, noticed);
    if (noticed.unlisted > 0) onUnlisted?.(path, noticed.unlisted);
    if (waiting !== undefined && subdirectories.length > 0) {
      const keeping = kept.keep(directory, subdirectories.length);
      directory = undefined;
      const own = await keeping;
      for (const each of subdirectories.reverse()) waiting.push({ ...each, parent: own });
    }
    return last;
  } catch (error) {
    throw storeError(error, path);
  } finally {
    await directory?.close();
    spare.give(spareHandles);
  }
}

async function entriesOf(
  files: FileSystem,
  path: string,
  directory: Directory,
  names: readonly string[],
  noticed: Noticed,
): Promise<Entry[]> {
  const entries = names.map(async (name) => {
    const child = joinPath(path, name);
    // A name that the protocol cannot say was not put here by it, and cannot be fetched by it.
    if (pathProblem(child) !== undefined || isRepeated(name, noticed)) {
      noticed.unlisted += 1;
      return undefined;
    }
    try {
      return await entryIn(files, placeIn(directory, name), child, noticed);
    } catch (error) {
      if (!['EACCES', 'EPERM'].includes(systemCode(error) ?? '')) throw error;
      // What is mounted for somebody else alone must not hide all that stands beside it; where the directory itself is the
      // reason, this fails as well.
      await files.lstat(directory.self);
      noticed.unlisted += 1;
      return undefined;
    }
  });
  return (await Promise.all(entries)).filter((entry) => entry !== undefined);
}

async function entryIn(
  files: FileSystem,
  place: Place,
  path: string,
  noticed: Noticed,
): Promise<Entry | undefined> {
  const stats = await statsAt(files, place.systemPath);
  // Under what became of a name that is no UTF-8, nothing stands.
  if (stats === undefined && place.name.includes(REPLACEMENT)) noticed.unlisted += 1;
  const entry = stats && entryFromStats(stats, path);
  if (entry?.type === 'symlink') return entryAt(files, place, path);
  if (entry?.type === 'directory') {
    // Some file systems say 0 of every directory.
    const isSmall = stats !== undefined && stats.size > 0n && stats.size <= SMALL_BYTES;
    noticed.subdirectories.push({ path, isSmall });
  }
  return entry;
}

/** Whether another name of the directory was decoded to the same: then at most one of them is really this one. */
function isRepeated(name: string, { doubtful }: Noticed): boolean {
  if (!name.includes(REPLACEMENT)) return false;
  if (doubtful.has(name)) return true;
  doubtful.add(name);
  return false;
}
