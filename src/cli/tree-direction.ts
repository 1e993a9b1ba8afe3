import type { Connector } from '../client/connector.ts';
import type { Rules } from '../client/tree/decide.ts';
import type { DirectionOptions, TreeDirection } from '../client/tree/direction.ts';
import { isDryRun } from './dry-run.ts';
import { resumeKeysOf } from './resume-keys.ts';
import type { RunContext } from './run-context.ts';
import { streamSettings } from './stream-settings.ts';
import { throttleOf } from './throttle-setting.ts';
import { directionSettings } from './tree-settings.ts';

/** The two ends of a tree that is brought from one side to the other. */
export interface TreePlaces {
  connector: Connector;
  /** The tree on the server, and the one on this machine. */
  remote: string;
  local: string;
  isSending: boolean;
}

export interface DirectionParts extends TreePlaces {
  rules: Pick<Rules, 'archive' | 'ifExists'>;
  backupDirectory?: string | undefined;
  delta?: DirectionOptions['delta'];
}

/** What moves a tree, as the settings ask for it. Loaded only now: a single file needs nothing of it. */
export async function treeDirection(context: RunContext, parts: DirectionParts): Promise<TreeDirection> {
  const { connector, remote, local, isSending, rules, backupDirectory } = parts;
  const options = {
    ...directionSettings(context, rules),
    ...(parts.delta === undefined ? {} : { delta: parts.delta }),
    connector,
    top: remote,
    root: local,
    backupDirectory,
    retry: context.retryPolicy,
    throttle: throttleOf(context),
    ...streamSettings(context),
    signal: context.signal,
  };
  if (!isSending) {
    const { GetTree } = await import('../client/tree/get-tree.ts');
    return new GetTree({ ...options, isDryRun: isDryRun(context) });
  }
  const { PutTree } = await import('../client/tree/put-tree.ts');
  return new PutTree({ ...options, resumeKeys: await resumeKeysOf(context) });
}
