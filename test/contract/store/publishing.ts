import { expect, test } from 'vitest';
import { BLOCK_BYTES } from '../../../src/transfer/blocks.ts';
import type { Subject } from '../store.ts';
import {
  ABSENT,
  ANY,
  block,
  codeOf,
  contentOf,
  publication,
  putText,
  textOf,
  uploadKeys,
} from './samples.ts';

/** `put`, `set` and `sync`: files of at most one block, and what stands beside their content. */
export function publishingContract(subject: Subject): void {
  test.each([0, 1, BLOCK_BYTES - 1, BLOCK_BYTES])('a file of %i bytes comes back the same', async (size) => {
    const entry = await subject.store.put(publication('file'), block(1, size));
    expect(entry.size).toBe(size);
    expect((await contentOf(subject.store, 'file')).equals(block(1, size))).toBe(true);
  });

  test('a buffer may be used again once it was published', async () => {
    const content = Buffer.from('before');
    await subject.store.put(publication('file'), content);
    content.fill('x');
    expect(await textOf(subject.store, 'file')).toBe('before');
  });

  test.each(['disk', 'memory'] as const)('durability %s publishes and replaces', async (durability) => {
    const { store } = subject;
    await putText(store, 'new/directory/file', 'one', { durability });
    await putText(store, 'new/directory/file', 'another', { durability });
    expect(await textOf(store, 'new/directory/file')).toBe('another');
    await store.sync(['new/directory/file']);
    expect(await uploadKeys(store)).toEqual([]);
  });

  test('each publication has another etag than the one before it', async () => {
    const { store } = subject;
    const first = await putText(store, 'file', 'text', { mtimeMs: 1000 });
    const second = await putText(store, 'file', 'text', { mtimeMs: 1000 });
    expect(second.etag).not.toBe(first.etag);
    expect((await store.stat('file')).etag).toBe(second.etag);
  });

  test('many files in one new directory may be published at once', async () => {
    const { store } = subject;
    const paths = Array.from({ length: 30 }, (_, index) => `new/deep/${index}`);
    await Promise.all(paths.map((path) => putText(store, path, path, { durability: 'disk' })));
    for (const path of paths) expect(await textOf(store, path)).toBe(path);
  });

  test('a file takes the place of no directory', async () => {
    const { store } = subject;
    await store.mkdir('directory', {});
    expect(await codeOf(putText(store, 'directory', ''))).toBe('is-directory');
    expect(await codeOf(putText(store, 'directory', '', { mayReplace: false }))).toBe('is-directory');
    expect(await codeOf(putText(store, 'directory', '', ABSENT))).toBe('exists');
    expect((await store.stat('directory')).type).toBe('directory');
    expect(await uploadKeys(store)).toEqual([]);
  });

  test('a file stands in no file', async () => {
    const { store } = subject;
    await putText(store, 'file', 'text');
    expect(await codeOf(putText(store, 'file/below', ''))).toBe('not-directory');
    expect(await codeOf(putText(store, 'file/below/it', ''))).toBe('not-directory');
    expect(await textOf(store, 'file')).toBe('text');
    expect(await uploadKeys(store)).toEqual([]);
  });

  test.each([0, 1, 999, 1_767_225_600_123, -1, -1_500, -86_400_000])(
    'the time %i is kept',
    async (mtimeMs) => {
      const { store } = subject;
      expect((await putText(store, 'put', '', { mtimeMs })).mtimeMs).toBe(mtimeMs);
      await putText(store, 'set', '');
      await store.set('set', { mtimeMs });
      expect((await store.stat('set')).mtimeMs).toBe(mtimeMs);
      await store.mkdir('directory', { mtimeMs });
      expect((await store.stat('directory')).mtimeMs).toBe(mtimeMs);
    },
  );

  test('a time that is not said is a whole number all the same', async () => {
    expect(Number.isSafeInteger((await putText(subject.store, 'file', '')).mtimeMs)).toBe(true);
  });

  test('permission bits are kept, and no others', async () => {
    const { store } = subject;
    expect((await putText(store, 'file', '', { mode: 0o751 })).mode).toBe(0o751);
    expect((await putText(store, 'setuid', '', { mode: 0o6755 })).mode).toBe(0o755);
    await store.set('file', { mode: 0o1604 });
    expect((await store.stat('file')).mode).toBe(0o604);
    await store.mkdir('directory', { mode: 0o2750 });
    expect((await store.stat('directory')).mode).toBe(0o750);
  });

  test('a file that is replaced passes its permission bits on, unless others are said', async () => {
    const { store } = subject;
    await putText(store, 'file', 'one', { mode: 0o604 });
    expect((await putText(store, 'file', 'two')).mode).toBe(0o604);
    expect((await putText(store, 'file', 'three', { mode: 0o640 })).mode).toBe(0o640);
  });

  test('set changes what was made, and nothing that took its place', async () => {
    const { store } = subject;
    const { etag: made } = await putText(store, 'file', 'text');
    await store.set('file', { mtimeMs: 1000 }, { made });
    await store.set('file', { mtimeMs: 2000 }, { made });
    await store.move('file', 'moved', ANY);
    await store.set('moved', { mtimeMs: 3000 }, { made });
    await putText(store, 'file', 'text', { mtimeMs: 5000 });
    expect(await codeOf(store.set('file', { mtimeMs: 4000 }, { made }))).toBe('forbidden');
    expect((await store.stat('file')).mtimeMs).toBe(5000);
  });

  test('set changes what it names and nothing else', async () => {
    const { store } = subject;
    await putText(store, 'file', 'text', { mode: 0o640, mtimeMs: 1000 });
    await store.set('file', { mtimeMs: 2000 });
    expect(await store.stat('file')).toMatchObject({ mode: 0o640, mtimeMs: 2000 });
    await store.set('file', { mode: 0o600 });
    expect(await store.stat('file')).toMatchObject({ mode: 0o600, mtimeMs: 2000 });
    await store.set('file', {});
    expect(await store.stat('file')).toMatchObject({ mode: 0o600, mtimeMs: 2000 });
    expect(await textOf(store, 'file')).toBe('text');
    await store.mkdir('directory', {});
    await store.set('directory', { mode: 0o700, mtimeMs: 3000 });
    expect(await store.stat('directory')).toMatchObject({ mode: 0o700, mtimeMs: 3000 });
    expect(await codeOf(store.set('missing', { mode: 0o600 }))).toBe('not-found');
    expect(await codeOf(store.set('file/below', { mode: 0o600 }))).toBe('not-directory');
  });

  test('sync passes over what is gone', async () => {
    const { store } = subject;
    await putText(store, 'a/file', '');
    await putText(store, 'a/kept', '');
    await putText(store, 'b/file', '');
    await store.mkdir('directory', {});
    await store.symlink('link', 'nowhere', ANY);
    await store.remove('a/file', { recursive: false });
    await store.remove('b', { recursive: true });
    await putText(store, 'b', '');
    await store.sync(['a/file', 'a/kept', 'b/file', 'never/was', 'directory', 'link', 'link/below']);
    await store.sync([]);
  });
}
