import { expect, test } from 'vitest';

import { SharedTasks } from '../../src/client/shared-tasks.ts';

const named = (name: string) => ({ name });
async function* listed(...names: string[]) {
  for (const name of names) yield Promise.resolve(named(name));
}
const settled = async (promise: Promise<unknown>) => {
  let isSettled = false;
  void promise.then(() => (isSettled = true));
  await new Promise((resolve) => setImmediate(resolve));
  return isSettled;
};

test('gives each task to one, in their order, and nothing when all are done', async () => {
  const tasks = new SharedTasks(listed('a', 'b', 'c'));
  expect(await Promise.all([tasks.take(), tasks.take(), tasks.take()])).toEqual(['a', 'b', 'c'].map(named));
  const waiting = [tasks.take(), tasks.take()];
  tasks.done();
  tasks.done();
  expect(await settled(waiting[0] as Promise<unknown>)).toBe(false);
  tasks.done();
  expect(await Promise.all(waiting)).toEqual([undefined, undefined]);
});

test('what was given back goes to who waits, before anything fresh', async () => {
  const tasks = new SharedTasks(listed('a', 'b', 'c'));
  const first = await tasks.take();
  tasks.giveBack(first as { name: string });
  expect(await tasks.take()).toEqual(named('a'));
  expect(await tasks.take()).toEqual(named('b'));
  expect(await tasks.take()).toEqual(named('c'));
  const waiting = tasks.take();
  tasks.done();
  tasks.done();
  tasks.giveBack(named('b'));
  expect(await waiting).toEqual(named('b'));
  tasks.done();
  expect(await tasks.take()).toBeUndefined();
});

test('what is given back goes to who waits for a fresh one, which may not come before that is done', async () => {
  const gate = Promise.withResolvers<void>();
  const tasks = new SharedTasks(
    (async function* () {
      yield* listed('a');
      await gate.promise;
      yield* listed('b');
    })(),
  );
  const first = await tasks.take();
  const waiting = tasks.take();
  tasks.giveBack(first as { name: string });
  expect(await waiting).toEqual(named('a'));
  gate.resolve();
  tasks.done();
  expect(await tasks.take()).toEqual(named('b'));
});

test('nothing at all is soon done', async () => {
  expect(await new SharedTasks(listed()).take()).toBeUndefined();
});

test('when it is stopped all who wait leave, and whoever makes the tasks is told', async () => {
  let isOver = false;
  const tasks = new SharedTasks(
    (async function* () {
      try {
        yield* listed('a', 'b');
      } finally {
        isOver = true;
      }
    })(),
  );
  await tasks.take();
  await tasks.stop();
  expect(isOver).toBe(true);
  expect(await tasks.take()).toBeUndefined();
  await tasks.stop();
});

test('a failure to make the tasks is told to who asked', async () => {
  const tasks = new SharedTasks(
    (async function* () {
      yield* listed('a');
      throw new Error('no more');
    })(),
  );
  await tasks.take();
  await expect(tasks.take()).rejects.toThrow('no more');
});
