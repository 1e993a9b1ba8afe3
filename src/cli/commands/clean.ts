import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { Command } from 'commander';

import { PARTIAL_NAME } from '../../client/partial-file.ts';
import { LOCK_NAME, removeAbandonedLock } from '../../trust/abandoned-lock.ts';
import { claimProcessLock } from '../../trust/process-lock.ts';
import { systemClock } from '../../clock.ts';
import { isSealiftError, SealiftError, systemCode } from '../../errors.ts';
import { printable } from '../escape.ts';
import { EXIT } from '../exit-codes.ts';
import type { Runner } from '../runner.ts';
import type { RunContext } from '../run-context.ts';
import { setting } from '../settings.ts';
import { formatDuration, formatSize, parseDuration } from '../../units.ts';

/** `sealift clean [DIR]` */
export function addClean(program: Command, run: Runner): void {
  const command = program
    .command('clean')
    .description(
      'list and remove what interrupted downloads left in a directory: partial files, and locks that nobody holds any more',
    )
    .argument('[directory]', 'default: this one')
    .addOption(setting('-n, --dry-run', 'list only'))
    .addOption(
      setting('--older-than <duration>', 'only what was not written to for so long', parseDuration).default(
        0,
        '0s',
      ),
    );
  run(command, async (context, [directory]) =>
    clean(context, typeof directory === 'string' ? directory : '.'),
  );
}

async function clean(context: RunContext, directory: string): Promise<number> {
  const found = await names(directory);
  for (const name of found.filter((each) => PARTIAL_NAME.test(each)))
    await cleanOne(context, join(directory, name), 'partial', removeUnlessUsed);
  const all = new Set(found);
  // That of a partial file is given back together with it.
  for (const name of found.filter((each) => LOCK_NAME.test(each) && !all.has(partialOf(each))))
    await cleanOne(context, join(directory, name), 'lock', removeAbandonedLock);
  return EXIT.done;
}

async function cleanOne(
  { terminal, settings }: RunContext,
  path: string,
  type: 'partial' | 'lock',
  remove: (path: string) => Promise<boolean>,
): Promise<void> {
  const stats = await lstat(path).catch(passOverGone);
  const isOurs = stats?.isFile() === true || (type === 'lock' && stats?.isSymbolicLink() === true);
  if (stats === undefined || !isOurs) return;
  const ageMs = systemClock.now() - stats.mtimeMs;
  if (ageMs < (settings['olderThan'] as number)) return;
  const removed = settings['dryRun'] === true ? false : await remove(path);
  terminal.event(type, { path, size: stats.size, ageMs: Math.round(ageMs), removed });
  if (!terminal.options.json)
    terminal.data(
      `${printable(path)}\t${formatSize(stats.size)}\t${formatDuration(ageMs)} old${removed ? '\tremoved' : ''}`,
    );
}

/** Removes a partial file; false if a run is working on it. */
async function removeUnlessUsed(path: string): Promise<boolean> {
  try {
    const lock = await claimProcessLock(lockOf(path), path);
    await rm(path, { force: true });
    await lock.release();
    return true;
  } catch (error) {
    if (isSealiftError(error, 'locked')) return false;
    throw error;
  }
}

function lockOf(partial: string): string {
  return partial.replace(/\.part$/, '.lock');
}

function partialOf(lock: string): string {
  return lock.replace(/\.lock$/, '.part');
}

// A run has ended meanwhile.
function passOverGone(error: unknown): undefined {
  if (systemCode(error) !== 'ENOENT') throw error;
}

async function names(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (cause) {
    throw new SealiftError(
      'local-not-found',
      `${directory} cannot be listed (${systemCode(cause) ?? String(cause)}).`,
      { cause },
    );
  }
}
