import { describe, expect, test } from 'vitest';

import { checkTrees } from '../../../src/client/tree/check-trees.ts';
import { ContentDigests } from '../../../src/client/tree/content-digest.ts';
import type { TreeDirection } from '../../../src/client/tree/direction.ts';
import { EVERYTHING } from '../../../src/client/tree/tree-filter.ts';
import { nextTurn, systemClock } from '../../../src/clock.ts';
import { MIB } from '../setting.ts';
import { copy, startTrees, WAYS, type Way } from './tree-setting.ts';

const named = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`d${n % 5}/f${n}`, `${n}`]));

/** Two trees with a round trip of at least 200 ms between them: on a busy machine, too, the way is what takes the time. */
async function farTrees(way: Way) {
  const trees = await startTrees(way, named(500), undefined, { faults: { latencyMs: 100 } });
  // A clock that stands still would make every way a short one.
  return () => trees.direction({ connector: trees.setting.connector({ clock: systemClock }) });
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

function differencesOf(direction: TreeDirection) {
  return Array.fromAsync(
    checkTrees(direction, {
      filter: EVERYTHING,
      isHopeless: () => false,
      onProblem: (error) => {
        throw error;
      },
    }),
  );
}

describe.each(WAYS)('small files (%s)', (way) => {
  test('are under way in greater number over a long way, sent and compared', async () => {
    const far = await farTrees(way);
    const sending = far();
    const sent = mostAtOnce(sending, 'send');
    const { told } = await copy(sending, { run: { transfers: undefined } });
    expect(told.failed).toEqual({});
    expect(sent()).toBeGreaterThan(100);

    const comparing = far();
    const compared = mostAtOnce(comparing, 'hasSameContent');
    expect(await differencesOf(comparing)).toEqual([]);
    expect(compared()).toBeGreaterThan(100);
  });

  test('are under way in the number that is asked for, sent and compared', async () => {
    const { direction } = await startTrees(way, named(30));
    const sending = direction({ transfers: 3 });
    const sent = mostAtOnce(sending, 'send');
    await copy(sending, { run: { transfers: undefined } });
    expect(sent()).toBe(3);

    const comparing = direction({ transfers: 3 });
    const compared = mostAtOnce(comparing, 'hasSameContent');
    expect(await differencesOf(comparing)).toEqual([]);
    expect(compared()).toBe(3);
  });
});

test('files of more than one block are compared four at a time, and smaller ones leave requests for what else there is to do', async () => {
  let asked = 0;
  const held = Promise.withResolvers<never>();
  const digests = new ContentDigests(
    () => {
      asked += 1;
      return held.promise;
    },
    () => undefined,
  );
  const all = Array.from({ length: 10 }, (_, n) => digests.areSame(`local ${n}`, `remote ${n}`, MIB + 1));
  const small = Array.from({ length: 600 }, (_, n) => digests.areSame(`small ${n}`, `remote ${n}`, MIB));
  await nextTurn();
  expect(asked).toBe(4 + 512);
  held.reject(new Error('the end'));
  const ended = await Promise.allSettled([...all, ...small]);
  expect(ended.every(({ status }) => status === 'rejected')).toBe(true);
});
