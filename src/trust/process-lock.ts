import { readFileSync } from 'node:fs';
import { open, readFile, stat, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';

import { systemClock } from '../clock.ts';
import { SealiftError, systemCode } from '../errors.ts';
import { withFileLock } from './file-lock.ts';

/** How long a lock without an owner counts as one that is just being written, in milliseconds. */
const WRITING_MS = 10_000;

/** A lock that a process holds for as long as it works, however long that is. */
export interface ProcessLock {
  /** May be called again. */
  release(): Promise<void>;
}

/**
 * Claims `path`, a file that names its owner: this machine, the process, and when that began, so that neither a
 * killed process nor another one with its number keeps the lock. `what` is named in the error, `locked`, if the
 * owner lives. On a directory shared by machines the owner on another one counts as alive.
 */
export async function claimProcessLock(path: string, what: string): Promise<ProcessLock> {
  while (!(await create(path))) {
    if (!(await isDead(path, what))) continue;
    // One after the other: a slow process must not remove the lock that a fast one has just made.
    await withFileLock(path, async () => {
      if (await isDead(path, what)) await unlink(path).catch(passOverMissing);
    });
  }
  let isHeld = true;
  return {
    async release() {
      if (!isHeld) return;
      isHeld = false;
      await unlink(path).catch(passOverMissing);
    },
  };
}

interface Owner {
  host: string;
  pid: number;
  /** When the process began, in the system's own terms; empty where the system does not tell. */
  began: string;
}

async function create(path: string): Promise<boolean> {
  const owner: Owner = { host: hostname(), pid: process.pid, began: beginningOf(process.pid) ?? '' };
  try {
    const handle = await open(path, 'wx', 0o600);
    try {
      await handle.writeFile(JSON.stringify(owner));
    } finally {
      await handle.close();
    }
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Whether the lock's owner is gone; false if the lock is. Throws `locked` if the owner lives. */
async function isDead(path: string, what: string): Promise<boolean> {
  const text = await readLock(path);
  if (text === undefined) return false;
  const owner = ownerOf(text);
  const isHeld = owner === undefined ? await isBeingWritten(path) : isAlive(owner);
  if (!isHeld) return true;
  const who = owner === undefined ? '' : ` (process ${owner.pid} on ${owner.host})`;
  throw new SealiftError('locked', `Another run${who} works on ${what}.`, {
    retryable: false,
    hint: owner?.host === hostname() ? 'Wait for it, or end it.' : `If it is gone, remove ${path}.`,
  });
}

async function readLock(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    passOverMissing(error);
    return undefined;
  }
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

// A lock that names nobody is either a moment old, or was left by a process that was killed while it wrote it.
async function isBeingWritten(path: string): Promise<boolean> {
  try {
    return Math.abs(systemClock.now() - (await stat(path)).mtimeMs) < WRITING_MS;
  } catch (error) {
    passOverMissing(error);
    return false;
  }
}

function isAlive({ host, pid, began }: Owner): boolean {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
  const now = beginningOf(pid);
  return now === undefined || began === '' || now === began;
}

/** Field 22 of /proc/PID/stat (proc(5)): the start time, in ticks since boot. The name before it may hold anything but ends with the last parenthesis. */
function beginningOf(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

function passOverMissing(error: unknown): void {
  if (systemCode(error) !== 'ENOENT') throw error;
}
