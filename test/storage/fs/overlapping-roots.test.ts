import { mkdirSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';

import { systemFiles } from '../../../src/storage/fs/file-system.ts';
import { FileStore } from '../../../src/storage/fs/fs-store.ts';
import { KeyedMutex } from '../../../src/storage/keyed-mutex.ts';
import { putText } from '../../contract/store/samples.ts';
import { failureOf } from '../../support/failure.ts';
import { temporaryRoot } from '../temporary-root.ts';
import { watchSyncs } from './watched-syncs.ts';

test('a condition is judged alone under a name, from whichever root it is written to', async () => {
  const root = temporaryRoot();
  mkdirSync(root.at('inner'));
  const names = new KeyedMutex();
  const [renaming, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const rename: typeof systemFiles.rename = async (...paths) => {
    renaming.resolve();
    await gate.promise;
    return systemFiles.rename(...paths);
  };
  const outer = await FileStore.open({ root: root.path, names, files: { ...systemFiles, rename } });
  const inner = await FileStore.open({ root: root.at('inner'), names });
  onTestFinished(async () => {
    await outer[Symbol.asyncDispose]();
    await inner[Symbol.asyncDispose]();
    root.remove();
  });
  const common = { durability: 'disk', mayReplace: true } as const;
  const { etag } = await inner.put(
    { ...common, path: 'f', condition: { if: 'absent' } },
    Buffer.from('first'),
  );
  const condition = { if: 'match', etag } as const;
  const won = outer.put({ ...common, path: 'inner/f', condition }, Buffer.from('won'));
  await renaming.promise;
  const lost = failureOf(inner.put({ ...common, path: 'f', condition }, Buffer.from('lost')));
  // As long as it would take if it did not wait.
  for (let look = 0; look < 100; look += 1) expect((await inner.stat('f')).etag).toBe(etag);
  gate.resolve();
  expect((await won).size).toBe(3);
  expect((await lost).code).toBe('precondition-failed');
});

test('a directory that was made from one root is synced for a file that is put from the other', async () => {
  const root = temporaryRoot();
  mkdirSync(root.at('inner'));
  const outer = await FileStore.open({ root: root.path });
  const inner = await FileStore.open({ root: root.at('inner') });
  onTestFinished(async () => {
    await outer[Symbol.asyncDispose]();
    await inner[Symbol.asyncDispose]();
    root.remove();
  });
  const synced = await watchSyncs(root.at('inner'));
  await putText(inner, 'old/file', '', { durability: 'disk' });
  await putText(outer, 'inner/new/in memory', '');
  synced.splice(0);
  await putText(inner, 'new/file', '', { durability: 'disk' });
  expect(synced).toEqual(['', '/new']);
});
