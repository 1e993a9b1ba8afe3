import { expect, test } from 'vitest';

import { UnsyncedByAll } from '../../src/server/unsynced.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';

/** A store that notes what it was told to sync, and fails while it is told to. */
class NotingStore extends MemoryStore {
  readonly synced: string[][] = [];
  failure: Error | undefined;

  override sync(paths: readonly string[]): Promise<void> {
    this.synced.push([...paths]);
    return this.failure ? Promise.reject(this.failure) : Promise.resolve();
  }
}

test('everything since the last sync is synced, once', async () => {
  const store = new NotingStore();
  const unsynced = new UnsyncedByAll(store).enter();
  for (const path of ['a', 'b', 'a']) await unsynced.add(path);
  await unsynced.sync();
  await unsynced.add('c');
  await unsynced.sync();
  expect(store.synced).toEqual([['a', 'b'], ['c']]);
});

test('a client that never asks is synced unasked, and nothing is missed', async () => {
  const store = new NotingStore();
  const unsynced = new UnsyncedByAll(store).enter();
  const paths = Array.from({ length: 10_000 }, (_, index) => `${index}`);
  for (const path of paths) await unsynced.add(path);
  expect(store.synced.length).toBeGreaterThan(0);
  await unsynced.sync();
  expect(store.synced.flat().sort()).toEqual(paths.sort());
});

test('a failure, also of a sync that nobody asked for, is told by the next one, and once', async () => {
  const store = new NotingStore();
  const unsynced = new UnsyncedByAll(store).enter();
  store.failure = new Error('EIO');
  for (let index = 0; index < 4_096; index += 1) await unsynced.add(`${index}`);
  await unsynced.settled();
  store.failure = undefined;
  await expect(unsynced.sync()).rejects.toThrow('EIO');
  await expect(unsynced.sync()).resolves.toBeUndefined();
});

test('what was moved is synced where it stands', async () => {
  const store = new NotingStore();
  const byAll = new UnsyncedByAll(store);
  const unsynced = byAll.enter();
  for (const path of ['d/a', 'da']) await unsynced.add(path);
  await byAll.moving('d', 'e', () => Promise.resolve());
  await unsynced.sync();
  expect(store.synced[0]).toContain('e/a');
  expect(store.synced[0]).not.toContain('ea');
});

test('what is being published when a sync is asked for is waited for, and synced', async () => {
  const store = new NotingStore();
  const unsynced = new UnsyncedByAll(store).enter();
  const order: string[] = [];
  const published = Promise.withResolvers<void>();
  const publishing = unsynced.publishing('a', () => published.promise.then(() => order.push('published')));
  const failing = unsynced.publishing('b', () => Promise.reject(new Error('no such place')));
  const syncing = unsynced.sync().then(() => order.push('synced'));
  await expect(failing).rejects.toThrow('no such place');
  expect(store.synced).toEqual([]);

  published.resolve();
  await Promise.all([publishing, syncing]);
  expect(order).toEqual(['published', 'synced']);
  expect(store.synced).toEqual([['a']]);
});

test('what comes into a directory that is moved meanwhile is synced where it stands', async () => {
  const store = new NotingStore();
  const byAll = new UnsyncedByAll(store);
  const unsynced = byAll.enter();
  const published = Promise.withResolvers<void>();
  const publishing = unsynced.publishing('d/a', () => published.promise);
  await byAll.moving('d', 'e', () => Promise.resolve());
  await byAll.moving('e', 'f', () => Promise.resolve());
  published.resolve();
  await publishing;
  await unsynced.sync();
  expect(store.synced[0]).toContain('f/a');
});
