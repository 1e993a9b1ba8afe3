import { join } from 'node:path';

import type { Action } from '../../../src/client/tree/action.ts';
import type { Rules } from '../../../src/client/tree/decide.ts';
import type { FileOutcome, TreeDirection } from '../../../src/client/tree/direction.ts';
import { GetTree, type GetTreeOptions } from '../../../src/client/tree/get-tree.ts';
import { planSync, type SyncOptions } from '../../../src/client/tree/plan-tree.ts';
import { PutTree, type PutTreeOptions } from '../../../src/client/tree/put-tree.ts';
import { runActions, type RunOptions, type TreeObserver } from '../../../src/client/tree/run-actions.ts';
import type { TreeEntry } from '../../../src/client/tree/tree-entry.ts';
import { EVERYTHING } from '../../../src/client/tree/tree-filter.ts';
import type { SealiftError } from '../../../src/errors.ts';
import { plantTree, treeAt, type Planted, type Standing } from '../../support/planted-tree.ts';
import { AT_ONCE, startSetting, type Setting } from '../setting.ts';

/** As `sync --delete` does it. */
export const SYNC: Rules = {
  archive: true,
  compare: 'time',
  update: false,
  ifExists: 'overwrite',
  delete: true,
};

export const PLAN: Omit<SyncOptions, 'rules'> = {
  filter: EVERYTHING,
  deleteExcluded: false,
  detectRenames: false,
  allowEmptySource: false,
};

export const RUN: RunOptions = {
  transfers: 8,
  archive: true,
  onChange: 'retry',
  onVanish: 'fail',
  skipsExisting: false,
  isHopeless: () => false,
};

const DIRECTION = { archive: true, delta: 'auto', mustBeNew: false, retry: AT_ONCE } as const;

/** The same two trees for both directions: what is sent, and where it goes. */
export interface Trees {
  setting: Setting;
  /** On disk, of what is sent and of where it goes. */
  source: string;
  target: string;
  /** Closed by `copy`, or by whoever uses it alone. */
  direction(options?: Partial<PutTreeOptions & GetTreeOptions>): TreeDirection;
}

/** The ways a tree can go. */
export const WAYS = ['put', 'get'] as const;
export type Way = (typeof WAYS)[number];

/** A server and a place for trees; with `put` the source is on this machine and the target on the server, with `get` the reverse. */
export async function startTrees(
  way: Way,
  source: Record<string, Planted> | undefined,
  target?: Record<string, Planted>,
  { setting, faults = {} }: { setting?: Setting; faults?: Parameters<typeof startSetting>[0] } = {},
): Promise<Trees> {
  const used = setting ?? (await startSetting(faults));
  const local = join(used.directory, 'local');
  const remote = join(used.root, 'tree');
  const trees = way === 'put' ? { source: local, target: remote } : { source: remote, target: local };
  if (source !== undefined) await plantTree(trees.source, source);
  if (target !== undefined) await plantTree(trees.target, target);
  const direction: Trees['direction'] = (options) => {
    const given = { ...DIRECTION, connector: used.connector(), root: local, top: 'tree', ...options };
    return way === 'put' ? new PutTree(given) : new GetTree(given);
  };
  return { setting: used, ...trees, direction };
}

/** What a run told, in the order it was told. */
export class Told implements TreeObserver {
  readonly done: string[] = [];
  readonly outcomes: Record<string, FileOutcome> = {};
  readonly failed: Record<string, string> = {};
  readonly errors: SealiftError[] = [];
  readonly skipped: Record<string, string> = {};
  retries = 0;

  onDone(action: Action, outcome?: FileOutcome): void {
    this.done.push(`${action.kind} ${action.entry.path}`);
    if (outcome !== undefined) this.outcomes[action.entry.path] = outcome;
  }

  onSkipped(entry: TreeEntry, reason: string): void {
    this.skipped[entry.path] = reason;
  }

  onFailed(error: SealiftError, path: string): void {
    this.failed[path] = error.code;
    this.errors.push(error);
  }

  onRetry(): void {
    this.retries += 1;
  }

  /** File bytes that went over the wire. */
  get movedBytes(): number {
    return Object.values(this.outcomes).reduce((sum, { movedBytes }) => sum + movedBytes, 0);
  }
}

export interface CopyOptions {
  rules?: Partial<Rules>;
  plan?: Partial<SyncOptions>;
  run?: Partial<RunOptions>;
  /** Told as well. */
  observer?: TreeObserver;
}

/** Makes the target like the source, and closes the direction. */
export async function copy(
  direction: TreeDirection,
  { rules = {}, plan = {}, run = {}, observer = {} }: CopyOptions = {},
): Promise<{ told: Told; isComplete: boolean; actions: Action[] }> {
  const told = new Told();
  try {
    const actions = await planSync(direction, { ...PLAN, ...plan, rules: { ...SYNC, ...rules } });
    const archive = rules.archive ?? SYNC.archive;
    const isComplete = await runActions(
      direction,
      each(actions),
      { ...RUN, archive, ...run },
      both(told, observer),
    );
    return { told, isComplete, actions };
  } finally {
    await direction[Symbol.asyncDispose]();
  }
}

/** Batches of one. */
export async function* each<T>(items: Iterable<T>): AsyncGenerator<T[]> {
  for (const item of items) yield await Promise.resolve([item]);
}

/** The two trees, the target's compared with the source's. */
export async function bothTrees({
  source,
  target,
}: Pick<Trees, 'source' | 'target'>): Promise<
  [target: Record<string, Standing>, source: Record<string, Standing>]
> {
  return [await treeAt(target), await treeAt(source)];
}

/** The steps in short: `file a`, `skip b`. Those that change nothing are left out with `changes`. */
export function kinds(actions: readonly Action[]): string[] {
  return actions.map(({ kind, entry }) => `${kind} ${entry.path}`);
}

function both(first: Told, second: TreeObserver): TreeObserver {
  return {
    onAction: (action) => second.onAction?.(action),
    onDone: (action, outcome) => {
      first.onDone(action, outcome);
      second.onDone?.(action, outcome);
    },
    onSkipped: (entry, reason) => first.onSkipped(entry, reason),
    onFailed: (error, path, action) => {
      first.onFailed(error, path);
      second.onFailed?.(error, path, action);
    },
    onProgress: (path, progress) => second.onProgress?.(path, progress),
    onRetry: () => first.onRetry(),
  };
}
