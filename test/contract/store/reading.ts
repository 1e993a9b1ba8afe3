import { expect, test } from 'vitest';
import { blockDigest, smallFileDigest } from '../../../src/transfer/digests.ts';
import type { Subject } from '../store.ts';
import { ANY, block, codeOf, contentOf, pathsIn, publication, putText, textOf } from './samples.ts';

/** `stat`, `list` and `open`. */
export function readingContract(subject: Subject): void {
  test('the root is a directory that stands from the beginning and is empty', async () => {
    expect(await subject.store.stat('')).toMatchObject({ path: '', type: 'directory', size: 0 });
    expect(await pathsIn(subject.store, '', true)).toEqual([]);
  });

  test('stat tells what was published, as publishing told it', async () => {
    const published = await putText(subject.store, 'a/b', 'text', { mtimeMs: 1_234_567, mode: 0o640 });
    expect(published).toMatchObject({ path: 'a/b', type: 'file', size: 4, mtimeMs: 1_234_567, mode: 0o640 });
    expect(published.etag).not.toBe('');
    expect(await subject.store.stat('a/b')).toEqual(published);
  });

  test.each(['missing', 'directory/missing', 'missing/below'])('%s is not found', async (path) => {
    const { store } = subject;
    await store.mkdir('directory', {});
    expect(await codeOf(store.stat(path))).toBe('not-found');
    expect(await codeOf(store.open(path))).toBe('not-found');
    expect(await codeOf(pathsIn(store, path))).toBe('not-found');
  });

  test('what lies below a file leads through what is no directory', async () => {
    const { store } = subject;
    await putText(store, 'file', '');
    expect(await codeOf(store.stat('file/below'))).toBe('not-directory');
    expect(await codeOf(store.open('file/below'))).toBe('not-directory');
    expect(await codeOf(pathsIn(store, 'file/below'))).toBe('not-directory');
  });

  test.each(['', 'text'])('a digest, where one is told, is that of the data: %j', async (text) => {
    const { store } = subject;
    await putText(store, 'a/file', text);
    for (const algorithm of ['sha256', 'blake3'] as const) {
      const expected = smallFileDigest(algorithm, text.length, blockDigest(algorithm, Buffer.from(text)));
      expect([undefined, expected]).toContain(await store.digest?.('a/file', algorithm));
    }
  });

  test('no digest is told of what cannot be opened', async () => {
    const { store } = subject;
    await putText(store, 'file', 'text');
    await store.mkdir('directory', {});
    await store.symlink('link', 'file', ANY);
    for (const path of [
      'missing',
      'file/below',
      'link/below',
      'directory',
      'link',
      '.sealift/x',
      'a/../file',
    ]) {
      const code = await codeOf(store.open(path));
      const told = Promise.resolve(store.digest?.(path, 'sha256'));
      const outcome = await told.catch((error: unknown) => (error as { code: string }).code);
      expect([undefined, code], path).toContain(outcome);
    }
  });

  test('list shows one directory, and with recursive everything below it', async () => {
    const { store } = subject;
    await putText(store, 'a/b/c', '');
    await putText(store, 'a/d', '');
    await store.mkdir('a/empty', {});
    await store.symlink('link', 'a', ANY);
    expect((await pathsIn(store, '')).sort()).toEqual(['a', 'link']);
    expect((await pathsIn(store, 'a')).sort()).toEqual(['a/b', 'a/d', 'a/empty']);
    expect(await pathsIn(store, 'a/empty', true)).toEqual([]);
    const all = await pathsIn(store, '', true);
    expect([...all].sort()).toEqual(['a', 'a/b', 'a/b/c', 'a/d', 'a/empty', 'link']);
    for (const child of ['a/b', 'a/b/c', 'a/d', 'a/empty'])
      expect(all.indexOf(child.slice(0, child.lastIndexOf('/')))).toBeLessThan(all.indexOf(child));
  });

  test('a listed entry is what stat tells', async () => {
    const { store } = subject;
    await putText(store, 'file', 'text');
    await store.mkdir('directory', {});
    await store.symlink('link', 'file', ANY);
    for await (const entry of store.list('', { recursive: false }))
      expect(entry).toEqual(await store.stat(entry.path));
  });

  test('a directory of many is listed whole, each once', async () => {
    const { store } = subject;
    const paths = Array.from({ length: 300 }, (_, index) => `many/${index}`);
    await Promise.all(paths.map((path) => putText(store, path, '')));
    expect((await pathsIn(store, 'many')).sort()).toEqual(paths.sort());
  });

  test('a listing may be left in the middle', async () => {
    const { store } = subject;
    for (const path of ['a/1', 'a/2', 'b/1']) await putText(store, path, '');
    for await (const entry of store.list('', { recursive: true })) {
      expect(entry.type).toBe('directory');
      break;
    }
    expect(await pathsIn(store, '', true)).toHaveLength(5);
  });

  test('only a directory can be listed, and only a file opened', async () => {
    const { store } = subject;
    await putText(store, 'file', '');
    await store.mkdir('directory', {});
    expect(await codeOf(pathsIn(store, 'file'))).toBe('not-directory');
    expect(await codeOf(store.open('directory'))).toBe('is-directory');
    expect(await codeOf(store.open(''))).toBe('is-directory');
  });

  test('a file is read in any pieces, and not beyond its end', async () => {
    const { store } = subject;
    const entry = await store.put(publication('file'), Buffer.from('0123456789'));
    const file = await store.open('file');
    expect(file.entry).toEqual(entry);
    const target = Buffer.alloc(8, '.');
    await file.read(target, 7, 3);
    expect(target.toString()).toBe('789.....');
    await file.read(target, 0, 8);
    expect(target.toString()).toBe('01234567');
    await file.read(target, 10, 0);
    expect(await codeOf(file.read(target, 8, 3))).toBe('precondition-failed');
    await file.assertUnchanged();
    await file.close();
    await file.close();
  });

  test('a reader sees the file that it opened, whatever becomes of the name', async () => {
    const { store } = subject;
    await store.put(publication('file'), block(1));
    const beforeReplacement = await store.open('file');
    await store.put(publication('file'), block(2));
    const beforeRemoval = await store.open('file');
    await store.remove('file', { recursive: false });
    const target = Buffer.alloc(block(1).length);
    await beforeReplacement.read(target, 0, target.length);
    expect(target.equals(block(1))).toBe(true);
    await beforeRemoval.read(target, 0, target.length);
    expect(target.equals(block(2))).toBe(true);
    await beforeReplacement.assertUnchanged();
    await beforeRemoval.assertUnchanged();
    await beforeReplacement.close();
    await beforeRemoval.close();
  });

  test('readers beside writers see one of the contents, never a mix', async () => {
    const { store } = subject;
    await store.put(publication('file'), block(0));
    const isWhole = async () => {
      const content = await contentOf(store, 'file');
      return [0, 1, 2, 3].some((seed) => content.equals(block(seed)));
    };
    const writes = [1, 2, 3].map((seed) => store.put(publication('file'), block(seed)));
    const reads = await Promise.all(Array.from({ length: 20 }, isWhole));
    await Promise.all(writes);
    expect(reads).not.toContain(false);
  });

  test('what was published is there after a restart', async () => {
    const entry = await putText(subject.store, 'a/b', 'text');
    await subject.reopen();
    expect(await textOf(subject.store, 'a/b')).toBe('text');
    expect(await subject.store.stat('a/b')).toEqual(entry);
  });
}
