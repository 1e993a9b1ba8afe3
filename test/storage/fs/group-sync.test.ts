import { statfs } from 'node:fs/promises';
import { release } from 'node:os';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { nextTurn } from '../../../src/clock.ts';
import { GroupSync } from '../../../src/storage/fs/group-sync.ts';
import { reportsLostWrites } from '../../../src/storage/fs/sync-file-system.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { replaceSync } from '../../support/replaced-sync.ts';
import { temporaryRoot, type TemporaryRoot } from '../temporary-root.ts';

let root: TemporaryRoot;
let clock: FakeClock;
let group: GroupSync;
/** Those that were synced by themselves. */
let byThemselves: string[];
/** Whether one call for the file system can be had here. */
let isForAll: boolean;

beforeEach(async () => {
  root = temporaryRoot();
  onTestFinished(() => root.remove());
  clock = new FakeClock();
  group = new GroupSync(root.path, clock);
  byThemselves = [];
  isForAll = reportsLostWrites(release(), (await statfs(root.path)).type);
});

/** Syncs files of these names at the same time, each of which takes `ms` by itself. */
async function syncMany(prefix: string, count: number, ms: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, index) => `${prefix}${index}`);
  const sync = async (name: string) => {
    clock.advance(ms);
    byThemselves.push(name);
  };
  await Promise.all(names.map((name) => group.sync(() => sync(name))));
  return names;
}

test('files that take long are synced by one call for their file system, and few or quick ones each by itself', async () => {
  const calls = replaceSync('exit 0');
  const first = await syncMany('first ', 20, 5);
  expect([byThemselves, calls()]).toEqual([first, []]);
  const second = await syncMany('second ', 20, 5);
  expect(calls()).toHaveLength(isForAll ? 1 : 0);
  expect(byThemselves).toEqual(isForAll ? first : [...first, ...second]);
  const alone = await syncMany('alone ', 1, 0.1);
  expect(byThemselves).toEqual(expect.arrayContaining(alone));
  await syncMany('quick ', 20, 0.1);
  expect(calls()).toHaveLength(isForAll ? 1 : 0);
});

test('where one call for all takes longer than each by itself took, what each takes is found out again', async () => {
  const calls = replaceSync('exit 0');
  await syncMany('first ', 20, 5);
  const slow = syncMany('second ', 20, 5);
  // The program has been started then.
  await nextTurn();
  clock.advance(10_000);
  await slow;
  expect(calls()).toHaveLength(isForAll ? 1 : 0);
  const third = await syncMany('third ', 20, 5);
  expect(byThemselves).toEqual(expect.arrayContaining(third));
  expect(calls()).toHaveLength(isForAll ? 1 : 0);
});

test('what comes while others are synced waits for the next group, and a failure is that of one file', async () => {
  const order: string[] = [];
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const first = group.sync(async () => {
    begun.resolve();
    await held;
    order.push('first');
  });
  await begun.promise;
  const lost = group.sync(() => Promise.reject(new Error('the disk is gone')));
  const beside = group.sync(async () => void order.push('beside'));
  release();
  await Promise.all([first, beside, expect(lost).rejects.toThrow('the disk is gone')]);
  expect(order).toEqual(['first', 'beside']);
  await group.sync(async () => void order.push('after'));
  expect(order.at(-1)).toBe('after');
});

test('where one call for all cannot be had, or fails, each is synced by itself', async () => {
  const calls = replaceSync('exit 1');
  await syncMany('first ', 20, 5);
  const second = await syncMany('second ', 20, 5);
  expect(byThemselves).toEqual(expect.arrayContaining(second));
  // Nobody knows what else was lost.
  const third = await syncMany('third ', 20, 5);
  expect(byThemselves).toEqual(expect.arrayContaining(third));
  expect(calls()).toHaveLength(isForAll ? 1 : 0);
});
