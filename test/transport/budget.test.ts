import { expect, test } from 'vitest';

import { Budget } from '../../src/transport/budget.ts';

/** Takes from `budget` and records under `name` when it was granted. */
function taking(budget: Budget, granted: string[]) {
  return async (name: string, amount: number) => {
    const release = await budget.take(amount);
    granted.push(name);
    return release;
  };
}

test('who wants more than is free waits, and is admitted in order', async () => {
  const granted: string[] = [];
  const take = taking(new Budget(10), granted);
  const releaseA = await take('a', 6);
  const b = take('b', 6);
  // There would be room for it, but it came later.
  const c = take('c', 1);
  await Promise.resolve();
  expect(granted).toEqual(['a']);
  releaseA();
  (await b)();
  await c;
  expect(granted).toEqual(['a', 'b', 'c']);
});

test('several are admitted at once when there is room for all', async () => {
  const granted: string[] = [];
  const take = taking(new Budget(4), granted);
  const release = await take('all', 4);
  const others = [take('b', 1), take('c', 3)];
  release();
  await Promise.all(others);
  expect(granted).toEqual(['all', 'b', 'c']);
});

test('giving back twice gives back once', async () => {
  const granted: string[] = [];
  const take = taking(new Budget(2), granted);
  const release = await take('a', 1);
  await take('b', 1);
  release();
  release();
  await take('c', 1);
  void take('d', 1);
  await Promise.resolve();
  expect(granted).toEqual(['a', 'b', 'c']);
});

test('more than there is counts as all, and nothing needs nothing', async () => {
  const granted: string[] = [];
  const take = taking(new Budget(3), granted);
  const release = await take('huge', 100);
  await take('nothing', 0);
  const next = take('next', 3);
  await Promise.resolve();
  expect(granted).toEqual(['huge', 'nothing']);
  release();
  await next;
});
