import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

import { systemCode } from '../errors.ts';

/** Whom a lock file names. */
export interface LockOwner {
  host: string;
  pid: number;
  /** When the process began, in the system's own terms; empty where the system does not tell. */
  began: string;
}

/** What a lock of this process says; `claim` tells it from the others of this process. */
export function thisProcess(claim?: string): string {
  const owner: LockOwner = {
    host: hostname(),
    pid: process.pid,
    began: processState(process.pid)?.began ?? '',
  };
  return JSON.stringify({ ...owner, claim });
}

/** Whom the text of a lock file names; undefined if nobody. */
export function ownerOf(text: string): LockOwner | undefined {
  try {
    const { host, pid, began } = (JSON.parse(text) ?? {}) as Partial<LockOwner>;
    const isOwner = typeof host === 'string' && typeof pid === 'number' && typeof began === 'string';
    return isOwner ? { host, pid, began } : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the owner may still be there: one that certainly is gone was a process of this machine. */
export function isAlive({ host, pid, began }: LockOwner): boolean {
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
