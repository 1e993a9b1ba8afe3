import { readFileSync } from 'node:fs';
import { open, readFile, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';

import { SealiftError, systemCode } from '../errors.ts';

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
  for (;;) {
    if (await create(path)) break;
    const owner = await readOwner(path);
    if (owner !== undefined && isAlive(owner)) {
      throw new SealiftError(
        'locked',
        `Another run (process ${owner.pid} on ${owner.host}) works on ${what}.`,
        {
          retryable: false,
          hint: owner.host === hostname() ? 'Wait for it, or end it.' : `If it is gone, remove ${path}.`,
        },
      );
    }
    await unlink(path).catch(passOverMissing);
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

async function readOwner(path: string): Promise<Owner | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Owner;
  } catch (error) {
    // Gone meanwhile, or left half-written by a process that was killed while it wrote.
    if (error instanceof SyntaxError || systemCode(error) === 'ENOENT') return undefined;
    throw error;
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
