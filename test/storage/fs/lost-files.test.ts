import { expect, it } from 'vitest';

import { seededRandom } from '../../../src/random.ts';
import { FileStore } from '../../../src/storage/fs/fs-store.ts';
import { DISK_ROOT, ModelDisk } from '../../support/disk/model-disk.ts';
import { FaultyFiles } from '../../support/faulty-files.ts';
import { bytesOf, fileDigestOf, putInline } from '../../support/raw-upload.ts';
import { startTestServer } from '../../support/test-server.ts';

// A disk tells only once that it lost what was written: whoever asks again is told that all is well.
async function storeWithFaults() {
  const disk = new ModelDisk();
  const files = new FaultyFiles(disk);
  return { disk, files, store: await FileStore.open({ root: DISK_ROOT, files }) };
}

async function contentAfterPowerFailure(disk: ModelDisk, path: string): Promise<Buffer> {
  const left = disk.afterPowerFailure({ random: seededRandom(1), survival: 0 });
  const store = await FileStore.open({ root: DISK_ROOT, files: new FaultyFiles(left) });
  const file = await store.open(path);
  const content = Buffer.alloc(file.entry.size);
  await file.read(content, 0, content.length);
  await file.close();
  return content;
}

it('calls nothing synced whose sync failed before', async () => {
  const { files, store } = await storeWithFaults();
  const common = { mayReplace: true, condition: { if: 'any' } } as const;
  await store.put({ ...common, path: 'new', durability: 'memory' }, Buffer.from('new'));
  files.failNamed('file.sync', 'EIO', { path: 'new' });
  await expect(store.sync(['new'])).rejects.toThrow();
  files.heal();

  await expect(store.sync(['new'])).rejects.toMatchObject({ code: 'internal', retryable: false });
  // Many are not synced by one call for all either, which knows of no loss.
  const many = Array.from({ length: 100 }, (_, index) => `other${index}`);
  await expect(store.sync(['new', ...many])).rejects.toMatchObject({ code: 'internal' });
});

it('lets what a sync lost take the place of no other file', async () => {
  const { disk, files, store } = await storeWithFaults();
  const common = { mayReplace: true, condition: { if: 'any' } } as const;
  await store.put({ ...common, path: 'good', durability: 'disk' }, Buffer.from('good'));
  await store.put({ ...common, path: 'new', durability: 'memory' }, Buffer.from('new'));
  files.failNamed('file.sync', 'EIO', { path: 'new' });
  await expect(store.sync(['new'])).rejects.toThrow();
  files.heal();

  await expect(store.move('new', 'good', common)).rejects.toMatchObject({ code: 'internal' });
  expect((await contentAfterPowerFailure(disk, 'good')).toString()).toBe('good');
});

it('does not tell a client that puts a lost file again that it is there, and takes it when it may be replaced', async () => {
  const { disk, files, store } = await storeWithFaults();
  const { login } = await startTestServer({ store });
  const client = await login();
  const content = bytesOf(5_000);
  const absent = { durability: 'memory', if: 'absent' };
  await putInline(client, 'f', content, absent);
  files.failNamed('file.sync', 'EIO', { path: 'f' });
  expect((await client.ask('sync', {})).header['code']).toBe('internal');
  files.heal();

  const refused = (await putInline(client, 'f', content, absent)).header;
  expect(refused['code']).toBe('exists');
  expect(refused['digest']).toBeUndefined();

  const taken = (await putInline(client, 'f', content, { durability: 'memory' })).header;
  expect(taken['digest']).toBe(fileDigestOf(content));
  expect((await client.ask('sync', {})).header['status']).toBe('ok');
  expect(await contentAfterPowerFailure(disk, 'f')).toEqual(content);
});
