import { planCopy } from '../client/tree/plan-tree.ts';
import type { TreeFilter } from '../client/tree/tree-filter.ts';
import type { TransferJob } from './file-jobs.ts';
import type { RunContext } from './run-context.ts';
import { treeDirection, type DirectionParts } from './tree-direction.ts';
import { treeJob } from './tree-job.ts';
import { rulesOf } from './tree-settings.ts';

/** Copies one tree, as `put` and `get` do it. `name` is what is shown of it. */
export async function copyTreeJob(
  context: RunContext,
  parts: Omit<DirectionParts, 'rules'> & { name: string; filter: TreeFilter },
): Promise<TransferJob> {
  const rules = rulesOf(context, { isArchive: context.settings['archive'] === true });
  const { name, filter } = parts;
  const direction = await treeDirection(context, { ...parts, rules });
  return treeJob(context, {
    name,
    direction,
    rules,
    showsPlan: false,
    plan: (onCount) => planCopy(direction, { rules, filter, onCount, signal: context.signal }),
  });
}
