import { isUtf8 } from 'node:buffer';
import { lstatSync, readdirSync, readlinkSync, statSync, type BigIntStats } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { floorMilliseconds, throwIfAborted } from '../../clock.ts';
import { SealiftError, systemCode } from '../../errors.ts';
import { isOwnName } from '../../storage/own-names.ts';
import { baseName, joinPath, pathProblem } from '../../transfer/remote-path.ts';
import { isTemporary, type TreeEntry } from './tree-entry.ts';
import type { TreeFilter } from './tree-filter.ts';

export interface ScanOptions {
  filter: TreeFilter;
  signal?: AbortSignal | undefined;
  /** Told of what could not be looked at; the scan goes on without it. */
  onProblem: (error: SealiftError, path: string) => void;
  /** Told of a directory that is not taken by itself, before what may be taken below it. */
  onWay?: ((directory: TreeEntry) => void) | undefined;
  /** Told of a file that its size or time keeps out, though its name does not. */
  onLeftOut?: ((path: string) => void) | undefined;
  /** Told of a socket, FIFO or device that the filter would take: it has no content that could be kept. */
  onSpecial?: ((path: string) => void) | undefined;
  /** Told of what the filter would take, and what has a name that this program keeps for itself, with all that is in it. */
  onReserved?: ((path: string) => void) | undefined;
  /** Told of what a transfer has left or is using; of a link also if it is somebody's own. */
  onTemporary?: ((path: string) => void) | undefined;
}

/** How many names are looked at before everything else has its turn. */
const BATCH = 256;

/**
 * Everything that a filter takes of the local tree at `root`, each directory before what it holds, the top itself
 * always and first, as `""`; in batches, none empty. A root that is a file is a tree of one entry. Symbolic links are entries and are not followed,
 * but for the root itself. Throws `local-not-found` or `local-file` for a root that cannot be read.
 */
export async function* scanLocal(root: string, options: ScanOptions): AsyncGenerator<TreeEntry[]> {
  const top = await topEntry(root);
  const { filter } = options;
  yield [top];
  if (top.type !== 'directory') return;
  const pace = { looked: 0 };
  const waiting = [''];
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    const below: string[] = [];
    for await (const entries of entriesIn(root, directory, options, pace)) {
      const taken: TreeEntry[] = [];
      for (const entry of entries) {
        if (entry.type === 'directory' && filter.entersDirectory(entry.path)) below.push(entry.path);
        if (filter.takes(entry)) taken.push(entry);
        else if (entry.type === 'directory') options.onWay?.(entry);
        else if (entry.type === 'file' && !filter.protects(entry.path, false))
          options.onLeftOut?.(entry.path);
      }
      if (taken.length > 0) yield taken;
    }
    for (let last = below.pop(); last !== undefined; last = below.pop()) waiting.push(last);
  }
}

async function topEntry(root: string): Promise<TreeEntry> {
  try {
    const stats = await stat(root, { bigint: true });
    const entry = entryOf('', stats);
    if (entry !== undefined) return entry;
  } catch (cause) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(cause) ?? ''))
      throw new SealiftError('local-not-found', `${root} does not exist.`, { cause });
    throw unreadable(root, cause);
  }
  throw new SealiftError('local-file', `${root} is neither a file nor a directory.`);
}

/** What is in a directory, in pieces. Now and then a call that waits for the disk lets everything else have its turn. */
async function* entriesIn(
  root: string,
  path: string,
  options: ScanOptions,
  pace: { looked: number },
): AsyncGenerator<TreeEntry[]> {
  const { onProblem, signal } = options;
  const directory = join(root, path);
  let identity: string;
  let names: string[];
  try {
    identity = identityOf(directory);
    names = utf8Names(directory, (error, name) => onProblem(error, joinPath(path, name)));
  } catch (cause) {
    onProblem(unreadable(directory, cause), path);
    return;
  }
  // In their order, so that two runs do the same in the same order.
  names.sort();
  const gone: string[] = [];
  for (let start = 0; start < names.length; start += BATCH) {
    throwIfAborted(signal);
    const batch = names.slice(start, start + BATCH);
    pace.looked += batch.length;
    if (pace.looked >= BATCH) {
      pace.looked = 0;
      await access(directory).catch(() => undefined);
    }
    yield batch
      .map((name) => look(root, joinPath(path, name), options, gone))
      .filter((entry) => entry !== undefined);
  }
  // Of a file system that is taken away everything seems to be gone at once, and nothing may be removed for that.
  if (gone.length > 0 && !isStill(directory, identity)) onProblem(takenAway(directory), path);
}

/** What tells a directory from any other that is found under its name. */
function identityOf(directory: string): string {
  const { dev, ino } = statSync(directory, { bigint: true });
  return `${dev} ${ino}`;
}

function isStill(directory: string, identity: string): boolean {
  try {
    return identityOf(directory) === identity;
  } catch {
    return false;
  }
}

// Without waiting: to ask for many thousand entries one by one costs three times what the answers do.
function look(root: string, path: string, options: ScanOptions, gone: string[]): TreeEntry | undefined {
  const { filter, onProblem, onSpecial } = options;
  const isReserved = isTemporary(path) || isOwnName(baseName(path));
  const problem = isReserved ? undefined : pathProblem(path);
  if (problem !== undefined) {
    onProblem(new SealiftError('bad-name', `${JSON.stringify(path)} ${problem}, and cannot be sent.`), path);
    return undefined;
  }
  const file = `${root}/${path}`;
  try {
    const entry = entryOf(path, lstatSync(file, { bigint: true }));
    if (isReserved) {
      tellReserved(path, entry?.type, options);
      return undefined;
    }
    if (entry === undefined && !filter.protects(path, false)) onSpecial?.(path);
    if (entry?.type !== 'symlink') return entry;
    const target = readlinkSync(file, { encoding: 'buffer' });
    return isUtf8(target) ? { ...entry, target: target.toString('utf8') } : entry;
  } catch (cause) {
    // Gone between the listing of the directory and now: it was never part of what is sent.
    if (systemCode(cause) === 'ENOENT') {
      gone.push(path);
      return undefined;
    }
    onProblem(unreadable(file, cause), path);
    return undefined;
  }
}

/** What this program made for its own use is left out without a word. All else of such a name is somebody's data. */
function tellReserved(
  path: string,
  type: TreeEntry['type'] | undefined,
  { filter, onReserved, onTemporary }: ScanOptions,
): void {
  if (isTemporary(path) && type !== 'directory') onTemporary?.(path);
  if (isTemporary(path) && type === 'file') return;
  if (!filter.protects(path, type === 'directory')) onReserved?.(path);
}

/** The names in a directory; those that are not UTF-8 are told, since no path of the protocol can say them. */
function utf8Names(directory: string, onProblem: (error: SealiftError, name: string) => void): string[] {
  const names = readdirSync(directory);
  // What cannot be decoded shows as this character, which may also stand there rightfully.
  if (!names.some((name) => name.includes('\ufffd'))) return names;
  const raw = readdirSync(directory, { encoding: 'buffer' });
  const isText = (name: Buffer) => isUtf8(name);
  for (const name of raw.filter((each) => !isText(each))) onProblem(notUtf8(name), name.toString('utf8'));
  return raw.filter(isText).map((name) => name.toString('utf8'));
}

function notUtf8(name: Buffer): SealiftError {
  let position = name.length;
  while (!isUtf8(name.subarray(0, position))) position -= 1;
  const byte = (name[position] ?? 0).toString(16).padStart(2, '0');
  return new SealiftError(
    'bad-name',
    `The name ${JSON.stringify(name.toString('latin1'))} is not UTF-8 (byte 0x${byte} at position ${position}), and cannot be sent.`,
  );
}

function takenAway(directory: string): SealiftError {
  return new SealiftError('local-file', `${directory} was taken away while it was being looked at.`, {
    hint: 'Is something not mounted any more? Look at it, and run this again.',
  });
}

function unreadable(path: string, cause: unknown): SealiftError {
  return new SealiftError('local-file', `${path} cannot be read (${systemCode(cause) ?? String(cause)}).`, {
    cause,
  });
}

/** As an entry; undefined for what is no file, directory or link. Times are cut to the millisecond, as everywhere here. */
function entryOf(path: string, stats: BigIntStats): TreeEntry | undefined {
  const type = stats.isFile()
    ? 'file'
    : stats.isDirectory()
      ? 'directory'
      : stats.isSymbolicLink()
        ? 'symlink'
        : undefined;
  if (type === undefined) return undefined;
  return {
    path,
    type,
    size: type === 'directory' ? 0 : Number(stats.size),
    mtimeMs: floorMilliseconds(stats.mtimeNs),
    mode: Number(stats.mode & 0o777n),
  };
}
