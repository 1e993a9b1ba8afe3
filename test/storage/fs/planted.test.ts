import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FileStore } from '../../../src/storage/fs/fs-store.ts';
import { beginThread } from '../../../src/storage/fs/small-files.ts';
import type { Store } from '../../../src/storage/store.ts';
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
  uploadOf,
  uploadOptions,
} from '../../contract/store/samples.ts';
import { temporaryRoot, type TemporaryRoot } from '../temporary-root.ts';
import { useFileStore } from './file-store.ts';

const subject = useFileStore();

/** Everything that reaches for what a path leads to. */
const OPERATIONS: Record<string, (store: Store, path: string) => Promise<unknown>> = {
  stat: (store, path) => store.stat(path),
  list: (store, path) => pathsIn(store, path, true),
  open: (store, path) => store.open(path),
  put: (store, path) => putText(store, path, 'planted'),
  'put of what may not stand': (store, path) => putText(store, path, 'planted', ABSENT),
  openUpload: (store, path) => store.openUpload(KEY, uploadOptions(path, { base: 'existing' })),
  remove: (store, path) => store.remove(path, { recursive: true }),
  'move from': (store, path) => store.move(path, 'target', ANY),
  'move to': (store, path) => store.move('source', path, ANY),
  mkdir: (store, path) => store.mkdir(path, { mode: 0o700 }),
  set: (store, path) => store.set(path, { mtimeMs: 0, mode: 0 }),
  symlink: (store, path) => store.symlink(path, 'planted', ANY),
};

describe('links that somebody planted, to a directory outside', () => {
  let outside: TemporaryRoot;

  beforeEach(async () => {
    outside = temporaryRoot();
    mkdirSync(outside.at('directory'));
    writeFileSync(outside.at('secret'), 'secret', { mode: 0o640 });
    writeFileSync(outside.at('directory', 'file'), 'secret', { mode: 0o640 });
    for (const name of ['secret', 'directory']) utimesSync(outside.at(name), 1000, 1000);
    await putText(subject.store, 'source', 'source');
    mkdirSync(subject.root.at('real'));
    symlinkSync(outside.at('secret'), subject.root.at('to-file'));
    symlinkSync(outside.path, subject.root.at('to-directory'));
    symlinkSync(outside.path, subject.root.at('real', 'to-directory'));
    symlinkSync('..', subject.root.at('real', 'to-parent'));
  });
  afterEach(() => {
    const left = ['secret', 'directory', 'directory/file'].map((name) => statSync(outside.at(name)));
    expect(readdirSync(outside.path).sort()).toEqual(['directory', 'secret']);
    expect(readdirSync(outside.at('directory'))).toEqual(['file']);
    expect(left.map(({ mode }) => (mode & 0o777).toString(8))).toEqual(['640', '755', '640']);
    expect(left.slice(0, 2).map(({ mtimeMs }) => mtimeMs)).toEqual([1_000_000, 1_000_000]);
    expect(readFileSync(outside.at('secret'), 'utf8')).toBe('secret');
    outside.remove();
  });

  test.each(Object.entries(OPERATIONS))('%s does not go through them', async (_, operation) => {
    const ways = ['to-directory', 'real/to-directory', 'real/to-parent', 'real/to-parent/to-directory'];
    for (const way of ways)
      for (const path of ['secret', 'new', 'directory/file', 'new/below'])
        expect(await codeOf(operation(subject.store, `${way}/${path}`))).toBe('not-directory');
    expect(await codeOf(operation(subject.store, 'to-file/below'))).toBe('not-directory');
  });

  test('they are shown as links, and what they lead to is not', async () => {
    expect((await pathsIn(subject.store, '', true)).sort()).toEqual([
      'real',
      'real/to-directory',
      'real/to-parent',
      'source',
      'to-directory',
      'to-file',
    ]);
    expect(await subject.store.stat('to-file')).toMatchObject({
      type: 'symlink',
      target: outside.at('secret'),
    });
  });

  test('they are not read', async () => {
    expect(await codeOf(subject.store.open('to-file'))).toBe('bad-request');
    expect(await codeOf(pathsIn(subject.store, 'to-directory'))).toBe('not-directory');
    const upload = await subject.store.openUpload(KEY, uploadOptions('to-file', { base: 'existing' }));
    expect(upload.base).toBe('none');
    await upload.discard();
  });

  test.each(['to-file', 'to-directory'])('%s is replaced, moved, set and removed itself', async (link) => {
    const { store, root } = subject;
    await store.set(link, { mtimeMs: 5000, mode: 0o600 });
    expect(Math.floor(lstatSync(root.at(link)).mtimeMs)).toBe(5000);
    await store.move(link, 'moved', ANY);
    expect(readlinkSync(root.at('moved'))).toContain(outside.path);
    await putText(store, 'moved', 'a file now');
    expect(lstatSync(root.at('moved')).isFile()).toBe(true);
    symlinkSync(outside.path, root.at(link));
    const upload = await uploadOf(store, uploadOptions(link), { 0: Buffer.from('sent') });
    await upload.publish(publication(link), 4, record(link, 4));
    expect(lstatSync(root.at(link)).isFile()).toBe(true);
    symlinkSync(outside.path, root.at('last'));
    await store.remove('last', { recursive: true });
    expect(existsSync(root.at('last'))).toBe(false);
  });

  test('a directory is removed without what links in it lead to', async () => {
    await subject.store.remove('real', { recursive: true });
    expect(existsSync(subject.root.at('real'))).toBe(false);
  });

  test('sync passes over what they lead to', async () => {
    await subject.store.sync(['to-file', 'to-directory/secret', 'real/to-directory/directory/file']);
  });

  test('one that takes the place of a directory while that is listed is not followed', async () => {
    const { store, root } = subject;
    await putText(store, 'tree/sub/file', '');
    const paths: string[] = [];
    for await (const { path } of store.list('tree', { recursive: true })) {
      paths.push(path);
      if (path !== 'tree/sub') continue;
      renameSync(root.at('tree', 'sub'), root.at('tree', 'was'));
      symlinkSync(outside.path, root.at('tree', 'sub'));
    }
    // The directory itself may have been read before that.
    expect(paths.filter((path) => path !== 'tree/sub/file')).toEqual(['tree/sub']);
  });

  test('a root must not be opened through a state directory that is one', async () => {
    const other = temporaryRoot();
    symlinkSync(outside.path, other.at('.sealift'));
    expect(await codeOf(FileStore.open({ root: other.path }))).toBe('bad-configuration');
    other.remove();
  });

  test('one on the way down to a root is not followed, also where it comes to stand there later', async () => {
    const { root } = subject;
    mkdirSync(root.at('a/directory'), { recursive: true });
    symlinkSync(outside.path, root.at('link'));
    const below = (...names: string[]) => ({ root: root.path, below: names, beginThread });
    expect(await codeOf(FileStore.open(below('link')))).toBe('bad-configuration');
    expect(await codeOf(FileStore.open(below('link', 'directory')))).toBe('bad-configuration');
    const store = await FileStore.open(below('a', 'directory'));
    renameSync(root.at('a'), root.at('was'));
    symlinkSync(outside.path, root.at('a'));
    await store.startThread();
    await putText(store, 'file', '');
    await store[Symbol.asyncDispose]();
    expect(readdirSync(root.at('was/directory')).sort()).toEqual(['.sealift', 'file']);
    expect(readdirSync(outside.at('directory'))).toEqual(['file']);
  });
});

test('a root is not mistaken for one whose name begins like it', async () => {
  const { root } = subject;
  mkdirSync(`${root.path}-evil`);
  writeFileSync(`${root.path}-evil/secret`, 'secret');
  try {
    const name = root.path.slice(root.path.lastIndexOf('/') + 1);
    expect(await codeOf(textOf(subject.store, `../${name}-evil/secret`))).toBe('bad-name');
    expect(await codeOf(textOf(subject.store, `${root.path}-evil/secret`))).toBe('bad-name');
  } finally {
    execFileSync('rm', ['-r', `${root.path}-evil`]);
  }
});
