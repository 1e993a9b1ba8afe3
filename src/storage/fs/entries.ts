import { floorMilliseconds } from '../../clock.ts';
import { SealiftError, systemCode } from '../../errors.ts';
import { PERMISSION_BITS } from '../kept-mode.ts';
import { etagOf } from '../same-node.ts';
import type { Entry } from '../store.ts';
import type { FileStats, FileSystem } from './file-system.ts';
import type { Place } from './tree.ts';

/** What stands at `place`, under the remote `path`; undefined if nothing that Sealift knows of stands there. */
export async function entryAt(files: FileSystem, place: Place, path: string): Promise<Entry | undefined> {
  return withTarget(files, place, path, await statsAt(files, place.systemPath));
}

/** The same, or `not-found`. */
export async function existingAt(files: FileSystem, place: Place, path: string): Promise<Entry> {
  const entry = await entryAt(files, place, path);
  if (entry === undefined) throw new SealiftError('not-found', `${JSON.stringify(path)} does not exist.`);
  return entry;
}

/**
 * The same as `entryAt` before something takes its place, once `judge` had nothing against it. Throws `exists` where a FIFO, a
 * socket or a device stands: it is nothing that could be kept or asked for, and a rename would destroy it.
 */
export async function replacedAt(
  files: FileSystem,
  place: Place,
  path: string,
  judge: (existing: Entry | undefined) => void,
): Promise<Entry | undefined> {
  const stats = await statsAt(files, place.systemPath);
  const existing = await withTarget(files, place, path, stats);
  judge(existing);
  if (stats !== undefined && entryType(stats) === undefined)
    throw new SealiftError('exists', `${JSON.stringify(path)} is no ordinary file, and is not replaced.`);
  return existing;
}

async function withTarget(
  files: FileSystem,
  place: Place,
  path: string,
  stats: FileStats | undefined,
): Promise<Entry | undefined> {
  const entry = stats && entryFromStats(stats, path);
  if (entry?.type !== 'symlink') return entry;
  try {
    const target = await files.readlink(place.systemPath);
    return target === undefined ? entry : { ...entry, target };
  } catch (error) {
    // It was removed, or replaced by what is no link, since it was looked at: what stands there now counts.
    if (!['ENOENT', 'EINVAL'].includes(systemCode(error) ?? '')) throw error;
    return entryAt(files, place, path);
  }
}

/** What the system tells of a name; undefined if nothing stands there. */
export async function statsAt(files: FileSystem, systemPath: string): Promise<FileStats | undefined> {
  try {
    return await files.lstat(systemPath);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Removes a name; nothing happens if it is not there. */
export async function unlinkIfThere(files: FileSystem, systemPath: string): Promise<void> {
  try {
    await files.unlink(systemPath);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}

/** The entry that `stats` describe; undefined for what is no file, directory or link. */
export function entryFromStats(stats: FileStats, path: string): Entry | undefined {
  const type = entryType(stats);
  if (type === undefined) return undefined;
  return {
    path,
    type,
    size: type === 'directory' ? 0 : Number(stats.size),
    mtimeMs: floorMilliseconds(stats.mtimeNs),
    mode: Number(stats.mode) & PERMISSION_BITS,
    etag: etagFromStats(stats),
  };
}

/**
 * Changes whenever the content may have changed: the inode is another after every publication, and the time of
 * change (ctime), which no program can set, moves with every write in place. Numbers of inodes are used again, and so
 * the time at which it was made belongs to the node; it is 0 where the file system keeps none.
 */
function etagFromStats({ ino, birthtimeNs, size, mtimeNs, ctimeNs }: FileStats): string {
  return etagOf(joined(ino, birthtimeNs), joined(size, mtimeNs, ctimeNs));
}

function joined(...numbers: bigint[]): string {
  return numbers.map((each) => each.toString(36)).join('.');
}

function entryType(stats: FileStats): Entry['type'] | undefined {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  return stats.isSymbolicLink() ? 'symlink' : undefined;
}

/** Why no directory could be made in a place: what stands there, where that is the reason, or else `error` itself. */
export async function inTheWayOfDirectory(
  files: FileSystem,
  place: Place,
  path: string,
  error: unknown,
): Promise<unknown> {
  if (!['ENOTDIR', 'ELOOP'].includes(systemCode(error) ?? '')) return error;
  const existing = await entryAt(files, place, path);
  return new SealiftError('exists', `${JSON.stringify(path)} exists already and is no directory.`, {
    cause: error,
    details: existing === undefined ? {} : { etag: existing.etag },
  });
}
