import { planCopy } from '../client/tree/plan-tree.ts';
import type { TreeFilter } from '../client/tree/tree-filter.ts';
import { isSealiftError } from '../errors.ts';
import { disposing } from './disposing.ts';
import type { TransferJob } from './file-jobs.ts';
import type { RunContext } from './run-context.ts';
import { treeDirection, type TreePlaces } from './tree-direction.ts';
import { treeJob } from './tree-job.ts';
import { rulesOf } from './tree-settings.ts';

/** Copies one tree, as `put` and `get` do it; a file is a tree of one entry. What is shown of it is its local name. */
export async function copyTreeJob(
  context: RunContext,
  places: TreePlaces,
  filter: TreeFilter,
): Promise<TransferJob> {
  const rules = rulesOf(context, { isArchive: context.settings['archive'] === true });
  const direction = await treeDirection(context, { ...places, rules });
  return treeJob(context, {
    name: places.local,
    direction,
    rules,
    showsPlan: false,
    plan: (onCount) => planCopy(direction, { rules, filter, onCount, signal: context.signal }),
  });
}

/** Whether a file has the same content on both sides; not if one of them has none. */
export async function hasSameContent(context: RunContext, places: TreePlaces): Promise<boolean> {
  const rules = rulesOf(context, { isArchive: false });
  const direction = await treeDirection(context, { ...places, rules });
  return disposing(direction, () =>
    direction.hasSameContent('', '').catch((error: unknown) => {
      if (isSealiftError(error, 'not-found', 'local-not-found', 'not-directory', 'is-directory'))
        return false;
      throw error;
    }),
  );
}
