import { expect, test } from 'vitest';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { FakeClock } from '../support/fake-clock.ts';
import {
  block,
  KEY,
  publication,
  putText,
  record,
  uploadOf,
  uploadOptions,
} from '../contract/store/samples.ts';

test('every change gives another etag, and what is not changed keeps its own', async () => {
  const store = new MemoryStore();
  const etags = [(await putText(store, 'file', 'text')).etag];
  for (const change of [
    () => putText(store, 'file', 'text'),
    () => store.set('file', { mode: 0o600 }),
    () => store.set('file', { mtimeMs: 1000 }),
    () => store.symlink('file', 'target', { condition: { if: 'any' }, mayReplace: true }),
  ]) {
    await change();
    etags.push((await store.stat('file')).etag);
    expect((await store.stat('file')).etag).toBe(etags.at(-1));
  }
  expect(new Set(etags).size).toBe(5);
});

test('times come from the clock', async () => {
  const clock = new FakeClock(5000);
  const store = new MemoryStore({ clock });
  expect((await putText(store, 'a/file', '')).mtimeMs).toBe(5000);
  clock.advance(1000);
  await putText(store, 'a/other', '');
  expect(await store.stat('a')).toMatchObject({ mtimeMs: 6000, mode: 0o755 });
  expect(await store.stat('a/file')).toMatchObject({ mtimeMs: 5000, mode: 0o644 });
  const upload = await uploadOf(store, uploadOptions('file'), {});
  clock.advance(1000);
  await upload.write(0, block(0));
  expect(await Array.fromAsync(store.uploads())).toMatchObject([{ key: KEY, lastWrittenMs: 7000 }]);
});

test('a publication is forgotten once it is older than is asked for', async () => {
  const clock = new FakeClock(5000);
  const store = new MemoryStore({ clock });
  const upload = await uploadOf(store, uploadOptions('file'), { 0: Buffer.from('text') });
  await upload.publish(publication('file'), 4, record('file', 4));
  await store.forgetPublished(5000);
  expect(await store.published('upload-1')).toMatchObject({ path: 'file' });
  await store.forgetPublished(5001);
  expect(await store.published('upload-1')).toBeUndefined();
});

test('a gap is not held, and not published as zeros', async () => {
  const store = new MemoryStore();
  await (await uploadOf(store, uploadOptions('file'), { 1: block(1) })).close();
  const upload = await store.openUpload(KEY, uploadOptions('file'));
  expect(upload.held.has(0)).toBe(false);
  expect(upload.held.has(1)).toBe(true);
  const size = 2 * block(1).length;
  await expect(upload.publish(publication('file'), size, record('file', size))).rejects.toMatchObject({
    code: 'internal',
  });
});
