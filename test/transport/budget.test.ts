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

test('who is aborted waits no more, and keeps nobody behind who wants less', async () => {
  const granted: string[] = [];
  const budget = new Budget(4);
  const take = taking(budget, granted);
  const release = await take('a', 3);
  const controller = new AbortController();
  const aborted = budget.take(2, controller.signal);
  const c = take('c', 1);
  const d = take('d', 4);
  controller.abort();
  await expect(aborted).rejects.toMatchObject({ code: 'aborted' });
  await expect(budget.take(1, controller.signal)).rejects.toMatchObject({ code: 'aborted' });
  const releaseC = await c;
  expect(granted).toEqual(['a', 'c']);
  release();
  releaseC();
  await d;
});

test('an abort takes nothing from who was admitted', async () => {
  const budget = new Budget(1);
  const release = await budget.take(1);
  const controller = new AbortController();
  const admitted = budget.take(1, controller.signal);
  const behind = budget.take(1);
  release();
  controller.abort();
  (await admitted)();
  await behind;
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
