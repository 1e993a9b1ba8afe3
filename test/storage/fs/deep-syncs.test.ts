import { expect, test } from 'vitest';

import { putText } from '../../contract/store/samples.ts';
import { storeOfCountedCalls } from './counted-store.ts';

const DEEP = 400;

test('a sync enters each directory on a long way a few times, and syncs it once', async () => {
  const { store, files, counted } = await storeOfCountedCalls();
  const directory = 'd/'.repeat(DEEP);
  for (const name of ['one', 'two']) await putText(store, `${directory}${name}`, '');
  files.heal();
  await store.sync([`${directory}one`, `${directory}two`]);
  // Those on the way with the root, and the two files.
  expect(counted('file.sync')).toBe(DEEP + 1 + 2);
  expect(counted('open')).toBeLessThan(4 * DEEP);
  expect(files.openCount).toBe(await openWithoutWork());
});

test('a way that ends where something was removed is synced as far as it leads', async () => {
  const { store, files, counted } = await storeOfCountedCalls();
  await putText(store, 'stays/goes/file', '');
  await putText(store, 'stays/other', '');
  await store.remove('stays/goes', { recursive: true });
  files.heal();
  await store.sync(['stays/goes/file', 'stays/other']);
  // The root, the directory that stays, and the file in it.
  expect(counted('file.sync')).toBe(3);
});

/** Handles of a store that does nothing. */
async function openWithoutWork(): Promise<number> {
  return (await storeOfCountedCalls()).files.openCount;
}
