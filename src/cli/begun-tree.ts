import { resolve } from 'node:path';

import type { ResumeKeys } from '../client/resume-keys.ts';
import { isSealiftError } from '../errors.ts';
import { systemRandom } from '../random.ts';
import { formatAddress } from '../transport/address.ts';
import type { TransferJob } from './file-jobs.ts';
import { resumeKeysOf } from './resume-keys.ts';
import type { RunContext } from './run-context.ts';
import type { TreePlaces } from './tree-direction.ts';
import { exists } from './tree-places.ts';

// A tree that becomes a new name at its target is remembered until it is complete: the name stands by then, and the
// same command would take it for a directory into which the tree is to go, and begin a second one there.

/** Whether an earlier run began this tree under this name, and left it. */
export async function isBegun(context: RunContext, places: TreePlaces): Promise<boolean> {
  const { keys, name } = await memoryOf(context, places);
  return keys.has(name);
}

/** Remembers that a run begins this tree under a new name: to be called before its first change. */
export async function noteBegun(context: RunContext, places: TreePlaces): Promise<void> {
  const { keys, name } = await memoryOf(context, places);
  await keys.keyFor(name, systemRandom);
}

/**
 * The same job, after which the tree is no longer remembered if it is complete, whatever command began it; nor, if it was
 * to get a new name, where not even that came to stand. With `--dry-run` as it is.
 */
export function forgettingBegun(
  context: RunContext,
  { isNewName, ...places }: TreePlaces & { isNewName: boolean },
  job: TransferJob,
): TransferJob {
  if (context.settings['dryRun'] === true) return job;
  const run: TransferJob['run'] = async (tally, display) => {
    const { failed } = tally;
    let isComplete = false;
    try {
      await job.run(tally, display);
      isComplete = tally.failed === failed;
    } finally {
      const { keys, name } = await memoryOf(context, places);
      // Only of a tree that is remembered it is of interest whether it stands.
      if (isComplete || (isNewName && (await keys.has(name)) && !(await mayStand(context, places))))
        await keys.done(name).catch(() => undefined);
    }
  };
  return { ...job, run };
}

/** Whether something stands at the target, or nobody can say. */
async function mayStand(
  { signal }: RunContext,
  { connector, remote, local, isSending }: TreePlaces,
): Promise<boolean> {
  if (!isSending) return exists(local);
  try {
    await (await connector.use(signal)).stat(remote, { signal });
    return true;
  } catch (error) {
    return !isSealiftError(error, 'not-found', 'not-directory');
  }
}

async function memoryOf(
  context: RunContext,
  { connector, remote, local, isSending }: TreePlaces,
): Promise<{ keys: ResumeKeys; name: string }> {
  const there = `${formatAddress(connector.options.address)}\0${remote}`;
  const [source, target] = isSending ? [resolve(local), there] : [there, resolve(local)];
  return { keys: await resumeKeysOf(context), name: `tree\0${source}\0${target}` };
}
