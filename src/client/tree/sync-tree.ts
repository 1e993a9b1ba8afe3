import { isSealiftError, SealiftError } from '../../errors.ts';
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

/** Copies what the source has. Resolves with whether everything succeeded; the observer is told of what did not. Throws `invalid-argument` for `transfers` below 1, and `aborted`. Closes the direction. */
export async function copyTree(direction: TreeDirection, options: CopyTreeOptions = {}): Promise<boolean> {
  const signal = direction.abortOn(options.signal);
  const plan = { filter: EVERYTHING, ...given(options), signal, rules: rulesOf(options.rules) };
  return run(direction, planCopy(direction, plan), { ...options, signal });
}

/**
 * Makes the target like the source. Resolves with whether everything succeeded; the observer is told of what did
 * not. Throws `invalid-argument` for `transfers` below 1, `empty-source` or `too-many-deletions` before anything is
 * changed, and `aborted`. Closes the direction.
 */
export async function syncTree(direction: TreeDirection, options: SyncTreeOptions = {}): Promise<boolean> {
  const signal = direction.abortOn(options.signal);
  const plan: SyncOptions = {
    filter: EVERYTHING,
    deleteExcluded: false,
    detectRenames: false,
    allowEmptySource: false,
    ...given(options),
    signal,
    rules: rulesOf(options.rules),
  };
  return run(direction, planned(direction, plan), { ...options, signal });
}

async function* planned(direction: TreeDirection, options: SyncOptions): AsyncGenerator<Action[]> {
  yield await planSync(direction, options);
}

function rulesOf(rules: Partial<Rules> = {}): Rules {
  return {
    archive: true,
    compare: 'time',
    update: false,
    ifExists: 'overwrite',
    delete: false,
    ...given(rules),
  };
}

/** What is set of them: an `undefined` that is there all the same would take the place of a default. */
function given<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}

async function run(
  direction: TreeDirection,
  actions: Batches<Action>,
  { observer = {}, rules, ...options }: Chosen<PlanOptions>,
): Promise<boolean> {
  const { archive, ifExists } = rulesOf(rules);
  const { transfers, ...chosen } = given(options);
  try {
    // None at once would be a run that sends nothing and tells of no failure.
    if (transfers !== undefined && (!Number.isSafeInteger(transfers) || transfers < 1))
      throw new SealiftError(
        'invalid-argument',
        `transfers must be a whole number from 1, not ${String(transfers)}.`,
      );
    return await runActions(
      direction,
      actions,
      {
        transfers,
        onChange: 'retry',
        onVanish: 'fail',
        isHopeless: (error) => isSealiftError(error, 'retries-exhausted', 'unauthenticated'),
        ...chosen,
        archive,
        skipsExisting: ifExists === 'skip',
      },
      observer,
    );
  } finally {
    await direction[Symbol.asyncDispose]();
  }
}
