import {
  closeSync,
  constants,
  fchmodSync,
  futimesSync,
  lstatSync,
  openSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeSync,
  type Stats,
} from 'node:fs';
import { link, lstat, rename, rm, unlink, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

import { secondsOf, systemClock } from '../clock.ts';
import { cannotLink, isDiskFull, SealiftError, systemCode } from '../errors.ts';
import { syncDirectory } from '../local-sync.ts';

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
  /** Whether the file has to survive a loss of power once it stands. Default true. */
  isDurable?: boolean;
  /** Called when all is written and before the name is taken: for whatever has to make room. */
  beforePublishing?: (() => Promise<void>) | undefined;
}

/** Gives what was written to `handle`, which is open at `temporary`, the name `target` in one step, and closes it. */
export async function publishFile(
  handle: FileHandle,
  { temporary, target }: { temporary: string; target: string },
  completion: Completion,
): Promise<void> {
  const {
    size,
    mtimeMs,
    mode,
    mustBeNew,
    keepsMode = false,
    isDurable = true,
    beforePublishing,
  } = completion;
  try {
    await handle.truncate(size);
    await handle.chmod(keepsMode ? mode & 0o777 : await modeFor(target, mode));
    await handle.utimes(secondsOf(systemClock.now()), secondsOf(mtimeMs));
    if (isDurable) await syncOrRemove(handle, temporary);
  } finally {
    await handle.close();
  }
  await beforePublishing?.();
  if (mustBeNew) await nameNew(temporary, target);
  else {
    await assertReplaceable(target, target);
    await rename(temporary, target);
  }
  if (isDurable) await syncDirectory(dirname(target));
}

/**
 * Puts a new small file under `target` through `temporary`, by calls that block: for many small files, of which each
 * would otherwise wait eight times for Node's thread pool. It is not synced. Throws what the system says, and `local-exists`.
 */
export function publishContent(
  content: Buffer,
  { temporary, target }: { temporary: string; target: string },
  { mtimeMs, mode, keepsMode = false }: Pick<Completion, 'mtimeMs' | 'mode' | 'keepsMode'>,
): void {
  const fd = openNewSync(temporary);
  try {
    try {
      for (let written = 0; written < content.length;)
        written += writeSync(fd, content, written, content.length - written, written);
      fchmodSync(fd, mode & 0o777 & ~(keepsMode ? 0 : process.umask()));
      futimesSync(fd, secondsOf(systemClock.now()), secondsOf(mtimeMs));
    } finally {
      closeSync(fd);
    }
    const problem = notReplaceable(lstatSync(target, { throwIfNoEntry: false }), target);
    if (problem !== undefined) throw problem;
    renameSync(temporary, target);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
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
async function nameNew(temporary: string, target: string): Promise<void> {
  try {
    await link(temporary, target);
  } catch (error) {
    // Some file systems have no links: there a name that appears in the same moment would be replaced.
    if (!cannotLink(error)) throw error;
    if (await lstat(target).catch(() => undefined))
      throw new SealiftError('local-exists', `${target} exists already.`);
    return rename(temporary, target);
  }
  await unlink(temporary);
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

// What could raise the file's powers (setuid, setgid, sticky) is not taken from a server.
async function modeFor(path: string, mode: number): Promise<number> {
  const existing = await lstat(path).catch(() => undefined);
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
