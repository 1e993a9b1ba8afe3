import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { Command } from 'commander';

import { PARTIAL_NAME } from '../../client/partial-file.ts';
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
    .description('list and remove what interrupted downloads left in a directory')
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
  const { terminal, settings } = context;
  for (const name of (await names(directory)).filter((each) => PARTIAL_NAME.test(each))) {
    const path = join(directory, name);
    const stats = await lstat(path);
    const ageMs = systemClock.now() - stats.mtimeMs;
    if (!stats.isFile() || ageMs < (settings['olderThan'] as number)) continue;
    const removed = settings['dryRun'] === true ? false : await removeUnlessUsed(path);
    terminal.event('partial', { path, size: stats.size, ageMs: Math.round(ageMs), removed });
    if (!terminal.options.json)
      terminal.data(
        `${printable(path)}\t${formatSize(stats.size)}\t${formatDuration(ageMs)} old${removed ? '\tremoved' : ''}`,
      );
  }
  return EXIT.done;
}

/** Removes a partial file; false if a run is working on it. */
async function removeUnlessUsed(path: string): Promise<boolean> {
  try {
    const lock = await claimProcessLock(path.replace(/\.part$/, '.lock'), path);
    await rm(path, { force: true });
    await lock.release();
    return true;
  } catch (error) {
    if (isSealiftError(error, 'locked')) return false;
    throw error;
  }
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
