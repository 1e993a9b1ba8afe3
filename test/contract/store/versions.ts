import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Entry, Store } from '../../../src/storage/store.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import type { OpenedStore, OpenStore } from '../store.ts';
import {
  ABSENT,
  ANY,
  block,
  codeOf,
  contentOf,
  pathsIn,
  publication,
  putText,
  record,
  textOf,
  uploadOf,
  uploadOptions,
  versionTexts,
} from './samples.ts';

const KEEP_MS = 1_000_000;

/** What is kept of files that are replaced or removed. */
export function versionsContract(open: OpenStore): void {
  let opened: OpenedStore;
  let store: Store;
  const use = async (options: Parameters<OpenStore>[0]) => {
    opened = await open(options);
    store = opened.store;
  };
  afterEach(() => opened.close());

  const versions = (path: string, recursive = false): Promise<Entry[]> =>
    Array.fromAsync(store.list(path, { recursive, versions: true }));

  describe('where none are kept', () => {
    beforeEach(() => use({ keepVersionsMs: 0 }));

    test('asking for them is unsupported, and nothing is kept', async () => {
      await putText(store, 'file', 'old');
      await putText(store, 'file', 'new');
      await store.expireVersions();
      expect(store.features.versions).toBe(false);
      expect(await codeOf(versions(''))).toBe('unsupported');
      expect(await codeOf(store.open('file', { version: 'any' }))).toBe('unsupported');
    });
  });

  describe('where they are kept', () => {
    beforeEach(() => use({ keepVersionsMs: KEEP_MS }));

    test('a file that is replaced stays as it was, with its time and bits', async () => {
      const old = await putText(store, 'a/file', 'old', { mtimeMs: 5_000, mode: 0o640 });
      await putText(store, 'a/file', 'newer', { mtimeMs: 6_000, mode: 0o600 });
      const [version, ...others] = await versions('a/file');
      expect(others).toEqual([]);
      expect(version).toMatchObject({ path: 'a/file', type: 'file', size: 3, mtimeMs: 5_000, mode: 0o640 });
      expect(version?.version).toMatch(/^[\w-]{1,128}$/);
      expect(old).not.toHaveProperty('version');
      const file = await store.open('a/file', { version: version?.version });
      expect(file.entry).toMatchObject({ path: 'a/file', size: 3, mtimeMs: 5_000, mode: 0o640 });
      expect(file.entry.etag).toBe(version?.etag);
      await file.assertUnchanged();
      await file.close();
      expect(await textOf(store, 'a/file')).toBe('newer');
      expect(store.features.versions).toBe(true);
    });

    test('it stays whatever takes its place or takes it away', async () => {
      for (const path of ['put', 'upload', 'move', 'link', 'gone', 'tree/a/gone'])
        await putText(store, path, 'old');
      await putText(store, 'put', 'new', { durability: 'disk' });
      const upload = await uploadOf(store, uploadOptions('upload'), { 0: Buffer.from('new') });
      await upload.publish(publication('upload'), 3, record('upload', 3));
      await putText(store, 'source', 'new');
      await store.move('source', 'move', ANY);
      await store.symlink('link', 'target', ANY);
      await store.remove('gone', { recursive: false });
      await store.remove('tree', { recursive: true });
      expect(await versionTexts(store, '', true)).toEqual([
        'put: old',
        'upload: old',
        'move: old',
        'link: old',
        'gone: old',
        'tree/a/gone: old',
      ]);
      for (const path of ['put', 'upload', 'move']) expect(await textOf(store, path)).toBe('new');
      expect((await pathsIn(store, '', true)).sort()).toEqual(['link', 'move', 'put', 'upload']);
    });

    test('what is refused keeps nothing', async () => {
      await putText(store, 'file', 'old');
      await store.mkdir('directory', {});
      expect(await codeOf(putText(store, 'file', 'new', ABSENT))).toBe('exists');
      expect(await codeOf(putText(store, 'file', 'new', { mayReplace: false }))).toBe('forbidden');
      expect(await codeOf(store.symlink('file', 'target', { ...ANY, mayReplace: false }))).toBe('forbidden');
      expect(await codeOf(store.move('directory', 'file', ANY))).toBe('not-directory');
      expect(await codeOf(store.remove('missing', { recursive: true }))).toBe('not-found');
      expect(await versions('', true)).toEqual([]);
    });

    test('what was new, or only moved, has no version; nor have links and directories', async () => {
      await putText(store, 'a/file', 'text');
      await store.move('a/file', 'b/file', ANY);
      await store.symlink('link', 'one', ANY);
      await store.symlink('link', 'two', ANY);
      await store.remove('link', { recursive: false });
      await store.mkdir('empty', {});
      await store.remove('empty', { recursive: true });
      await store.remove('a', { recursive: false });
      await store.symlink('tree/link', 'one', ANY);
      await store.remove('tree', { recursive: true });
      expect(await versions('', true)).toEqual([]);
      await store.remove('b', { recursive: true });
      expect(await versionTexts(store, '', true)).toEqual(['b/file: text']);
    });

    test('every version of a file is listed and can be opened, in the order in which they stood', async () => {
      const texts = Array.from({ length: 100 }, (_, index) => `text ${index}`);
      for (const text of texts) await putText(store, 'file', text);
      await store.remove('file', { recursive: false });
      expect(await versionTexts(store, 'file')).toEqual(texts.map((text) => `file: ${text}`));
    });

    test('a version of more than a block comes back byte by byte', async () => {
      const upload = await uploadOf(store, uploadOptions('file'), { 0: block(0), 1: block(1, 77) });
      const size = block(0).length + 77;
      await upload.publish(publication('file'), size, record('file', size));
      await putText(store, 'file', 'new');
      const [version] = await versions('file');
      const content = Buffer.concat([block(0), block(1, 77)]);
      expect((await contentOf(store, 'file', version?.version)).equals(content)).toBe(true);
    });

    test('who reads a file goes on reading it when it is replaced or removed', async () => {
      await putText(store, 'file', 'old');
      const reader = await store.open('file');
      await putText(store, 'file', 'new');
      const target = Buffer.alloc(3);
      await reader.read(target, 0, 3);
      await reader.assertUnchanged();
      await reader.close();
      expect(target.toString()).toBe('old');
    });

    test('a listing has what lies in a directory, or all below it, also where it does not stand any more', async () => {
      for (const path of ['a/file', 'a/b/file', 'a/b/c/file', 'a-evil/file', 'top'])
        await putText(store, path, path);
      await putText(store, 'a/file', 'new');
      await store.remove('a/b/file', { recursive: false });
      await store.remove('a/b', { recursive: true });
      await store.remove('a', { recursive: true });
      await store.remove('top', { recursive: false });
      const paths = async (path: string, recursive = false) =>
        (await versions(path, recursive)).map((entry) => entry.path).sort();
      expect(await paths('')).toEqual(['top']);
      expect(await paths('a')).toEqual(['a/file', 'a/file']);
      expect(await paths('a/b')).toEqual(['a/b/file']);
      expect(await paths('a/b/c')).toEqual(['a/b/c/file']);
      expect(await paths('a/b/c/file')).toEqual(['a/b/c/file']);
      expect(await paths('a/file', true)).toEqual(['a/file', 'a/file']);
      expect(await paths('a/b', true)).toEqual(['a/b/c/file', 'a/b/file']);
      expect(await paths('', true)).toEqual(['a/b/c/file', 'a/b/file', 'a/file', 'a/file', 'top']);
      expect(await paths('missing', true)).toEqual([]);
      expect(await paths('top/below', true)).toEqual([]);
      expect(await pathsIn(store, '', true)).toEqual(['a-evil', 'a-evil/file']);
    });

    test('a name can have been a file, a directory and a file again', async () => {
      await putText(store, 'name', 'file');
      await store.remove('name', { recursive: false });
      await putText(store, 'name/below', 'below');
      await store.remove('name', { recursive: true });
      await putText(store, 'name', 'file again');
      await putText(store, 'name', 'stands');
      expect(await versionTexts(store, 'name')).toEqual([
        'name: file',
        'name/below: below',
        'name: file again',
      ]);
      expect(await versionTexts(store, 'name/below')).toEqual(['name/below: below']);
    });

    test('a directory that is made anew under the name of one that was removed is kept besides', async () => {
      for (const text of ['one', 'two', 'three']) {
        await putText(store, 'a/b/file', text);
        await store.remove('a', { recursive: true });
      }
      expect(await versionTexts(store, 'a/b/file')).toEqual(
        ['one', 'two', 'three'].map((text) => `a/b/file: ${text}`),
      );
    });

    test.each([
      ['long', `${'n'.repeat(255)}`],
      ['of two bytes a character', 'é'.repeat(127)],
      ['composed', 'n\u00e9'],
      ['decomposed', 'ne\u0301'],
      ['like an id', '20261121T142608123Z-5a1b9c3d'],
      ['like what a shell reads', ' $(x) * '],
    ])('a name that is %s', async (_, name) => {
      const path = `${name}/${name}`;
      await putText(store, path, 'one');
      await putText(store, path, 'two');
      await store.remove(name, { recursive: true });
      expect(await versionTexts(store, '', true)).toEqual([`${path}: one`, `${path}: two`]);
    });

    test('a path of many components', async () => {
      const path = `${'d/'.repeat(50)}${'n'.repeat(200)}`;
      await putText(store, path, 'one');
      await putText(store, path, 'two');
      await store.remove(path, { recursive: false });
      expect(await versionTexts(store, path)).toEqual([`${path}: one`, `${path}: two`]);
      expect(await versionTexts(store, 'd', true)).toEqual([`${path}: one`, `${path}: two`]);
    });

    test.each([
      '',
      '.',
      '..',
      '../file',
      'no id',
      '20261121T142608123Z-5a1b9c3d',
      '20261121T142608123Z-../file',
    ])('what is called %j is no version', async (version) => {
      await putText(store, 'a/file', 'old');
      await putText(store, 'a/file', 'new');
      expect(await codeOf(store.open('a/file', { version }))).toBe('not-found');
    });

    test('a version belongs to one path, and only to a file', async () => {
      for (const path of ['a/file', 'a/other', 'b']) await putText(store, path, path);
      await putText(store, 'a/file', 'new');
      const [version] = await versions('a/file');
      for (const path of ['a/other', 'b', 'a/file/below', 'missing'])
        expect(await codeOf(store.open(path, { version: version?.version }))).toBe('not-found');
      expect(['not-found', 'is-directory']).toContain(
        await codeOf(store.open('a', { version: version?.version })),
      );
    });

    test('names against the grammar, and those of the service, are refused', async () => {
      for (const path of ['a//b', '../a', '.sealift', 'a/.sealift/b']) {
        expect(await codeOf(versions(path))).toBe('bad-name');
        expect(await codeOf(store.open(path, { version: '20261121T142608123Z-5a1b9c3d' }))).toBe('bad-name');
      }
    });

    test('of those who put one name at once, every content stands or is kept', async () => {
      const texts = Array.from({ length: 40 }, (_, index) => `text ${index}`);
      await Promise.all(
        texts.map((text, index) =>
          putText(store, 'a/file', text, { durability: index % 2 === 0 ? 'disk' : 'memory' }),
        ),
      );
      const kept = await versionTexts(store, 'a/file');
      expect([...kept, `a/file: ${await textOf(store, 'a/file')}`].sort()).toEqual(
        texts.map((text) => `a/file: ${text}`).sort(),
      );
    });

    test('of those who put and remove one name at once, every content stands or is kept', async () => {
      const texts = Array.from({ length: 20 }, (_, index) => `text ${index}`);
      const removed = texts.map(() => store.remove('file', { recursive: false }).catch(() => undefined));
      await Promise.all([...texts.map((text) => putText(store, 'file', text)), ...removed]);
      await store.remove('file', { recursive: false }).catch(() => undefined);
      expect((await versionTexts(store, 'file')).sort()).toEqual(texts.map((text) => `file: ${text}`).sort());
    });

    test('a listing while others are retired has all that were there before, each once', async () => {
      const before = Array.from({ length: 60 }, (_, index) => `a/${index % 7}/file ${index}`);
      for (const path of before) await putText(store, path, 'old');
      for (const path of before) await putText(store, path, 'new');
      const listed: string[] = [];
      for await (const { path } of store.list('', { recursive: true, versions: true })) {
        listed.push(path);
        await putText(store, `a/other ${listed.length}`, 'one');
        await store.remove(`a/other ${listed.length}`, { recursive: false });
        if (listed.length > 1_000) break;
      }
      expect(listed.filter((path) => before.includes(path)).sort()).toEqual(before.sort());
    });

    test('they are there after a restart', async () => {
      await putText(store, 'a/file', 'one');
      await putText(store, 'a/file', 'two');
      await store.remove('a', { recursive: true });
      store = await opened.reopen();
      expect(await versionTexts(store, '', true)).toEqual(['a/file: one', 'a/file: two']);
    });
  });

  describe('in time', () => {
    let clock: FakeClock;
    beforeEach(async () => {
      clock = new FakeClock();
      await use({ clock, keepVersionsMs: KEEP_MS });
    });

    test('nothing goes before its age, and everything after it, whatever was written meanwhile', async () => {
      await putText(store, 'a/file', 'one', { mtimeMs: 0 });
      await putText(store, 'a/file', 'two');
      clock.advance(1);
      await putText(store, 'a/b/file', 'three');
      await store.remove('a', { recursive: true });
      for (let count = 0; count < 50; count += 1) await putText(store, 'other', 'text');
      clock.advance(KEEP_MS - 1);
      await store.expireVersions();
      expect(await versionTexts(store, 'a', true)).toHaveLength(3);
      clock.advance(1);
      await store.expireVersions();
      expect((await versionTexts(store, 'a', true)).sort()).toEqual(['a/b/file: three', 'a/file: two']);
      expect(await versions('other')).toHaveLength(49);
      clock.advance(1);
      await store.expireVersions();
      expect(await versions('', true)).toEqual([]);
      expect(await textOf(store, 'other')).toBe('text');
    });

    test('who reads a version that goes reads on, and nobody finds it any more', async () => {
      await putText(store, 'file', 'old');
      await putText(store, 'file', 'new');
      const [version] = await versions('file');
      const reader = await store.open('file', { version: version?.version });
      clock.advance(KEEP_MS + 1);
      await store.expireVersions();
      const target = Buffer.alloc(3);
      await reader.read(target, 0, 3);
      await reader.close();
      expect(target.toString()).toBe('old');
      expect(await codeOf(store.open('file', { version: version?.version }))).toBe('not-found');
    });

    test('what a clock that ran ahead has made old later is kept until then', async () => {
      clock.jump(KEEP_MS);
      await putText(store, 'file', 'old');
      await putText(store, 'file', 'new');
      clock.jump(-KEEP_MS);
      clock.advance(2 * KEEP_MS);
      await store.expireVersions();
      expect(await versionTexts(store, 'file')).toEqual(['file: old']);
    });

    test('what expires while others are retired takes none of them along', async () => {
      for (let round = 0; round < 20; round += 1) {
        await putText(store, `a/b/file ${round}`, 'old');
        await store.remove(`a/b/file ${round}`, { recursive: false });
        clock.advance(KEEP_MS + 1);
        await putText(store, 'a/b/file', `text ${round}`);
        const retire = Array.from({ length: 4 }, (_, index) =>
          putText(store, 'a/b/file', `text ${round}.${index}`),
        );
        await Promise.all([store.expireVersions(), ...retire]);
        expect(await versions('a/b/file')).toHaveLength(round === 0 ? 4 : 5);
        expect(await versions(`a/b/file ${round}`)).toEqual([]);
      }
    });

    test('several expiries at once do not get into each other’s way', async () => {
      for (let round = 0; round < 20; round += 1) {
        const paths = ['file', 'a/b/file', 'a/file', `new ${round}/file`];
        for (const path of paths) await putText(store, path, 'old');
        for (const path of paths) await store.remove(path, { recursive: false });
        clock.advance(KEEP_MS + 1);
        await Promise.all([store.expireVersions(), store.expireVersions(), store.expireVersions()]);
        for (const path of paths) expect(await versions(path)).toEqual([]);
      }
    });

    test('a signal ends the work early', async () => {
      await putText(store, 'file', 'old');
      await putText(store, 'file', 'new');
      clock.advance(KEEP_MS + 1);
      await store.expireVersions({ signal: AbortSignal.abort() }).catch(() => undefined);
      await store.expireVersions();
      expect(await versions('file')).toEqual([]);
    });
  });
}
