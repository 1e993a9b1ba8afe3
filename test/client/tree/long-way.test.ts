import { describe, expect, test } from 'vitest';

import { checkTrees } from '../../../src/client/tree/check-trees.ts';
import type { TreeDirection } from '../../../src/client/tree/direction.ts';
import { EVERYTHING } from '../../../src/client/tree/tree-filter.ts';
import { systemClock } from '../../../src/clock.ts';
import { copy, startTrees, WAYS, type Way } from './tree-setting.ts';

const COUNT = 500;
const FILES = Object.fromEntries(Array.from({ length: COUNT }, (_, n) => [`d${n % 5}/f${n}`, `${n}`]));

/** Two trees with a round trip of at least 40 ms between them. */
async function farTrees(way: Way) {
  const trees = await startTrees(way, FILES, undefined, { faults: { latencyMs: 20 } });
  // A clock that stands still would make every way a short one.
  const far = () => trees.direction({ connector: trees.setting.connector({ clock: systemClock }) });
  return { ...trees, far };
}

/** The most calls of a method that are ever under way at the same time. */
function mostAtOnce(direction: TreeDirection, method: 'send' | 'hasSameContent'): () => number {
  const original = direction[method].bind(direction) as (...args: unknown[]) => Promise<never>;
  let [underWay, most] = [0, 0];
  direction[method] = async (...args: unknown[]) => {
    most = Math.max(most, (underWay += 1));
    try {
      return await original(...args);
    } finally {
      underWay -= 1;
    }
  };
  return () => most;
}

describe.each(WAYS)('over a long way (%s)', (way) => {
  test('more small files are under way than over a short one, and compared, unless so many are asked for', async () => {
    const { far } = await farTrees(way);
    const direction = far();
    const sent = mostAtOnce(direction, 'send');
    const { told } = await copy(direction, { run: { transfers: undefined } });
    expect(told.failed).toEqual({});
    expect(sent()).toBeGreaterThan(100);

    const comparing = far();
    const compared = mostAtOnce(comparing, 'hasSameContent');
    const differences = checkTrees(comparing, {
      filter: EVERYTHING,
      isHopeless: () => false,
      onProblem: (error) => {
        throw error;
      },
    });
    expect(await Array.fromAsync(differences)).toEqual([]);
    expect(compared()).toBeGreaterThan(100);

    const bounded = far();
    const few = mostAtOnce(bounded, 'send');
    await copy(bounded, { run: { transfers: 7 }, rules: { compare: 'never' } });
    expect(few()).toBe(7);
  });
});
