import { expect, onTestFinished, test } from 'vitest';

import { systemFiles } from '../../../src/storage/fs/file-system.ts';
import { FileStore } from '../../../src/storage/fs/fs-store.ts';
import { ANY, codeOf, pathsIn, putText } from '../../contract/store/samples.ts';
import { temporaryRoot } from '../temporary-root.ts';
import { watchSyncs } from './watched-syncs.ts';

test('a directory that is made while the one above it moves is synced for the next file in it', async () => {
  const root = temporaryRoot();
  const [reached, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const mkdir: typeof systemFiles.mkdir = async (path, mode) => {
    if (path.endsWith('/new')) {
      reached.resolve();
      await gate.promise;
    }
    await systemFiles.mkdir(path, mode);
  };
  const store = await FileStore.open({ root: root.path, files: { ...systemFiles, mkdir } });
  onTestFinished(async () => {
    await store[Symbol.asyncDispose]();
    root.remove();
  });
  await store.mkdir('before', {});
  const putting = putText(store, 'before/new/in memory', '');
  await reached.promise;
  await store.move('before', 'after', ANY);
  await putText(store, 'after/other/file', '', { durability: 'disk' });
  gate.resolve();
  await putting;
  const synced = await watchSyncs(root.path);
  await putText(store, 'after/new/file', '', { durability: 'disk' });
  expect(synced).toEqual(['/after', '/after/new']);
});

test('a tree that could not be removed is on the disk where it stood, before that is told', async () => {
  const root = temporaryRoot();
  const removeTree = () => Promise.reject(Object.assign(new Error('EBUSY'), { code: 'EBUSY' }));
  const store = await FileStore.open({ root: root.path, files: { ...systemFiles, removeTree } });
  onTestFinished(async () => {
    await store[Symbol.asyncDispose]();
    root.remove();
  });
  await putText(store, 'above/tree/file', '', { durability: 'disk' });
  const synced = await watchSyncs(root.path);
  expect(await codeOf(store.remove('above/tree', { recursive: true }))).toBe('internal');
  expect(synced).toEqual(['/above']);
  await putText(store, 'above/tree/other', '', { durability: 'disk' });
  expect(synced).toContain('/above/tree');
  expect((await pathsIn(store, 'above/tree')).sort()).toEqual(['above/tree/file', 'above/tree/other']);
});
