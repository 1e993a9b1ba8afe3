import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { Random } from '../random.ts';

/** Names of what is written aside before it gets its own. None is longer for a longer name of that: it may have all the 255 bytes there are. */
const TEMPORARY_NAME = /^\.sealift-[0-9a-f]{16}\.tmp$/;
/** When a temporary file counts as left by a process that died, in milliseconds: to write one takes no more than a second or two. */
const ABANDONED_MS = 3_600_000;

/** A name for a temporary file in `directory` that nobody else uses. */
export function temporaryPath(directory: string, random: Random): string {
  return join(directory, `.sealift-${random.bytes(8).toString('hex')}.tmp`);
}

/**
 * Removes the temporary files of processes that died in `directory`: those that were there an hour before `newest`, a
 * file that was just written in there. So both times are those of one clock, also where the disk is another machine's.
 */
export async function removeAbandoned(directory: string, newest: string): Promise<void> {
  const beforeMs = (await lstat(newest)).mtimeMs - ABANDONED_MS;
  for (const path of await temporariesIn(directory)) {
    const writtenMs = await lstat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => Infinity,
    );
    if (writtenMs < beforeMs) await rm(path, { force: true });
  }
}

/** Removes all temporary files in `directory`, in which nobody else writes now. */
export async function removeTemporaries(directory: string): Promise<void> {
  for (const path of await temporariesIn(directory)) await rm(path, { force: true });
}

async function temporariesIn(directory: string): Promise<string[]> {
  const names = await readdir(directory);
  return names.filter((name) => TEMPORARY_NAME.test(name)).map((name) => join(directory, name));
}
