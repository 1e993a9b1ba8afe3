import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { describe, expect, test } from 'vitest';
import { FileStore } from '../../../src/storage/fs/fs-store.ts';
import {
  ANY,
  block,
  codeOf,
  failureOf,
  KEY,
  pathsIn,
  putText,
  uploadOf,
  uploadOptions,
} from '../../contract/store/samples.ts';
import { FaultyFiles } from '../../support/faulty-files.ts';
import { useFileStore } from './file-store.ts';

const subject = useFileStore();

const OWN_NAMES = [
  '.sealift',
  '.SEALIFT',
  '.Sealift',
  '.ＳＥＡＬＩＦＴ',
  '.ſealift',
  '.sea\u200blift',
  '\ufeff.sealift',
  '.sealift.',
  '.sealift. .',
  '.Sealift ',
  '.sealift\u2024',
  '.sealift::$INDEX_ALLOCATION',
  'SEALIF~1',
  'sealif~12.',
  'SE4F2A~1',
];
const NO_OWN_NAMES = ['.sealift2', '.sealift.old', 'sealift', 'SEALIF~', 'SEALIF~A', 'SEALIFT~1', 'SE4F2~1'];

test('nobody but the service may look into the state directory', () => {
  expect(statSync(subject.root.at('.sealift')).mode & 0o777).toBe(0o700);
  expect(readdirSync(subject.root.at('.sealift')).sort()).toEqual(['published', 'removed', 'uploads']);
});

describe.each(OWN_NAMES)('%j', (name) => {
  test('cannot be reached, whatever is in it', async () => {
    const { store, root } = subject;
    await (await uploadOf(store, uploadOptions('file'), { 0: block(0) })).close();
    for (const path of [name, `${name}/uploads`, `${name}/uploads/${KEY}`]) {
      expect(await codeOf(store.stat(path))).toBe('bad-name');
      expect(await codeOf(store.open(path))).toBe('bad-name');
      expect(await codeOf(pathsIn(store, path))).toBe('bad-name');
      expect(await codeOf(store.remove(path, { recursive: true }))).toBe('bad-name');
      expect(await codeOf(store.move(path, 'mine', ANY))).toBe('bad-name');
      expect(await codeOf(putText(store, path, ''))).toBe('bad-name');
      expect(await codeOf(store.set(path, { mode: 0o777 }))).toBe('bad-name');
    }
    expect(readdirSync(root.at('.sealift', 'uploads'))).toEqual([KEY]);
  });

  test('is not shown', async () => {
    if (!existsSync(subject.root.at(name))) mkdirSync(subject.root.at(name));
    writeFileSync(subject.root.at(name, 'file'), '');
    expect(await pathsIn(subject.store, '', true)).toEqual([]);
  });
});

test.each(NO_OWN_NAMES)('%j is a name like any other', async (name) => {
  await putText(subject.store, name, '');
  expect(await pathsIn(subject.store, '')).toEqual([name]);
});

describe('a directory that was served by itself before', () => {
  test('keeps its own to itself', async () => {
    const { store, root } = subject;
    const key = 'a/data/.sealift/identity/key.pem';
    mkdirSync(root.at('a/data/.sealift/identity'), { recursive: true });
    writeFileSync(root.at(key), 'secret');
    writeFileSync(root.at('a/data/file'), '');
    expect(await pathsIn(store, '', true)).toEqual(['a', 'a/data', 'a/data/file']);
    expect(await pathsIn(store, 'a/data')).toEqual(['a/data/file']);
    expect(await codeOf(store.open(key))).toBe('bad-name');
    expect(await codeOf(store.move('a/data/.sealift', 'seen', ANY))).toBe('bad-name');
  });

  test('moves with it, and is removed with it if it is asked to be', async () => {
    const { store, root } = subject;
    mkdirSync(root.at('a/.sealift/uploads'), { recursive: true });
    await store.move('a', 'b', ANY);
    expect(existsSync(root.at('b/.sealift/uploads'))).toBe(true);
    expect(await codeOf(store.remove('b', { recursive: false }))).toBe('not-empty');
    await store.remove('b', { recursive: true });
    expect(existsSync(root.at('b'))).toBe(false);
  });
});

test('a root that is a link is followed once, when it is opened', async () => {
  const { root } = subject;
  for (const name of ['one', 'two']) mkdirSync(root.at(name));
  symlinkSync('one', root.at('link'));
  const store = await FileStore.open({ root: root.at('link') });
  await putText(store, 'before', '');
  rmSync(root.at('link'));
  symlinkSync('two', root.at('link'));
  await putText(store, 'after', '');
  await store[Symbol.asyncDispose]();
  expect(readdirSync(root.at('one')).sort()).toEqual(['.sealift', 'after', 'before']);
  expect(readdirSync(root.at('two'))).toEqual([]);
});

test('what an earlier process had begun to remove is gone once the store is open', async () => {
  const leftover = subject.root.at('.sealift', 'removed', 'half');
  mkdirSync(`${leftover}/deep/er`, { recursive: true });
  writeFileSync(`${leftover}/deep/file`, '');
  symlinkSync('/etc', `${leftover}/link`);
  chmodSync(`${leftover}/deep`, 0o500);
  await subject.reopen();
  expect(readdirSync(subject.root.at('.sealift', 'removed'))).toEqual([]);
  expect(existsSync('/etc')).toBe(true);
});

test('what cannot be deleted keeps nobody from being served', async () => {
  const { root, store } = subject;
  await putText(store, 'file', '');
  mkdirSync(root.at('.sealift', 'removed', 'stuck'));
  const files = new FaultyFiles();
  files.failNamed('removeTree', 'EIO');
  const opened = await FileStore.open({ root: root.path, files });
  expect(await pathsIn(opened, '')).toEqual(['file']);
  await opened[Symbol.asyncDispose]();
  expect(files.openCount).toBe(0);
});

describe('a root that cannot be served', () => {
  test.each(['missing', 'file', 'file/below', 'link to nothing', 'link to a file'])('%s', async (name) => {
    const { root } = subject;
    writeFileSync(root.at('file'), '');
    symlinkSync('missing', root.at('link to nothing'));
    symlinkSync('file', root.at('link to a file'));
    const error = await failureOf(FileStore.open({ root: root.at(name) }));
    expect(error.code).toBe('bad-configuration');
    expect(error.message).toContain(root.at(name));
    expect(error.cause).toBeInstanceOf(Error);
  });

  test('with a file in the place of the state directory, or of a part of it', async () => {
    const { root } = subject;
    mkdirSync(root.at('one'));
    writeFileSync(root.at('one', '.sealift'), '');
    expect(await codeOf(FileStore.open({ root: root.at('one') }))).toBe('bad-configuration');
    mkdirSync(root.at('two', '.sealift'), { recursive: true });
    writeFileSync(root.at('two', '.sealift', 'uploads'), '');
    expect(await codeOf(FileStore.open({ root: root.at('two') }))).toBe('bad-configuration');
  });

  test('for whatever reason: nothing stays open, and it can be opened later', async () => {
    const files = new FaultyFiles();
    const open = () => FileStore.open({ root: subject.root.path, files });
    await (await open())[Symbol.asyncDispose]();
    const count = files.calls.length;
    for (let number = 1; number <= count; number += 1) {
      files.failCall(number, 'EACCES');
      try {
        await (await open())[Symbol.asyncDispose]();
        const { name, path } = files.calls[number - 1] ?? { name: '', path: '' };
        // What was only read is closed; and what cannot be found out about names is assumed.
        expect([name, path]).toContainEqual(expect.stringMatching(/^file.close$|\/probe-/));
      } catch (error) {
        expect(error).toMatchObject({ code: 'bad-configuration' });
      }
      expect(files.openCount).toBe(0);
    }
    files.heal();
    await (await open())[Symbol.asyncDispose]();
    expect(readdirSync(subject.root.at('.sealift', 'removed'))).toEqual([]);
  });
});
