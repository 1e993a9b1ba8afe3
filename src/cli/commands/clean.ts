import type { Dirent } from 'node:fs';
import { lstat, readdir, realpath, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import type { Command } from 'commander';

import { PARTIAL_NAME } from '../../client/partial-file.ts';
import { treeLockNameOf } from '../../client/tree/tree-entry.ts';
import { isOwnName } from '../../storage/own-names.ts';
import { LOCK_NAME, removeAbandonedLock } from '../../trust/abandoned-lock.ts';
import { claimProcessLock, isProcessLockHeld } from '../../trust/process-lock.ts';
import { systemClock, throwIfAborted } from '../../clock.ts';
import { isSealiftError, SealiftError, systemCode } from '../../errors.ts';
import { each } from '../each.ts';
import { printable } from '../escape.ts';
import type { Runner } from '../runner.ts';
import type { RunContext } from '../run-context.ts';
import { setting } from '../settings.ts';
import { formatDuration, formatSize, parseDuration } from '../../units.ts';

/** `sealift clean [DIR]` */
export function addClean(program: Command, run: Runner): void {
  const command = program
    .command('clean')
    .description(
      'list and remove what interrupted downloads left in a directory and below: partial files, and locks that nobody holds any more',
    )
    .argument('[directory]', 'default: this one')
    .addOption(setting('-n, --dry-run', 'list only'))
    .addOption(
      setting('--older-than <duration>', 'only what was not written to for so long', parseDuration).default(
        0,
        '0s',
      ),
    );
  run(command, (context, [directory]) => clean(context, typeof directory === 'string' ? directory : '.'));
}

function clean(context: RunContext, top: string): Promise<number> {
  const directories = [top];
  return each(context, 'clean', directories, async (directory) => {
    throwIfAborted(context.signal);
    const entries = await list(directory);
    // No link is followed, and what a server keeps of its own is its to clean.
    for (const entry of entries)
      if (entry.isDirectory() && !isOwnName(entry.name)) directories.push(join(directory, entry.name));
    await cleanDirectory(
      context,
      directory,
      entries.map(({ name }) => name),
    );
  });
}

async function cleanDirectory(
  context: RunContext,
  directory: string,
  found: readonly string[],
): Promise<void> {
  for (const name of found.filter((one) => PARTIAL_NAME.test(one)))
    await cleanOne(context, join(directory, name), 'partial', removeUnlessUsed);
  const all = new Set(found);
  // That of a partial file is given back together with it.
  for (const name of found.filter((one) => LOCK_NAME.test(one) && !all.has(partialOf(one))))
    await cleanOne(context, join(directory, name), 'lock', removeAbandonedLock);
}

async function cleanOne(
  { terminal, settings }: RunContext,
  path: string,
  type: 'partial' | 'lock',
  remove: (path: string) => Promise<boolean>,
): Promise<void> {
  const stats = await lstat(path).catch(passOverGone);
  if (stats?.isFile() !== true && stats?.isSymbolicLink() !== true) return;
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
  if (await isOfRunningTree(path)) return false;
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

/** Whether a run writes the tree that a partial file belongs to: one lock, at the top, is that of all of them. */
async function isOfRunningTree(path: string): Promise<boolean> {
  const lock = treeLockNameOf(basename(path));
  let directory = await realpath(dirname(path));
  while (!(await isProcessLockHeld(join(directory, lock)))) {
    if (directory === dirname(directory)) return false;
    directory = dirname(directory);
  }
  return true;
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

async function list(directory: string): Promise<Dirent[]> {
  try {
    return (await readdir(directory, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (cause) {
    throw new SealiftError(
      'local-not-found',
      `${directory} cannot be listed (${systemCode(cause) ?? String(cause)}).`,
      { cause },
    );
  }
}
