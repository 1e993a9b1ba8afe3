import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
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
];

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

test('below the root the name is a name like any other', async () => {
  await putText(subject.store, 'a/.sealift/file', '');
  expect(await pathsIn(subject.store, '', true)).toEqual(['a', 'a/.sealift', 'a/.sealift/file']);
  expect(await codeOf(subject.store.move('a/.sealift', '.sealift', ANY))).toBe('bad-name');
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
  test.each(['missing', 'file', 'file/below', 'link'])('%s', async (name) => {
    const { root } = subject;
    writeFileSync(root.at('file'), '');
    symlinkSync('/', root.at('link'));
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
        expect(files.calls[number - 1]?.name).toBe('file.close');
      } catch (error) {
        expect(error).toMatchObject({ code: 'bad-configuration' });
      }
      expect(files.openCount).toBe(0);
    }
    files.heal();
    await (await open())[Symbol.asyncDispose]();
  });
});
