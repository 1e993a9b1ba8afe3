import { describe, expect, test } from 'vitest';

import { Ahead, forEachConcurrently, mapConcurrently } from '../../../src/client/tree/concurrency.ts';
import { each } from './tree-setting.ts';

/** Tasks that a test ends one by one, by their item. */
function heldTasks() {
  const begun: number[] = [];
  const held = new Map<number, PromiseWithResolvers<number>>();
  const task = (item: number) => {
    begun.push(item);
    const end = Promise.withResolvers<number>();
    held.set(item, end);
    return end.promise;
  };
  return { begun, task, end: (item: number) => held.get(item)?.resolve(item * 10), fail, turns };
  function fail(item: number) {
    held.get(item)?.reject(new Error(`${item} failed`));
  }
  /** Lets everything happen that can happen by itself. */
  async function turns() {
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Items that a test gives one by one. */
function givenItems() {
  let wanted = Promise.withResolvers<number | undefined>();
  const state = { isStopped: false, asked: 0 };
  async function* items() {
    try {
      for (;;) {
        state.asked += 1;
        const item = await wanted.promise;
        wanted = Promise.withResolvers();
        if (item === undefined) return;
        yield [item];
      }
    } finally {
      state.isStopped = true;
    }
  }
  return {
    items: items(),
    state,
    give: (item?: number) => wanted.resolve(item),
    fail: (error: Error) => wanted.reject(error),
  };
}

describe('forEachConcurrently', () => {
  test('begins in order, so many at once, the next when one has ended', async () => {
    const { begun, task, end, turns } = heldTasks();
    const all = forEachConcurrently(each([1, 2, 3, 4]), 2, async (item) => void (await task(item)));
    await turns();
    expect(begun).toEqual([1, 2]);
    end(2);
    await turns();
    expect(begun).toEqual([1, 2, 3]);
    for (const item of [1, 3]) end(item);
    await turns();
    end(4);
    await all;
    expect(begun).toEqual([1, 2, 3, 4]);
  });

  test('as many at once as may be just now', async () => {
    const { begun, task, end, turns } = heldTasks();
    let limit = 1;
    const all = forEachConcurrently(
      each([1, 2, 3, 4, 5]),
      () => limit,
      async (item) => void (await task(item)),
    );
    await turns();
    expect(begun).toEqual([1]);
    limit = 3;
    end(1);
    await turns();
    expect(begun).toEqual([1, 2, 3, 4]);
    limit = 1;
    for (const item of [2, 3]) end(item);
    await turns();
    expect(begun).toEqual([1, 2, 3, 4]);
    end(4);
    await turns();
    end(5);
    await all;
    expect(begun).toEqual([1, 2, 3, 4, 5]);
  });

  test('a failure lets those under way end, begins no other, and gives the items back', async () => {
    const { begun, task, end, fail, turns } = heldTasks();
    const { items, give, state } = givenItems();
    let isOver = false;
    const all = forEachConcurrently(items, 3, async (item) => void (await task(item)));
    const over = all.catch((error: unknown) => error).finally(() => (isOver = true));
    for (const item of [1, 2]) {
      give(item);
      await turns();
    }
    fail(1);
    await turns();
    // The third was waiting for an item when the first failed.
    give(3);
    await turns();
    expect([begun, isOver]).toEqual([[1, 2], false]);
    end(2);
    expect(await over).toEqual(new Error('1 failed'));
    expect(state.isStopped).toBe(true);
  });

  test('begins those of one batch one by one, and no other when none is wanted any more', async () => {
    const { begun, task, end, turns } = heldTasks();
    const { items, give, state } = givenItems();
    let isWanted = true;
    const all = forEachConcurrently(
      (async function* () {
        yield await Promise.resolve([1, 2, 3, 4]);
        yield* items;
      })(),
      2,
      async (item) => void (await task(item)),
      () => isWanted,
    );
    await turns();
    expect(begun).toEqual([1, 2]);
    end(1);
    await turns();
    isWanted = false;
    end(2);
    end(3);
    await all;
    expect([begun, state.asked]).toEqual([[1, 2, 3], 0]);
    give();
  });

  test('throws what the items throw, and the first of several failures', async () => {
    const { items, fail } = givenItems();
    const all = forEachConcurrently(items, 2, () => Promise.resolve());
    fail(new Error('no more'));
    await expect(all).rejects.toThrow('no more');
    const failing = forEachConcurrently(each([1, 2]), 2, (item) => Promise.reject(new Error(`${item}`)));
    await expect(failing).rejects.toThrow('1');
  });
});

describe('mapConcurrently', () => {
  test('gives results in the order of the items, whatever ends first', async () => {
    const { begun, task, end, turns } = heldTasks();
    const results = Array.fromAsync(mapConcurrently([1, 2, 3, 4], 3, task));
    await turns();
    expect(begun).toEqual([1, 2, 3]);
    end(3);
    end(2);
    await turns();
    expect(begun).toEqual([1, 2, 3]);
    end(1);
    await turns();
    end(4);
    expect(await results).toEqual([10, 20, 30, 40]);
  });

  test('with a limit of 1 looks at an item only when the one before is taken', async () => {
    const seen: string[] = [];
    const results = mapConcurrently([1, 2], 1, (item) => {
      seen.push(`begin ${item}`);
      return Promise.resolve(item);
    });
    for await (const item of results) seen.push(`take ${item}`);
    expect(seen).toEqual(['begin 1', 'take 1', 'begin 2', 'take 2']);
  });

  test('throws a failure in its place, when those under way have ended', async () => {
    const { task, end, fail, turns } = heldTasks();
    const taken: number[] = [];
    let isOver = false;
    const all = (async () => {
      for await (const result of mapConcurrently([1, 2, 3], 3, task)) taken.push(result);
    })();
    const over = all.catch((error: unknown) => error).finally(() => (isOver = true));
    await turns();
    fail(2);
    end(1);
    await turns();
    expect([taken, isOver]).toEqual([[10], false]);
    end(3);
    expect(await over).toEqual(new Error('2 failed'));
  });
});

describe('Ahead', () => {
  test('takes items from now on, before they are wanted, and keeps their order', async () => {
    let taken = 0;
    const items = (async function* () {
      for (const item of [1, 2, 3]) {
        taken += 1;
        yield await Promise.resolve([item]);
      }
    })();
    const results = new Ahead(items);
    await heldTasks().turns();
    expect(taken).toBe(3);
    expect(await Array.fromAsync(results)).toEqual([[1, 2, 3]]);
  });

  test('waits for items that come late', async () => {
    const { items, give } = givenItems();
    const results = Array.fromAsync(new Ahead(items));
    for (const item of [1, 2, undefined]) {
      await heldTasks().turns();
      give(item);
    }
    expect(await results).toEqual([[1], [2]]);
  });

  test('gives what came before a failure, and then the failure', async () => {
    const { items, give, fail } = givenItems();
    const results = new Ahead(items)[Symbol.asyncIterator]();
    const first = results.next();
    give(1);
    expect(await first).toEqual({ done: false, value: [1] });
    fail(new Error('lost'));
    await heldTasks().turns();
    await expect(results.next()).rejects.toThrow('lost');
  });

  test('whoever stops early stops the items', async () => {
    const { items, give, state } = givenItems();
    const results = new Ahead(items)[Symbol.asyncIterator]();
    const first = results.next();
    give(1);
    await first;
    const stopped = results.return(undefined);
    give(2);
    await stopped;
    expect(state).toEqual({ isStopped: true, asked: 2 });
  });

  test('can be stopped before anybody has asked', async () => {
    const { items, give, state } = givenItems();
    const results = new Ahead(items);
    const stopped = results.stop();
    give(1);
    await stopped;
    await results.stop();
    expect(state).toEqual({ isStopped: true, asked: 1 });
  });
});
