import type { Action } from '../client/tree/action.ts';
import { planCopy } from '../client/tree/plan-tree.ts';
import { EVERYTHING, type TreeFilter } from '../client/tree/tree-filter.ts';
import { isSealiftError } from '../errors.ts';
import { forgettingBegun, noteBegun } from './begun-tree.ts';
import type { TransferJob } from './file-jobs.ts';
import type { MergedSources } from './merged-sources.ts';
import type { RunContext } from './run-context.ts';
import { treeDirection, type TreePlaces } from './tree-direction.ts';
import { treeJob } from './tree-job.ts';
import { rulesOf } from './tree-settings.ts';

/** Copies one tree, as `put` and `get` do it. What is shown of it is its local name. `isNewName`: it becomes a name that nothing had. `merged`: others go there too. */
export async function copyTreeJob(
  context: RunContext,
  places: TreePlaces,
  {
    filter,
    isNewName,
    merged,
  }: { filter: TreeFilter; isNewName: boolean; merged: MergedSources | undefined },
): Promise<TransferJob> {
  const rules = rulesOf(context, { isArchive: context.settings['archive'] === true });
  const direction = await treeDirection(context, { ...places, rules });
  const job = treeJob(context, {
    name: places.local,
    direction,
    rules,
    showsPlan: false,
    plan: (onCount) => {
      const planned = planCopy(direction, { rules, filter, onCount, signal: context.signal });
      return merged?.plan(places, planned) ?? planned;
    },
    onFailed: (path) => merged?.failed(places, path),
    onBegin: isNewName ? () => noteBegun(context, places) : undefined,
  });
  return forgettingBegun(context, { ...places, isNewName }, job);
}

/**
 * The job of a file that is named by itself, for `--checksum`: where its content stands at the target already, that gets
 * no more than the time, and with `--archive` the bits, as in a tree. Else, or where that cannot be known, `job` is done.
 */
export function unlessSame(context: RunContext, places: TreePlaces, job: TransferJob): TransferJob {
  const rules = rulesOf(context, { isArchive: context.settings['archive'] === true });
  const run: TransferJob['run'] = async (tally, display) => {
    const direction = await treeDirection(context, { ...places, rules });
    let same: Action[] = [];
    const tree = treeJob(context, {
      name: places.local,
      direction,
      rules,
      showsPlan: false,
      plan: async function* (onCount) {
        const planned = planCopy(direction, { rules, filter: EVERYTHING, signal: context.signal });
        const actions = await Array.fromAsync(planned).catch(nothingKnown);
        same = actions.flat().filter(({ kind }) => kind === 'skip' || kind === 'attributes');
        const isMoved = same.length === 0;
        onCount({ files: isMoved ? 1 : 0, bytes: isMoved ? (job.bytes ?? 0) : 0, isExact: true });
        yield same;
      },
    });
    await tree.run(tally, display);
    if (same.length === 0) await job.run(tally, display);
  };
  return { ...job, files: null, bytes: null, run };
}

/** What keeps two files from being compared, and is for whoever moves the one to tell, if it is in the way of that too. */
const NOT_COMPARED = [
  ...(['not-found', 'local-not-found', 'not-directory', 'is-directory'] as const),
  ...(['forbidden', 'local-file', 'bad-request', 'invalid-argument'] as const),
];

function nothingKnown(error: unknown): never[] {
  if (!isSealiftError(error, ...NOT_COMPARED)) throw error;
  return [];
}
