// What two processes hold when nothing is to be done: at rest all of it has to come back to what it was.
import { readdirSync, readFileSync } from 'node:fs';

export interface AtRest {
  /** Files, sockets and pipes that are open. */
  handles: number;
  /** Resident, in MB. */
  memory: number;
}

/** What the kernel says of a process (proc(5)). */
export function atRest(pid: number): AtRest {
  const resident = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return {
    handles: readdirSync(`/proc/${pid}/fd`).length,
    memory: Math.round((Number(resident?.[1] ?? 0) * 1024) / 1e6),
  };
}

/** How much memory a process may hold at rest that held `before`, in MB: half as much again, for what an allocator keeps, but no more however long it ran. */
export function memoryLimit(before: number): number {
  return Math.round(before * 1.5 + 50);
}
