import { createHash } from 'node:crypto';
import { link, lstat, open, readFile, readlink, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

import { sleep, systemClock, type Clock } from '../clock.ts';
import { cannotLink, SealiftError, systemCode } from '../errors.ts';
import { systemRandom, type Random } from '../random.ts';
import { localFileError } from './local-file-error.ts';
import { isAlive, ownerOf, thisProcess } from './lock-owner.ts';
import { temporaryPath } from './temporary-file.ts';

export interface FileLockOptions {
  /** Default: the time of this machine. */
  clock?: Clock | undefined;
  /** Spreads the attempts of several waiting processes, and names temporary files. Default: of this machine. */
  random?: Random | undefined;
}

/** How long the same lock must be seen before its owner counts as dead, where nothing else tells: updates take milliseconds. */
export const STALE_LOCK_MS = 10_000;
/** How long to wait in all while other processes take turns. */
const MAX_WAIT_MS = 60_000;
const POLL_MS = 20;

/**
 * Runs `action` while nobody else, in this process or another, runs one for the same `path`, whose directory must
 * exist. The lock is a link beside it, or a file where there are no links, named by a hash so that a name of 255 bytes
 * works too. The lock of a process that died is taken over: at once if it says that it was one of this machine, else
 * after ten seconds. `action` must therefore be short, and calls `assertHeld` before what cannot be undone: it throws
 * if this process was stopped for so long that another one took the lock over.
 */
export async function withFileLock<T>(
  path: string,
  action: (assertHeld: () => Promise<void>) => Promise<T>,
  { clock = systemClock, random = systemRandom }: FileLockOptions = {},
): Promise<T> {
  const target = resolve(path);
  return inTurn(target, async () => {
    const lock = lockPath(target);
    const mine = await acquire(lock, target, clock, random);
    const isHeld = async () => (await identity(lock)) === mine;
    try {
      return await action(async () => {
        if (!(await isHeld())) throw localFileError('lock', target, undefined);
      });
    } finally {
      if (await isHeld()) await rm(lock, { force: true });
    }
  });
}

/** The lock file of `path`. */
export function lockPath(path: string): string {
  const name = createHash('sha256').update(basename(path)).digest('hex').slice(0, 16);
  return join(dirname(path), `.sealift-${name}.lock`);
}

/** Removes the lock at `lock`, which is a link, if its owner certainly is gone; false if it may be held. */
export async function removeDeadFileLock(lock: string, random: Random = systemRandom): Promise<boolean> {
  const present = await identity(lock);
  if (present === undefined || !(await isOfDeadProcess(lock))) return false;
  await takeAway(lock, present, random);
  return true;
}

const tails = new Map<string, Promise<void>>();

// Within the process the turns need no polling.
async function inTurn<T>(key: string, action: () => Promise<T>): Promise<T> {
  const result = (tails.get(key) ?? Promise.resolve()).then(action);
  const tail = result.then(ignore, ignore);
  tails.set(key, tail);
  try {
    return await result;
  } finally {
    if (tails.get(key) === tail) tails.delete(key);
  }
}

async function acquire(lock: string, path: string, clock: Clock, random: Random): Promise<string> {
  const startMs = clock.monotonicMs();
  const text = thisProcess(random.bytes(16).toString('hex'));
  let seen: { identity: string; sinceMs: number } | undefined;
  for (;;) {
    const mine = await create(lock, path, text);
    if (mine !== undefined) return mine;

    const nowMs = clock.monotonicMs();
    const present = await identity(lock);
    if (present !== undefined && present !== seen?.identity) seen = { identity: present, sinceMs: nowMs };
    if (present !== undefined && (isStale(seen, nowMs) || (await isOfDeadProcess(lock)))) {
      await takeAway(lock, present, random);
      continue;
    }
    if (nowMs - startMs >= MAX_WAIT_MS) {
      const hint = `If nothing uses ${path}, remove ${lock}.`;
      throw new SealiftError('local-file', `Other processes keep ${path} locked.`, { hint });
    }
    await sleep(clock, POLL_MS * (0.5 + random.fraction()));
  }
}

function isStale(seen: { sinceMs: number } | undefined, nowMs: number): boolean {
  // Judged by what this process itself has waited: the clocks of two machines need not agree.
  return seen !== undefined && nowMs - seen.sinceMs >= STALE_LOCK_MS;
}

async function isOfDeadProcess(lock: string): Promise<boolean> {
  const text = await readlink(lock).catch(() => readFile(lock, 'utf8').catch(() => ''));
  const owner = ownerOf(text);
  return owner !== undefined && !isAlive(owner);
}

/**
 * The identity of the lock just made; undefined if there is one already. It is a symbolic link whose text says whose it
 * is: made in one step, so that a process that is killed here leaves nobody waiting.
 */
async function create(lock: string, path: string, text: string): Promise<string | undefined> {
  try {
    await symlink(text, lock);
    return text;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return undefined;
    if (cannotLink(error)) return createFile(lock, path, text);
    throw localFileError('lock', path, error);
  }
}

// Where there are no links. A process that is killed in between has not said who it is.
async function createFile(lock: string, path: string, text: string): Promise<string | undefined> {
  try {
    const handle = await open(lock, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      return identityOf(await handle.stat({ bigint: true }));
    } catch (error) {
      // On a full disk a file can often be made and not be written: it would lock everybody out.
      await rm(lock, { force: true });
      throw error;
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return undefined;
    throw localFileError('lock', path, error);
  }
}

// Another waiter may have been faster and hold a lock of its own by now. So the file is moved, not removed, and put
// back if it is not the one that was judged dead.
async function takeAway(lock: string, dead: string, random: Random): Promise<void> {
  if ((await identity(lock)) !== dead) return;
  const aside = temporaryPath(dirname(lock), random);
  try {
    await rename(lock, aside);
    if ((await identity(aside)) !== dead) await link(aside, lock);
  } catch (error) {
    if (!['ENOENT', 'EEXIST'].includes(systemCode(error) ?? '')) throw localFileError('lock', lock, error);
  }
  await rm(aside, { force: true });
}

async function identity(lock: string): Promise<string | undefined> {
  try {
    // A text that was made once, or of a file what tells it from others.
    return await readlink(lock).catch(async () => identityOf(await lstat(lock, { bigint: true })));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw localFileError('lock', lock, error);
  }
}

function identityOf({ ino, mtimeNs }: { ino: bigint; mtimeNs: bigint }): string {
  return `${ino}:${mtimeNs}`;
}

function ignore(): void {
  // The next in line runs whether this one failed or not.
}
