import { describe, expect, test } from 'vitest';

import { copyTree, syncTree } from '../../../src/client/tree/sync-tree.ts';
import { failureOf } from '../../support/failure.ts';
import { contentsAt } from '../../support/planted-tree.ts';
import { MIB, noise } from '../setting.ts';
import { startTrees, Told, WAYS } from './tree-setting.ts';

const RUNS = { copyTree, syncTree };
const TREES = { 'a large file': { large: noise(3 * MIB) }, 'a small file': { small: 'x' } };

describe.each(WAYS)('an abort of a %s', (way) => {
  test.each(
    (['copyTree', 'syncTree'] as const).flatMap((run) =>
      (['run', 'direction'] as const).flatMap((given) =>
        (['a large file', 'a small file'] as const).map((what) => ({ run, given, what })),
      ),
    ),
  )('by $run ends $what under way and is thrown, with the signal given to the $given', async (options) => {
    const { run, given, what } = options;
    const trees = await startTrees(way, TREES[what], {});
    const { signal, abort } = stopper();
    // It would wait for its rate for ever.
    const throttle = () => {
      abort();
      return new Promise<void>(() => undefined);
    };
    const direction = trees.direction({ throttle, ...(given === 'direction' ? { signal } : {}) });
    const observer = new Told();
    const running = RUNS[run](direction, { observer, ...(given === 'run' ? { signal } : {}) });
    expect((await failureOf(running)).code).toBe('aborted');
    expect(observer).toMatchObject({ failed: {}, outcomes: {} });
    expect(await contentsAt(trees.target)).toEqual({});
  });
});

function stopper() {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}
