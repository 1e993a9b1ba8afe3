import { resolve } from 'node:path';

import type { ResumeKeys } from '../client/resume-keys.ts';
import { systemRandom } from '../random.ts';
import { formatAddress } from '../transport/address.ts';
import type { TransferJob } from './file-jobs.ts';
import { resumeKeysOf } from './resume-keys.ts';
import type { RunContext } from './run-context.ts';
import type { TreePlaces } from './tree-direction.ts';

// A tree that becomes a new name at its target is remembered until it is complete: the name stands by then, and the
// same command would take it for a directory into which the tree is to go, and begin a second one there.

/** Whether an earlier run began this tree under this name, and left it. */
export async function isBegun(context: RunContext, places: TreePlaces): Promise<boolean> {
  const { keys, name } = await memoryOf(context, places);
  return (await keys.find(name)) !== undefined;
}

/** A job that makes this tree, remembered until nothing of it fails; with `--dry-run` the same as it is. */
export function begunJob(context: RunContext, places: TreePlaces, job: TransferJob): TransferJob {
  if (context.settings['dryRun'] === true) return job;
  const run: TransferJob['run'] = async (tally, display) => {
    const { keys, name } = await memoryOf(context, places);
    await keys.keyFor(name, systemRandom);
    const { failed } = tally;
    await job.run(tally, display);
    if (tally.failed === failed) await keys.done(name).catch(() => undefined);
  };
  return { ...job, run };
}

async function memoryOf(
  context: RunContext,
  { connector, remote, local, isSending }: TreePlaces,
): Promise<{ keys: ResumeKeys; name: string }> {
  const there = `${formatAddress(connector.options.address)}\0${remote}`;
  const [source, target] = isSending ? [resolve(local), there] : [there, resolve(local)];
  return { keys: await resumeKeysOf(context), name: `tree\0${source}\0${target}` };
}
