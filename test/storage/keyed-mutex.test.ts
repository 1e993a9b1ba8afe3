import { expect, test } from 'vitest';
import { KeyedMutex } from '../../src/storage/keyed-mutex.ts';

/** A task that says when it begins, and ends when it is told to. */
function task(log: string[], name: string) {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const run = async () => {
    log.push(name);
    return promise;
  };
  return { run, end: () => resolve(name), fail: (error: Error) => reject(error) };
}

/** Lets every promise that can settle do so. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

test('tasks of one key run one after the other, in the order in which they came', async () => {
  const mutex = new KeyedMutex();
  const log: string[] = [];
  const tasks = ['first', 'second', 'third'].map((name) => task(log, name));
  const results = tasks.map(({ run }) => mutex.run('key', run));
  for (const [index, each] of tasks.entries()) {
    await settled();
    expect(log).toHaveLength(index + 1);
    each.end();
  }
  expect(await Promise.all(results)).toEqual(['first', 'second', 'third']);
  expect(log).toEqual(['first', 'second', 'third']);
});

test('who comes when some have ended waits for those who have not', async () => {
  const mutex = new KeyedMutex();
  const log: string[] = [];
  const [first, second, third] = [task(log, 'first'), task(log, 'second'), task(log, 'third')];
  const results = [mutex.run('key', first.run), mutex.run('key', second.run)];
  first.end();
  await settled();
  results.push(mutex.run('key', third.run));
  await settled();
  expect(log).toEqual(['first', 'second']);
  second.end();
  third.end();
  await Promise.all(results);
});

test('tasks of different keys do not wait for each other', async () => {
  const mutex = new KeyedMutex();
  const log: string[] = [];
  const [a, b] = [task(log, 'a'), task(log, 'b')];
  const results = [mutex.run('a', a.run), mutex.run('b', b.run)];
  await settled();
  expect(log).toEqual(['a', 'b']);
  b.end();
  expect(await results[1]).toBe('b');
  a.end();
  await results[0];
});

test('a task that fails lets the next one in', async () => {
  const mutex = new KeyedMutex();
  const failing = mutex.run('key', () => Promise.reject(new Error('failed')));
  const next = mutex.run('key', async () => 'next');
  await expect(failing).rejects.toThrow('failed');
  expect(await next).toBe('next');
});

test('several keys are taken together, whatever their order, without waiting for each other for ever', async () => {
  const mutex = new KeyedMutex();
  const log: string[] = [];
  const [both, one, reversed] = [task(log, 'both'), task(log, 'one'), task(log, 'reversed')];
  const results = [
    mutex.run(['a', 'b'], both.run),
    mutex.run('b', one.run),
    mutex.run(['b', 'a', 'a'], reversed.run),
  ];
  await settled();
  expect(log).toEqual(['both']);
  both.end();
  await settled();
  expect(log).toEqual(['both', 'one']);
  one.end();
  await settled();
  expect(log).toEqual(['both', 'one', 'reversed']);
  reversed.end();
  await Promise.all(results);
});
