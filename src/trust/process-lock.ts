import { readFileSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';

import { SealiftError, systemCode } from '../errors.ts';
import { withFileLock } from './file-lock.ts';

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
  await withFileLock(path, async () => {
    const owner = ownerOf(await readLock(path));
    if (owner !== undefined && isAlive(owner)) throw heldBy(owner, path, what);
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

interface Owner {
  host: string;
  pid: number;
  /** When the process began, in the system's own terms; empty where the system does not tell. */
  began: string;
}

async function readLock(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return '';
    throw error;
  }
}

async function writeLock(path: string): Promise<void> {
  const owner: Owner = { host: hostname(), pid: process.pid, began: processState(process.pid)?.began ?? '' };
  try {
    await writeFile(path, JSON.stringify(owner), { mode: 0o600 });
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

function heldBy({ host, pid }: Owner, path: string, what: string): SealiftError {
  return new SealiftError('locked', `Another run (process ${pid} on ${host}) works on ${what}.`, {
    retryable: false,
    hint: host === hostname() ? 'Wait for it, or end it.' : `If it is gone, remove ${path}.`,
  });
}

function ownerOf(text: string): Owner | undefined {
  try {
    const { host, pid, began } = (JSON.parse(text) ?? {}) as Partial<Owner>;
    const isOwner = typeof host === 'string' && typeof pid === 'number' && typeof began === 'string';
    return isOwner ? { host, pid, began } : undefined;
  } catch {
    return undefined;
  }
}

function isAlive({ host, pid, began }: Owner): boolean {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
  const now = processState(pid);
  if (now === undefined) return true;
  // A zombie holds nothing any more; only its parent has not looked yet.
  return now.state !== 'Z' && (began === '' || now.began === began);
}

/** Fields 3 and 22 of /proc/PID/stat (proc(5)): the state, and the start in ticks since boot. The name before them may hold anything but ends with the last parenthesis. */
function processState(pid: number): { state: string; began: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', began: fields[19] ?? '' };
  } catch {
    return undefined;
  }
}
