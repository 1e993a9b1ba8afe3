import type { Command } from 'commander';

import type { Action } from '../../client/tree/action.ts';
import { checkTrees, repairOf, type Difference } from '../../client/tree/check-trees.ts';
import type { TreeDirection } from '../../client/tree/direction.ts';
import type { Totals } from '../../client/tree/plan-tree.ts';
import type { TreeEntry } from '../../client/tree/tree-entry.ts';
import { disposing } from '../disposing.ts';
import { printable } from '../escape.ts';
import { EXIT } from '../exit-codes.ts';
import { runJobs, type TransferJob } from '../file-jobs.ts';
import { addFilterOptions, filterOf } from '../filter-settings.ts';
import { addConnectionOptions } from '../options.ts';
import { assertNoPattern } from '../remote-command.ts';
import type { Runner } from '../runner.ts';
import type { RunContext } from '../run-context.ts';
import { setting } from '../settings.ts';
import { treeDirection } from '../tree-direction.ts';
import { nameIn, shownPath, treeJob } from '../tree-job.ts';
import { treeEnds } from '../tree-places.ts';
import { addUnattendedOptions, unattended } from '../unattended.ts';
import { parseSize } from '../../units.ts';
import { remoteEnd } from './sync.ts';

/** `sealift check SOURCE TARGET` */
export function addCheck(program: Command, run: Runner): void {
  const command = program
    .command('check')
    .description('read every byte on both sides and compare; exit code 9 if anything differs')
    .argument('<source>', 'a local directory or file, or host:path')
    .argument('<target>', 'the other of the two');
  addFilterOptions(addConnectionOptions(command))
    .addOption(setting('--repair', 'send again what is missing, and the blocks that are different'))
    .addOption(setting('--bwlimit <rate>', 'bytes per second for repairs, as 500K or 10M', parseSize));
  addUnattendedOptions(command);
  run(command, (context, [source, target]) => {
    const server = remoteEnd(String(source), String(target));
    return unattended(
      context,
      'check',
      () => context.connector(server),
      (inner) => check(inner, String(source), String(target)),
    );
  });
}

// A repair sends all that is said to differ, whatever stands there.
const RULES = { archive: true, ifExists: 'overwrite' } as const;

async function check(context: RunContext, sourceText: string, targetText: string): Promise<number> {
  const ends = await treeEnds(context, sourceText, targetText);
  if (!ends.isSending) await assertNoPattern(context, ends.remote);
  const connector = await context.connector(ends.remote.server);
  const direction = await treeDirection(context, {
    connector,
    remote: ends.remote.path,
    local: ends.local,
    isSending: ends.isSending,
    rules: RULES,
    delta: 'on',
  });
  const name = ends.isSending ? sourceText : ends.local;
  const { jobs, left } = checkJobs(context, direction, { name, filter: await filterOf(context) });
  const exitCode = await runJobs(context, 'check', connector, {
    jobs,
    isSending: ends.isSending,
    // One name that cannot be sent does not make corruption a failure in part; where the run ended early, that says more.
    judge: (code, isHopeless) => (left() > 0 && !isHopeless ? EXIT.integrity : code),
  });
  if (left() > 0) context.terminal.note(`${left()} ${left() === 1 ? 'entry differs' : 'entries differ'}`);
  return exitCode;
}

function checkJobs(
  context: RunContext,
  direction: TreeDirection,
  { name, filter }: { name: string; filter: Awaited<ReturnType<typeof filterOf>> },
): { jobs: TransferJob[]; left: () => number } {
  const repairs = context.settings['repair'] === true;
  const toRepair: Action[] = [];
  let left = 0;
  const compare: TransferJob = {
    name,
    files: null,
    bytes: null,
    run: async (tally) => {
      const differences = checkTrees(direction, {
        filter,
        signal: context.signal,
        onProblem: (error, path) => tally.fail(error, nameIn(name, path)),
        isHopeless: (error) => tally.isHopelessError(error),
        onSkipped: (path, reason) => tally.skip(path, reason),
        onCompared: (entry) => (tally.unchanged += isCounted(entry) ? 1 : 0),
      });
      for await (const difference of differences) {
        tell(context, difference, name);
        if (difference.entry !== undefined && isCounted(difference.entry)) tally.unchanged -= 1;
        const repair = repairs ? repairOf(difference) : undefined;
        if (repair === undefined) left += 1;
        else toRepair.push(repair);
      }
    },
  };
  if (!repairs)
    return {
      jobs: [{ ...compare, run: (...parts) => disposing(direction, () => compare.run(...parts)) }],
      left: () => left,
    };
  const repair = treeJob(context, {
    name,
    direction,
    rules: RULES,
    showsPlan: false,
    plan: (onCount) => counted(toRepair, onCount),
  });
  return { jobs: [compare, repair], left: () => left };
}

// The top of a tree is not one of the things in it.
function isCounted({ path, type }: TreeEntry): boolean {
  return path !== '' || type !== 'directory';
}

function tell({ terminal }: RunContext, difference: Difference, treeName: string): void {
  const { kind, entry, existing } = difference;
  const shown = entry ?? existing;
  const path = shown === undefined ? difference.path : shownPath(shown, treeName);
  terminal.event('difference', { path, kind });
  if (!terminal.options.json) terminal.data(`${kind.padEnd(9)} ${printable(path === '' ? '.' : path)}`);
}

async function* counted(
  repairs: readonly Action[],
  onCount: (totals: Totals) => void,
): AsyncGenerator<readonly Action[]> {
  const files = repairs.filter(({ kind }) => kind === 'file');
  const bytes = files.reduce((sum, { entry }) => sum + entry.size, 0);
  onCount({ files: files.length, bytes, isExact: true });
  yield await Promise.resolve(repairs);
}
