import type { Command } from 'commander';

import type { Rules } from '../client/tree/decide.ts';
import type { DirectionOptions } from '../client/tree/direction.ts';
import type { MaxDelete } from '../client/tree/plan.ts';
import type { RunOptions } from '../client/tree/run-actions.ts';
import { SealiftError } from '../errors.ts';
import { dryRunOption } from './dry-run.ts';
import { addFilterOptions } from './filter-settings.ts';
import type { RunContext } from './run-context.ts';
import { setting } from './settings.ts';
import type { Tally } from './tally.ts';
import { parseCount } from '../units.ts';

/** Options of commands that bring files from one side to the other, alone or as trees. */
export function addTreeOptions(command: Command): Command {
  command
    .addOption(setting('-a, --archive', 'whole trees, with permission bits, links and times of directories'))
    .addOption(dryRunOption())
    .addOption(setting('-u, --update', 'leave files alone that are newer at the target'))
    .addOption(setting('-c, --checksum', 'compare files by digest, not by size and time'))
    .addOption(
      setting('--transfers <count>', 'files at once (default: 60, and more over a long way)', (text) =>
        parseCount(text, 1),
      ),
    )
    .addOption(
      setting('--delta <when>', 'send only the blocks that differ from what stands at the target')
        .choices(['auto', 'on', 'off'])
        .default('auto'),
    )
    .addOption(
      setting(
        '--on-change <what>',
        'a file that is written to while it is read (default: retry; alone: fail)',
      ).choices(['retry', 'skip', 'fail']),
    )
    .addOption(
      setting('--on-vanish <what>', 'a file that is gone when it is to be read')
        .choices(['skip', 'fail'])
        .default('fail'),
    );
  return addFilterOptions(command);
}

/** Whether whole trees are asked for. */
export function wantsTrees({ settings }: RunContext): boolean {
  return settings['recursive'] === true || settings['archive'] === true;
}

/** By what is decided which files are sent. */
export function rulesOf({ settings }: RunContext, { isArchive }: { isArchive: boolean }): Rules {
  return {
    archive: isArchive,
    compare: settings['checksum'] === true ? 'digest' : 'time',
    update: settings['update'] === true,
    ifExists: settings['ifExists'] as Rules['ifExists'],
    delete: settings['delete'] === true,
  };
}

/** How files are written at the target. */
export function directionSettings(
  { settings }: RunContext,
  { archive, ifExists }: Pick<Rules, 'archive' | 'ifExists'>,
): Pick<DirectionOptions, 'archive' | 'delta' | 'mustBeNew' | 'transfers'> {
  return {
    transfers: settings['transfers'] as number | undefined,
    archive,
    delta: settings['delta'] as 'auto' | 'on' | 'off',
    mustBeNew: ifExists !== 'overwrite',
  };
}

/** How the steps are taken. */
export function runSettings(
  { settings, signal }: RunContext,
  { archive, ifExists }: Pick<Rules, 'archive' | 'ifExists'>,
  tally: Tally,
): RunOptions {
  return {
    archive,
    onChange: onChangeOf(settings) ?? 'retry',
    onVanish: settings['onVanish'] === 'skip' ? 'skip' : 'fail',
    skipsExisting: ifExists === 'skip',
    isHopeless: (error) => tally.isHopelessError(error),
    signal,
  };
}

/** What `--on-change` says, if anything. */
export function onChangeOf(settings: RunContext['settings']): RunOptions['onChange'] | undefined {
  return settings['onChange'] as RunOptions['onChange'] | undefined;
}

/** Understands `--max-delete`: a number, or a share such as `10%`. Throws `usage`. */
export function parseMaxDelete(text: string): MaxDelete {
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text.trim())?.[1];
  if (percent === undefined) return { count: parseCount(text) };
  if (Number(percent) <= 100) return { percent: Number(percent) };
  throw new SealiftError('usage', `${text} is more than everything.`);
}
