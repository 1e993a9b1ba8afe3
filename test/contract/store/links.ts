import { beforeEach, describe, expect, test } from 'vitest';
import type { Store } from '../../../src/storage/store.ts';
import type { Subject } from '../store.ts';
import {
  ABSENT,
  ANY,
  codeOf,
  KEY,
  pathsIn,
  publication,
  putText,
  record,
  textOf,
  uploadKeys,
  uploadOf,
  uploadOptions,
} from './samples.ts';

/** What is asked of a path that leads through a link. */
const THROUGH_A_LINK: Record<string, (store: Store, path: string) => Promise<unknown>> = {
  stat: (store, path) => store.stat(path),
  list: (store, path) => pathsIn(store, path),
  open: (store, path) => store.open(path),
  put: (store, path) => putText(store, path, 'through'),
  'put of what may not stand': (store, path) => putText(store, path, 'through', ABSENT),
  openUpload: (store, path) => store.openUpload(KEY, uploadOptions(path, { base: 'existing' })),
  remove: (store, path) => store.remove(path, { recursive: false }),
  'remove of all in it': (store, path) => store.remove(path, { recursive: true }),
  'move from': (store, path) => store.move(path, 'target', ANY),
  'move to': (store, path) => store.move('source', path, ANY),
  mkdir: (store, path) => store.mkdir(path, {}),
  set: (store, path) => store.set(path, { mtimeMs: 0, mode: 0 }),
  symlink: (store, path) => store.symlink(path, 'target', ANY),
};

/** Symbolic links: names, never doors. */
export function linksContract(subject: Subject): void {
  test.each(['file', '../../../etc/passwd', '/absolute', 'no such thing', '🚢', '.'])(
    'a link to %j is kept as it is',
    async (target) => {
      await subject.store.symlink('a/link', target, ANY);
      const entry = { path: 'a/link', type: 'symlink', target, size: Buffer.byteLength(target) };
      expect(await subject.store.stat('a/link')).toMatchObject(entry);
      expect(await pathsIn(subject.store, '', true)).toEqual(['a', 'a/link']);
    },
  );

  test('a link takes the place of a file or a link, and of no directory', async () => {
    const { store } = subject;
    await putText(store, 'name', 'text');
    const file = await store.stat('name');
    await store.symlink('name', 'one', ANY);
    const link = await store.stat('name');
    await store.symlink('name', 'two', ANY);
    expect((await store.stat('name')).target).toBe('two');
    expect(new Set([file.etag, link.etag, (await store.stat('name')).etag]).size).toBe(3);
    await store.mkdir('directory', {});
    expect(await codeOf(store.symlink('directory', 'one', ANY))).toBe('is-directory');
    expect(await uploadKeys(store)).toEqual([]);
  });

  describe('with a file and a directory that links lead to', () => {
    beforeEach(async () => {
      const { store } = subject;
      await putText(store, 'directory/file', 'text', { mode: 0o640, mtimeMs: 1000 });
      await putText(store, 'source', 'source');
      await store.symlink('to-file', 'directory/file', ANY);
      await store.symlink('to-directory', 'directory', ANY);
    });

    // What the links lead to, which nothing here may change.
    const expectUntouched = async () => {
      expect(await pathsIn(subject.store, 'directory')).toEqual(['directory/file']);
      expect(await subject.store.stat('directory/file')).toMatchObject({ mode: 0o640, mtimeMs: 1000 });
      expect(await textOf(subject.store, 'directory/file')).toBe('text');
    };

    test.each(Object.entries(THROUGH_A_LINK))('%s does not go through one', async (_, operation) => {
      const before = await pathsIn(subject.store, '', true);
      for (const path of ['to-directory/file', 'to-directory/new', 'to-directory/new/below', 'to-file/new'])
        expect(await codeOf(operation(subject.store, path))).toBe('not-directory');
      expect(await pathsIn(subject.store, '', true)).toEqual(before);
      expect(await uploadKeys(subject.store)).toEqual([]);
      await expectUntouched();
    });

    test('a listing shows a link and not what it leads to', async () => {
      expect((await pathsIn(subject.store, '', true)).sort()).toEqual([
        'directory',
        'directory/file',
        'source',
        'to-directory',
        'to-file',
      ]);
    });

    test.each(['to-file', 'to-directory'])('%s itself is not opened, listed or made', async (link) => {
      const { store } = subject;
      expect(await codeOf(store.open(link))).toBe('bad-request');
      expect(await codeOf(pathsIn(store, link))).toBe('not-directory');
      expect(await codeOf(store.mkdir(link, {}))).toBe('exists');
    });

    test.each(['to-file', 'to-directory'])('%s is replaced as a name', async (link) => {
      const { store } = subject;
      expect(await codeOf(putText(store, link, '', ABSENT))).toBe('exists');
      await putText(store, link, 'a file now');
      expect(await textOf(store, link)).toBe('a file now');
      await expectUntouched();
    });

    test.each(['to-file', 'to-directory'])(
      'an upload starts from nothing in %s and replaces it',
      async (link) => {
        const { store } = subject;
        const options = uploadOptions(link, { size: 4, base: 'existing' });
        const upload = await uploadOf(store, options, { 0: Buffer.from('sent') });
        expect(upload.base).toBe('none');
        await upload.publish(publication(link), 4, record(link, 4));
        expect(await store.stat(link)).toMatchObject({ type: 'file', size: 4 });
        await expectUntouched();
      },
    );

    test.each(['to-file', 'to-directory'])('%s is moved, set and removed itself', async (link) => {
      const { store } = subject;
      await store.set(link, { mtimeMs: 5000, mode: 0o600 });
      expect((await store.stat(link)).mtimeMs).toBe(5000);
      await store.move(link, 'moved', ANY);
      expect((await store.stat('moved')).type).toBe('symlink');
      await store.move('source', 'moved', ANY);
      expect(await textOf(store, 'moved')).toBe('source');
      await store.symlink(link, 'directory', ANY);
      await store.remove(link, { recursive: true });
      expect(await codeOf(store.stat(link))).toBe('not-found');
      await expectUntouched();
    });

    test('a directory that holds links is removed without what they lead to', async () => {
      const { store } = subject;
      await store.symlink('full/out', '../directory', ANY);
      await store.remove('full', { recursive: true });
      await expectUntouched();
    });
  });
}
