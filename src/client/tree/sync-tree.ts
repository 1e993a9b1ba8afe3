import { isSealiftError } from '../../errors.ts';
import type { Action } from './action.ts';
import type { Batches } from './concurrency.ts';
import type { Rules } from './decide.ts';
import type { TreeDirection } from './direction.ts';
import { planCopy, planSync, type PlanOptions, type SyncOptions } from './plan-tree.ts';
import { runActions, type RunOptions, type TreeObserver } from './run-actions.ts';
import { EVERYTHING } from './tree-filter.ts';

type Chosen<O extends PlanOptions> = Partial<Omit<O, 'rules'>> &
  Partial<RunOptions> & {
    /** By what it is decided what is sent. Default: size and time; everything that differs is replaced, nothing is deleted. */
    rules?: Partial<Rules>;
    observer?: TreeObserver;
    /** Ends the run, which then throws `aborted`: at once, in the middle of a file. The signal that the direction was made with does the same. */
    signal?: AbortSignal | undefined;
  };

/** Options of `copyTree`: what is not given is as `put -a` and `get -a` do it. */
export type CopyTreeOptions = Chosen<PlanOptions>;
/** Options of `syncTree`: what is not given is as `sync` does it. */
export type SyncTreeOptions = Chosen<SyncOptions>;

/** Copies what the source has. Resolves with whether everything succeeded; the observer is told of what did not. Throws `aborted`. Closes the direction. */
export async function copyTree(direction: TreeDirection, options: CopyTreeOptions = {}): Promise<boolean> {
  const signal = direction.abortOn(options.signal);
  const plan = { filter: EVERYTHING, ...options, signal, rules: rulesOf(options.rules) };
  return run(direction, planCopy(direction, plan), { ...options, signal });
}

/**
 * Makes the target like the source. Resolves with whether everything succeeded; the observer is told of what did
 * not. Throws `empty-source` or `too-many-deletions` before anything is changed, and `aborted`. Closes the
 * direction.
 */
export async function syncTree(direction: TreeDirection, options: SyncTreeOptions = {}): Promise<boolean> {
  const signal = direction.abortOn(options.signal);
  const plan: SyncOptions = {
    filter: EVERYTHING,
    deleteExcluded: false,
    detectRenames: false,
    allowEmptySource: false,
    ...options,
    signal,
    rules: rulesOf(options.rules),
  };
  return run(direction, planned(direction, plan), { ...options, signal });
}

async function* planned(direction: TreeDirection, options: SyncOptions): AsyncGenerator<Action[]> {
  yield await planSync(direction, options);
}

function rulesOf(rules: Partial<Rules> = {}): Rules {
  return { archive: true, compare: 'time', update: false, ifExists: 'overwrite', delete: false, ...rules };
}

async function run(
  direction: TreeDirection,
  actions: Batches<Action>,
  { observer = {}, rules, ...options }: Chosen<PlanOptions>,
): Promise<boolean> {
  const { archive, ifExists } = rulesOf(rules);
  try {
    return await runActions(
      direction,
      actions,
      {
        transfers: 60,
        onChange: 'retry',
        onVanish: 'fail',
        isHopeless: (error) => isSealiftError(error, 'retries-exhausted', 'unauthenticated'),
        ...options,
        archive,
        skipsExisting: ifExists === 'skip',
      },
      observer,
    );
  } finally {
    await direction[Symbol.asyncDispose]();
  }
}
