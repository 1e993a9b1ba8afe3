import { SealiftError, systemCode } from '../../errors.ts';
import type { Condition, Entry, ReplaceOptions } from '../store.ts';
import type { FileStats, FileSystem } from './file-system.ts';
import type { Place } from './tree.ts';

/** What stands at `place`, under the remote `path`; undefined if nothing that Sealift knows of stands there. */
export async function entryAt(files: FileSystem, place: Place, path: string): Promise<Entry | undefined> {
  let stats: FileStats;
  try {
    stats = await files.lstat(place.systemPath);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  const entry = entryFromStats(stats, path);
  if (entry?.type === 'symlink') entry.target = await files.readlink(place.systemPath);
  return entry;
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
    mode: Number(stats.mode) & 0o777,
    etag: etagFromStats(stats),
  };
}

/**
 * Changes whenever the content may have changed: the inode is another after every publication, and the time of
 * change (ctime), which no program can set, moves with every write in place.
 */
function etagFromStats(stats: FileStats): string {
  return [stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].map((part) => part.toString(36)).join('.');
}

/** Judges what stands under a name now against what the caller demands. Throws what `ReplaceOptions` says. */
export function checkReplacement(
  existing: Entry | undefined,
  path: string,
  { condition, mayReplace }: ReplaceOptions,
): void {
  if (condition.if === 'match' && existing?.etag !== condition.etag)
    throw unmatched(existing, path, condition);
  if (existing === undefined) return;
  const details = { etag: existing.etag };
  if (condition.if === 'absent')
    throw new SealiftError('exists', `${JSON.stringify(path)} exists already.`, { details });
  if (!mayReplace) {
    throw new SealiftError(
      'forbidden',
      `${JSON.stringify(path)} exists already, and replacing it needs the permission "delete".`,
      {
        details,
      },
    );
  }
}

function unmatched(
  existing: Entry | undefined,
  path: string,
  condition: Condition & { if: 'match' },
): SealiftError {
  const found = existing === undefined ? 'does not exist any more' : 'has changed meanwhile';
  return new SealiftError(
    'precondition-failed',
    `${JSON.stringify(path)} ${found} (expected etag ${condition.etag}).`,
    {
      details: existing === undefined ? {} : { etag: existing.etag },
    },
  );
}

function entryType(stats: FileStats): Entry['type'] | undefined {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  return stats.isSymbolicLink() ? 'symlink' : undefined;
}

// Down, also before 1970, so that a time set in whole milliseconds is read back as the same.
function floorMilliseconds(nanoseconds: bigint): number {
  const whole = nanoseconds / 1_000_000n;
  return Number(nanoseconds % 1_000_000n < 0n ? whole - 1n : whole);
}
