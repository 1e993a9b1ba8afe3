import { readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';

import { SealiftError, systemCode } from '../errors.ts';
import { withFileLock } from './file-lock.ts';
import { localFileError } from './local-file-error.ts';
import { isAlive, ownerOf, thisProcess, type LockOwner } from './lock-owner.ts';

/** A lock that a process holds for as long as it works, however long that is. */
export interface ProcessLock {
  /** May be called again. */
  release(): Promise<void>;
}

/**
 * Claims `path`, a file that names its owner: this machine, the process, and when that began, so that neither a
 * killed process nor another one with its number keeps the lock. `what` is named in the error, `locked`, if the
 * owner lives. On a directory shared by machines the owner on another one counts as alive. The file is looked at
 * and written under a short lock of its own, so that one that names nobody can only have been left by a crash.
 */
export async function claimProcessLock(path: string, what: string): Promise<ProcessLock> {
  await withFileLock(path, async (assertHeld) => {
    const owner = ownerOf(await readLock(path));
    if (owner !== undefined && isAlive(owner)) throw heldBy(owner, path, what);
    await assertHeld();
    await writeLock(path);
  });
  let isHeld = true;
  return {
    async release() {
      if (!isHeld) return;
      isHeld = false;
      await rm(path, { force: true });
    },
  };
}

/** Whether somebody who lives holds the lock at `path`, also one on another machine. */
export async function isProcessLockHeld(path: string): Promise<boolean> {
  const owner = ownerOf(await readLock(path));
  return owner !== undefined && isAlive(owner);
}

async function readLock(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return '';
    throw localFileError('read', path, error);
  }
}

async function writeLock(path: string): Promise<void> {
  try {
    await writeFile(path, thisProcess(), { mode: 0o600 });
  } catch (error) {
    await rm(path, { force: true });
    throw localFileError('lock', path, error);
  }
}

function heldBy({ host, pid }: LockOwner, path: string, what: string): SealiftError {
  return new SealiftError('locked', `Another run (process ${pid} on ${host}) works on ${what}.`, {
    retryable: false,
    hint: host === hostname() ? 'Wait for it, or end it.' : `If it is gone, remove ${path}.`,
  });
}
