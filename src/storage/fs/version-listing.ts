import { components, joinPath, pathProblem } from '../../transfer/remote-path.ts';
import { systemCode } from '../../errors.ts';
import { isOwnName, STATE_DIRECTORY } from '../own-names.ts';
import type { Entry, ListOptions, StoredFile } from '../store.ts';
import { retiredAtMs, versionNotFound } from '../version-ids.ts';
import type { Directory } from './directory.ts';
import { entryFromStats, statsAt } from './entries.ts';
import type { FileSystem } from './file-system.ts';
import { KeptDirectories, type KeptDirectory, type SpareHandles } from './kept-directory.ts';
import { storeError } from './store-errors.ts';
import { openStoredFile } from './stored-file.ts';
import { placeIn } from './tree.ts';

/** What looking for versions works with. */
export interface VersionParts {
  files: FileSystem;
  /** Where versions are kept; see `version-places.ts`. */
  root: Directory;
}

/** What listing them works with. */
export interface VersionListingParts extends VersionParts {
  spare: SpareHandles;
}

/** Something that is kept, at these components below the root of versions. */
interface Kept {
  at: readonly string[];
  entry: Entry;
  version: string;
}

/** A directory that is still to be read: one that has versions in it, or, with `version`, one that is kept itself. */
interface Unread {
  at: readonly string[];
  path: string;
  version?: string;
  /** What it was found in, so many components above; while that is open it is entered from there. */
  parent?: { directory: KeptDirectory; above: number };
}

/** Lists versions; see `Store.list`. A listing has a few handles open, and remembers directories only. */
export async function* listVersions(
  parts: VersionListingParts,
  path: string,
  options: Pick<ListOptions, 'recursive'>,
): AsyncGenerator<Entry> {
  try {
    yield* listed(parts, path, options);
  } catch (error) {
    throw storeError(error, path);
  }
}

async function* listed(
  parts: VersionListingParts,
  path: string,
  { recursive }: Pick<ListOptions, 'recursive'>,
): AsyncGenerator<Entry> {
  const keptOpen = new KeptDirectories(parts.spare);
  const waiting: Unread[] = [{ at: components(path), path }];
  for await (const { at, entry, version } of keptUnder(parts, path)) {
    if (entry.type === 'file') yield { ...entry, version };
    if (entry.type === 'directory') waiting.push({ at, path, version });
  }
  try {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      let directory = await enterUnread(parts, next);
      if (directory === undefined) continue;
      const below: Unread[] = [];
      try {
        const isKept = next.version !== undefined;
        for await (const found of (isKept ? keptIn : versionsIn)(parts, directory, next)) {
          if (!('entry' in found)) {
            below.push(found);
            continue;
          }
          const { at, entry, version } = found;
          if (entry.type === 'file') yield { ...entry, version };
          if (entry.type === 'directory') below.push({ at, path: entry.path, version });
        }
        if (!recursive || below.length === 0) continue;
        const keeping = keptOpen.keep(directory, below.length);
        directory = undefined;
        const kept = await keeping;
        for (const each of below)
          waiting.push({ ...each, parent: { directory: kept, above: each.at.length - next.at.length } });
      } finally {
        await directory?.close();
      }
    }
  } finally {
    for (const { parent } of waiting) await parent?.directory.leave();
  }
}

/** Opens a version of the file `path`. Throws `not-found`, also for what is no id at all. */
export async function openVersion(
  { files, root }: VersionParts,
  path: string,
  version: string,
): Promise<StoredFile> {
  // What a peer calls a version becomes a name only if it has the form of one.
  if (retiredAtMs(version) === undefined) throw versionNotFound(path, version);
  for await (const { versions, rest } of versionPlaces(root, path)) {
    const names = [version, ...rest];
    const above = await enterIfThere(versions, names.slice(0, -1));
    try {
      const place = above && placeIn(above, names.at(-1) as string);
      if (place !== undefined && (await statsAt(files, place.systemPath)) !== undefined)
        return await openStoredFile(files, place, path);
    } finally {
      await above?.close();
    }
  }
  throw versionNotFound(path, version);
}

/** What is kept under `path` itself. */
async function* keptUnder({ files, root }: VersionParts, path: string): AsyncGenerator<Kept> {
  for await (const { versions, at, rest } of versionPlaces(root, path))
    yield* keptBelow(files, versions, { at, path, rest });
}

/**
 * Where versions of `path` may be kept, by themselves or in a directory above it that was removed: the directories of ids that
 * are there, each open until the next is asked for, and what leads from an id to the version. Goes down once.
 */
async function* versionPlaces(
  root: Directory,
  path: string,
): AsyncGenerator<{ versions: Directory; at: string[]; rest: string[] }> {
  const all = components(path);
  let directory = await root.enter('.');
  try {
    for (const [index, name] of all.entries()) {
      const versions = await enterIfThere(directory, [STATE_DIRECTORY, name]);
      try {
        if (versions !== undefined) {
          const at = [...all.slice(0, index), STATE_DIRECTORY, name];
          yield { versions, at, rest: all.slice(index + 1) };
        }
      } finally {
        await versions?.close();
      }
      const next = await enterIfThere(directory, [name]);
      if (next === undefined) return;
      await directory.close();
      directory = next;
    }
  } finally {
    await directory.close();
  }
}

/** What is kept of names that stood in a directory; and the directories in it, in which there may be more. */
async function* versionsIn(
  { files }: VersionParts,
  directory: Directory,
  { at, path }: Unread,
): AsyncGenerator<Kept | Unread> {
  const own = await enterIfThere(directory, [STATE_DIRECTORY]);
  try {
    for await (const name of files.names(directory.self))
      if (!isOwnName(name)) yield { at: [...at, name], path: joinPath(path, name) };
    if (own === undefined) return;
    for await (const name of files.names(own.self)) {
      const versions = await enterIfThere(own, [name]);
      if (versions === undefined) continue;
      try {
        const place = { at: [...at, STATE_DIRECTORY, name], path: joinPath(path, name), rest: [] };
        yield* keptBelow(files, versions, place);
      } finally {
        await versions.close();
      }
    }
  } finally {
    await own?.close();
  }
}

/** What lies at `rest` below each version in the open directory `versions`, which is at `at`. */
async function* keptBelow(
  files: FileSystem,
  versions: Directory,
  { at, path, rest }: { at: readonly string[]; path: string; rest: readonly string[] },
): AsyncGenerator<Kept> {
  for await (const version of files.names(versions.self)) {
    if (retiredAtMs(version) === undefined) continue;
    const names = [version, ...rest];
    const above = rest.length === 0 ? versions : await enterIfThere(versions, names.slice(0, -1));
    if (above === undefined) continue;
    try {
      const entry = await entryIn(files, above, names.at(-1) as string, path);
      if (entry !== undefined) yield { at: [...at, ...names], entry, version };
    } finally {
      if (above !== versions) await above.close();
    }
  }
}

/** What is in a directory that is kept with all in it. */
async function* keptIn(
  { files }: VersionParts,
  directory: Directory,
  { at, path, version = '' }: Unread,
): AsyncGenerator<Kept> {
  for await (const name of files.names(directory.self)) {
    const entry = isOwnName(name) ? undefined : await entryIn(files, directory, name, joinPath(path, name));
    if (entry !== undefined) yield { at: [...at, name], entry, version };
  }
}

/** What stands under a name in an open directory, if the protocol can say its path. */
async function entryIn(
  files: FileSystem,
  directory: Directory,
  name: string,
  path: string,
): Promise<Entry | undefined> {
  if (pathProblem(path) !== undefined) return undefined;
  const stats = await statsAt(files, directory.child(name));
  return stats && entryFromStats(stats, path);
}

/** A directory may expire at any time, and others never were: a file cannot be gone through. */
const GONE: readonly string[] = ['ENOENT', 'ENOTDIR', 'ELOOP'];

/** Opens a directory that is still to be read; undefined if it is gone. One kept whole that this process may not read is passed over, as where it stood. */
async function enterUnread(
  { root }: VersionParts,
  { at, version, parent }: Unread,
): Promise<Directory | undefined> {
  const passedOver = version === undefined ? GONE : [...GONE, 'EACCES'];
  if (parent?.directory.isOpen !== true) return enterIfThere(root, at, passedOver);
  return parent.directory.enter((above) => enterIfThere(above, at.slice(-parent.above), passedOver));
}

/** Opens the directory at `names` below another; undefined if it is not there, or fails for what is passed over. */
async function enterIfThere(
  directory: Directory,
  names: readonly string[],
  passedOver = GONE,
): Promise<Directory | undefined> {
  try {
    return await directory.descend(names);
  } catch (error) {
    if (passedOver.includes(systemCode(error) ?? '')) return undefined;
    throw error;
  }
}
