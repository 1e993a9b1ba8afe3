import { expect, test } from 'vitest';
import { concurrently } from '../../src/storage/concurrently.ts';

/** Lets every promise that can settle do so. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Runs a task for each of `count` items; each ends when it is told to. */
function running(count: number, limit: number) {
  const begun: number[] = [];
  const tasks = Array.from({ length: count }, () => Promise.withResolvers<void>());
  const items = tasks.map((_, index) => index);
  const all = concurrently(items, limit, async (item) => {
    begun.push(item);
    await tasks[item]?.promise;
  });
  return {
    begun,
    all,
    end: (item: number) => tasks[item]?.resolve(),
    fail: (item: number, error: Error) => tasks[item]?.reject(error),
  };
}

test('no more run at a time than may, and each runs once', async () => {
  const { begun, all, end } = running(5, 2);
  await settled();
  expect(begun).toEqual([0, 1]);
  end(1);
  await settled();
  expect(begun).toEqual([0, 1, 2]);
  for (const item of [0, 2, 3, 4]) end(item);
  await all;
  expect(begun).toEqual([0, 1, 2, 3, 4]);
});

test('the first failure is told once nothing runs any more, and nothing new begins', async () => {
  const { begun, all, end, fail } = running(5, 2);
  let isOver = false;
  const outcome = all.catch((error: unknown) => error).finally(() => (isOver = true));
  fail(1, new Error('first'));
  await settled();
  expect([begun, isOver]).toEqual([[0, 1], false]);
  end(0);
  expect(await outcome).toMatchObject({ message: 'first' });
  expect(begun).toEqual([0, 1]);
});

test('of nothing nothing comes', async () => {
  await concurrently([], 4, () => Promise.reject(new Error('never')));
});
