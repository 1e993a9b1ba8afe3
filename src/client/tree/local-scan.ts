import { isUtf8 } from 'node:buffer';
import type { BigIntStats } from 'node:fs';
import { lstat, readdir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { throwIfAborted } from '../../clock.ts';
import { SealiftError, systemCode, toSealiftError } from '../../errors.ts';
import { isOwnName } from '../../storage/own-names.ts';
import { baseName, joinPath, pathProblem } from '../../transfer/remote-path.ts';
import { isTemporary, type TreeEntry } from './tree-entry.ts';
import type { TreeFilter } from './tree-filter.ts';

export interface ScanOptions {
  filter: TreeFilter;
  signal?: AbortSignal | undefined;
  /** Told of what could not be looked at; the scan goes on without it. */
  onProblem: (error: SealiftError, path: string) => void;
  /** Told of a file that its size or time keeps out, though its name does not. */
  onLeftOut?: ((path: string) => void) | undefined;
  /** Told of what a transfer has left or is using. */
  onTemporary?: ((path: string) => void) | undefined;
}

/** How many names of a directory are looked at together. */
const BATCH = 256;

/**
 * Everything that a filter takes of the local tree at `root`, each directory before what it holds, the top itself
 * always and first, as `""`. A root that is a file is a tree of one entry. Symbolic links are entries and are not followed,
 * but for the root itself. Throws `local-not-found` or `local-file` for a root that cannot be read.
 */
export async function* scanLocal(root: string, options: ScanOptions): AsyncGenerator<TreeEntry> {
  const top = await topEntry(root);
  const { filter } = options;
  if (top.type !== 'directory') {
    yield top;
    return;
  }
  yield top;
  const waiting = [''];
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    const below: string[] = [];
    for await (const entry of scanDirectory(root, directory, options)) {
      if (entry.type === 'directory' && filter.entersDirectory(entry.path)) below.push(entry.path);
      if (filter.takes(entry)) yield entry;
      else if (entry.type === 'file' && !filter.protects(entry.path, false)) options.onLeftOut?.(entry.path);
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

async function* scanDirectory(root: string, path: string, options: ScanOptions): AsyncGenerator<TreeEntry> {
  const { onProblem, signal } = options;
  let names: string[];
  try {
    names = await utf8Names(join(root, path), (error, name) => onProblem(error, joinPath(path, name)));
  } catch (cause) {
    onProblem(unreadable(join(root, path), cause), path);
    return;
  }
  // In their order, so that two runs do the same in the same order.
  names.sort();
  for (let start = 0; start < names.length; start += BATCH) {
    throwIfAborted(signal);
    const batch = names.slice(start, start + BATCH).map((name) => look(root, joinPath(path, name), options));
    for (const entry of await Promise.all(batch)) if (entry !== undefined) yield entry;
  }
}

async function look(
  root: string,
  path: string,
  { onProblem, onTemporary }: ScanOptions,
): Promise<TreeEntry | undefined> {
  if (isTemporary(path)) onTemporary?.(path);
  if (isTemporary(path) || isOwnName(baseName(path))) return undefined;
  const problem = pathProblem(path);
  if (problem !== undefined) {
    onProblem(new SealiftError('bad-name', `${JSON.stringify(path)} ${problem}, and cannot be sent.`), path);
    return undefined;
  }
  const file = join(root, path);
  try {
    const entry = entryOf(path, await lstat(file, { bigint: true }));
    // Sockets, FIFOs and devices have no content that could be kept.
    if (entry?.type !== 'symlink') return entry;
    return { ...entry, target: await readlink(file) };
  } catch (cause) {
    // Gone between the listing of the directory and now: it was never part of what is sent.
    if (systemCode(cause) === 'ENOENT') return undefined;
    onProblem(toSealiftError(unreadable(file, cause)), path);
    return undefined;
  }
}

/** The names in a directory; those that are not UTF-8 are told, since no path of the protocol can say them. */
async function utf8Names(
  directory: string,
  onProblem: (error: SealiftError, name: string) => void,
): Promise<string[]> {
  const names = await readdir(directory);
  // What cannot be decoded shows as this character, which may also stand there rightfully.
  if (!names.some((name) => name.includes('\ufffd'))) return names;
  const raw = await readdir(directory, { encoding: 'buffer' });
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

// Down, also before 1970.
function floorMilliseconds(nanoseconds: bigint): number {
  const whole = nanoseconds / 1_000_000n;
  return Number(nanoseconds % 1_000_000n < 0n ? whole - 1n : whole);
}
