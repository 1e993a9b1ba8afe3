import {
  closeSync,
  constants,
  fchmodSync,
  linkSync,
  futimesSync,
  lstatSync,
  openSync,
  renameSync,
  unlinkSync,
  type Stats,
} from 'node:fs';
import { lstat, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

import { secondsOf, systemClock } from '../clock.ts';
import { cannotLink, isDiskFull, SealiftError, systemCode } from '../errors.ts';
import { syncDirectory } from '../local-sync.ts';
import { BLOCK_BYTES } from '../transfer/blocks.ts';
import { writeFullySync } from '../write-fully.ts';

/** How a fetched file is to stand under its name. */
export interface Completion {
  size: number;
  mtimeMs: number;
  /** Permission bits. Of a new file, unless `keepsMode`, the umask takes some away, and one that is replaced passes its own on. */
  mode: number;
  /** The file gets exactly `mode`. */
  keepsMode?: boolean;
  /** Fail with `local-exists` instead of replacing a file that appeared meanwhile. */
  mustBeNew: boolean;
  /** Called when all is written and before the name is taken: for whatever has to make room. */
  beforePublishing?: (() => Promise<void>) | undefined;
}

/** Gives what was written to `handle`, which is open at `temporary`, the name `target` in one step, and closes it. It survives a loss of power then. */
export async function publishFile(
  handle: FileHandle,
  { temporary, target }: { temporary: string; target: string },
  completion: Completion,
): Promise<void> {
  const { size, mtimeMs, beforePublishing } = completion;
  try {
    await handle.truncate(size);
    await handle.chmod(modeFor(target, completion));
    await handle.utimes(secondsOf(systemClock.now()), secondsOf(mtimeMs));
    await syncOrRemove(handle, temporary);
  } finally {
    await handle.close();
  }
  await beforePublishing?.();
  await takeName(temporary, target, completion);
  await syncDirectory(dirname(target));
}

/**
 * Writes a small file to `temporary`, as it is to stand, by calls that block: for many small files, of which each would otherwise
 * wait eight times for Node's thread pool. It is not synced. Throws what the system says.
 */
export function stageContent(
  content: Buffer,
  temporary: string,
  { mode, mtimeMs }: { mode: number; mtimeMs: number },
): void {
  const fd = openNewSync(temporary);
  try {
    writeFullySync(fd, content);
    fchmodSync(fd, mode);
    futimesSync(fd, secondsOf(systemClock.now()), secondsOf(mtimeMs));
  } finally {
    closeSync(fd);
  }
}

/** Gives what was staged other permission bits. By a handle: somebody may have put a link there meanwhile, which `chmod` would follow. */
export function setMode(temporary: string, mode: number): void {
  const fd = openSync(temporary, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    fchmodSync(fd, mode);
  } finally {
    closeSync(fd);
  }
}

/** Gives what is open or staged at `temporary` the name `target`, by calls that block only for a moment. Throws what the system says, and `local-exists`. */
export async function takeName(
  temporary: string,
  target: string,
  { mustBeNew }: Pick<Completion, 'mustBeNew'>,
): Promise<void> {
  if (mustBeNew) return nameNew(temporary, target);
  const existing = lstatSync(target, { throwIfNoEntry: false });
  const problem = notReplaceable(existing, target);
  if (problem !== undefined) throw problem;
  // What it replaces is freed at once, which takes seconds where it lies in many pieces.
  if (existing !== undefined && existing.size > BLOCK_BYTES) await rename(temporary, target);
  else renameSync(temporary, target);
}

// What an earlier run left under that name is of no use for a small file.
function openNewSync(path: string): number {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  try {
    return openSync(path, flags, 0o600);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
    unlinkSync(path);
    return openSync(path, flags, 0o600);
  }
}

// A link fails where a name stands, also one that appeared a moment ago; a rename would replace it.
function nameNew(temporary: string, target: string): void {
  try {
    linkSync(temporary, target);
  } catch (error) {
    // Some file systems have no links: there a name that appears in the same moment would be replaced.
    if (!cannotLink(error)) throw error;
    if (lstatSync(target, { throwIfNoEntry: false }))
      throw new SealiftError('local-exists', `${target} exists already.`);
    return renameSync(temporary, target);
  }
  unlinkSync(temporary);
}

/** Throws `local-exists` if what stands at `path` is no file: to put one in the place of a device or a FIFO would destroy it. `name` is what the error calls it. */
export async function assertReplaceable(path: string, name: string): Promise<void> {
  const stats = await lstat(path).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined;
    throw localError(error, name);
  });
  const problem = notReplaceable(stats, name);
  if (problem !== undefined) throw problem;
}

function notReplaceable(stats: Stats | undefined, name: string): SealiftError | undefined {
  if (stats === undefined || stats.isFile()) return undefined;
  if (stats.isDirectory()) return new SealiftError('local-exists', `${name} is a directory.`);
  return new SealiftError('local-exists', `${name} is no ordinary file, and is not replaced.`, {
    hint: 'To write into it, fetch to standard output: sealift cat SOURCE > FILE',
  });
}

/** The permission bits with which a file is to stand at `path`. What could raise its powers (setuid, setgid, sticky) is not taken from a server. */
export function modeFor(
  path: string,
  { mode, keepsMode = false }: Pick<Completion, 'mode' | 'keepsMode'>,
): number {
  if (keepsMode) return mode & 0o777;
  const existing = lstatSync(path, { throwIfNoEntry: false });
  return existing?.isFile() === true ? existing.mode & 0o777 : mode & 0o777 & ~process.umask();
}

// The system says only once that data did not reach the disk, and keeps it in memory as if it had: a later run would believe it.
async function syncOrRemove(handle: FileHandle, path: string): Promise<void> {
  try {
    await handle.sync();
  } catch (error) {
    await rm(path, { force: true }).catch(() => undefined);
    throw error;
  }
}

/** Runs `task`; what the system says against it becomes an error about `target`. */
export async function explaining<T>(target: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    throw localError(error, target);
  }
}

/** What the system said, as one of ours. */
function localError(cause: unknown, target: string): SealiftError {
  if (cause instanceof SealiftError) return cause;
  const code = systemCode(cause);
  if (isDiskFull(cause))
    return new SealiftError('local-no-space', `There is no space left for ${target}.`, { cause });
  if (code === 'EEXIST') return new SealiftError('local-exists', `${target} exists already.`, { cause });
  return new SealiftError('local-file', `${target} cannot be written (${code ?? String(cause)}).`, { cause });
}
