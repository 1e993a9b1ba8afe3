import { lstat } from 'node:fs/promises';

import { isSealiftError, systemCode } from '../errors.ts';
import { removeDeadFileLock } from './file-lock.ts';
import { localFileError } from './local-file-error.ts';
import { claimProcessLock } from './process-lock.ts';

/** Names of locks, those that a process holds for long and those of a moment, as they may be found in a directory. */
export const LOCK_NAME = /^\.sealift-[0-9a-f]{16}\.lock$/;

/** Removes the lock at `path` if its owner certainly is gone, or none ever was; false if it may be held, or is no lock. */
export async function removeAbandonedLock(path: string): Promise<boolean> {
  const stats = await lstat(path).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw localFileError('read', path, error);
  });
  // Never written through: what it names is an owner and no file.
  if (stats?.isSymbolicLink() === true) return removeDeadFileLock(path);
  if (stats?.isFile() !== true) return false;
  try {
    await (await claimProcessLock(path, path)).release();
    return true;
  } catch (error) {
    if (isSealiftError(error, 'locked')) return false;
    throw error;
  }
}
