import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { describe, expect, test } from 'vitest';
import { beginThread } from '../../../src/storage/fs/small-files.ts';
import { FileStore } from '../../../src/storage/fs/fs-store.ts';
import { MAX_PATH_BYTES } from '../../../src/transfer/remote-path.ts';
import { ANY, codeOf, pathsIn, putText, textOf, versionTexts } from '../../contract/store/samples.ts';
import { FaultyFiles } from '../../support/faulty-files.ts';
import { temporaryRoot } from '../temporary-root.ts';
import { useFileStore } from './file-store.ts';

let files: FaultyFiles;
const subject = useFileStore(() => (files = new FaultyFiles()), { keepVersionsMs: 86_400_000 });

/** Where the versions of a path lie, looked at without the store. */
const placeOf = (...names: string[]) => subject.root.at('.sealift', 'versions', ...names);
const idsIn = (...names: string[]) => readdirSync(placeOf(...names)).sort();

describe('a version on the disk', () => {
  test('is the file itself: no byte is copied', async () => {
    const { store, root } = subject;
    await putText(store, 'a/file', 'one');
    const { ino } = statSync(root.at('a/file'));
    await putText(store, 'a/file', 'two');
    const [id = ''] = idsIn('a', '.sealift', 'file');
    expect(id).toMatch(/^\d{8}T\d{9}Z-[0-9a-f]{8}$/);
    expect(statSync(placeOf('a', '.sealift', 'file', id))).toMatchObject({ ino, nlink: 1 });
    expect(statSync(placeOf()).mode & 0o777).toBe(0o700);
  });

  test('of a directory that is removed is the directory, with all in it', async () => {
    const { store } = subject;
    await putText(store, 'a/b/file', 'text');
    await store.symlink('a/link', 'target', ANY);
    await store.remove('a', { recursive: true });
    const [id = ''] = idsIn('.sealift', 'a');
    expect(readdirSync(placeOf('.sealift', 'a', id)).sort()).toEqual(['b', 'link']);
    expect(readdirSync(subject.root.path)).toEqual(['.sealift']);
    expect(await versionTexts(store, '', true)).toEqual(['a/b/file: text']);
  });

  test('is as safe as what replaces it: linked, and synced with its way, before it loses its name', async () => {
    const { store, root } = subject;
    await putText(store, 'a/file', 'one');
    files.heal();
    await putText(store, 'a/file', 'two');
    const calls = files.calls
      .filter(({ name }) => ['mkdir', 'file.sync', 'link', 'rename'].includes(name))
      .map(({ name, path }) => `${name} ${path.replace(root.path, '').replace(/inline-.*/, 'inline')}`);
    expect(calls).toEqual([
      'file.sync /.sealift/uploads/inline',
      'mkdir /.sealift/versions/a',
      'file.sync /.sealift/versions',
      'mkdir /.sealift/versions/a/.sealift',
      'file.sync /.sealift/versions/a',
      'mkdir /.sealift/versions/a/.sealift/file',
      'file.sync /.sealift/versions/a/.sealift',
      'link /a/file',
      'file.sync /.sealift/versions/a/.sealift/file',
      'rename /.sealift/uploads/inline',
    ]);
    files.heal();
    await putText(store, 'a/file', 'three');
    expect(files.calls.filter(({ name }) => name === 'file.sync')).toHaveLength(2);
  });

  test('of what is removed is not synced, as no removal is; a way that it made is, when it has to be', async () => {
    const { store } = subject;
    for (const path of ['a/file', 'a/other']) await putText(store, path, 'one');
    files.heal();
    await store.remove('a/file', { recursive: false });
    expect(files.calls.filter(({ name }) => name === 'file.sync')).toEqual([]);
    await putText(store, 'a/other', 'two');
    const synced = files.calls.filter(({ name }) => name === 'file.sync').map(({ path }) => path);
    expect(synced.slice(1)).toEqual([
      placeOf(),
      placeOf('a'),
      placeOf('a/.sealift'),
      placeOf('a/.sealift/other'),
    ]);
  });

  test('of a path as long as paths may be', async () => {
    const { store } = subject;
    const path = `${'d'.repeat(255)}/`.repeat(15) + 'f'.repeat(255);
    expect(path).toHaveLength(MAX_PATH_BYTES - 1);
    await putText(store, path, 'one');
    await putText(store, path, 'two');
    expect(await versionTexts(store, path)).toEqual([`${path}: one`]);
    await store.remove('d'.repeat(255), { recursive: true });
    expect(await versionTexts(store, '', true)).toEqual([`${path}: one`, `${path}: two`]);
  });
});

describe('where a file system has no links', () => {
  test.each(['EPERM', 'ENOTSUP', 'ENOSYS', 'EMLINK'] as const)('%s: it is renamed', async (errno) => {
    const { store } = subject;
    await putText(store, 'file', 'one');
    files.failNamed('link', errno);
    await putText(store, 'file', 'two');
    expect(await versionTexts(store, 'file')).toEqual(['file: one']);
    expect(await textOf(store, 'file')).toBe('two');
  });

  test('and it comes back where nothing took its place', async () => {
    const { store } = subject;
    await putText(store, 'file', 'one');
    files.heal(({ name, detail }) => {
      if (name === 'link') return 'EPERM';
      return name === 'rename' && detail?.endsWith('/file') === true && once() ? 'ENOSPC' : undefined;
    });
    let count = 0;
    const once = () => (count += 1) === 1;
    expect(await codeOf(putText(store, 'file', 'two'))).toBe('no-space');
    files.heal();
    expect(await textOf(store, 'file')).toBe('one');
    expect(await versionTexts(store, 'file')).toEqual([]);
  });
});

test('what nothing took the place of is no version', async () => {
  const { store } = subject;
  await putText(store, 'file', 'one');
  for (const name of ['rename', 'file.sync'] as const) {
    files.heal((call) =>
      call.name === name && (name === 'rename' || call.path.endsWith('.sealift/file')) ? 'ENOSPC' : undefined,
    );
    expect(await codeOf(putText(store, 'file', 'two'))).toBe('no-space');
    files.heal();
    expect(await versionTexts(store, 'file')).toEqual([]);
    expect(await textOf(store, 'file')).toBe('one');
  }
});

describe('a place that an expiry takes away as empty in the same moment', () => {
  test('is made again', async () => {
    const { store } = subject;
    await putText(store, 'file', 'one');
    for (const name of ['mkdir', 'link'] as const) {
      files.failNamed(name, 'ENOENT');
      await putText(store, 'file', name);
    }
    expect(await versionTexts(store, 'file')).toEqual(['file: one', 'file: mkdir']);
  });

  test('is not waited for for ever, and the file stands', async () => {
    const { store } = subject;
    await putText(store, 'file', 'one');
    files.heal(({ name }) => (name === 'link' ? 'ENOENT' : undefined));
    expect(await codeOf(putText(store, 'file', 'two'))).toBe('internal');
    files.heal();
    expect(await textOf(store, 'file')).toBe('one');
  });
});

describe('what another program does meanwhile', () => {
  test('a file that is gone when it is to be kept: it is replaced all the same', async () => {
    const { store, root } = subject;
    await putText(store, 'file', 'one');
    files.heal(({ name }) => {
      if (name === 'link') unlinkSync(root.at('file'));
      return undefined;
    });
    await putText(store, 'file', 'two');
    expect(await textOf(store, 'file')).toBe('two');
    expect(await versionTexts(store, 'file')).toEqual([]);
  });

  test('a file that is gone when it is to be removed is not found', async () => {
    const { store, root } = subject;
    await putText(store, 'file', 'one');
    files.heal(({ name }) => {
      if (name === 'rename') unlinkSync(root.at('file'));
      return undefined;
    });
    expect(await codeOf(store.remove('file', { recursive: false }))).toBe('not-found');
  });
});

describe('what was planted among the versions', () => {
  test('a link is never followed, neither to list nor to open nor to keep', async () => {
    const { store } = subject;
    const outside = temporaryRoot();
    const id = '20200101T000000000Z-00000000';
    try {
      writeFileSync(outside.at('secret'), 'secret');
      mkdirSync(outside.at('.sealift/name'), { recursive: true });
      writeFileSync(outside.at('.sealift/name', id), 'secret');
      symlinkSync(outside.path, placeOf('a'));
      mkdirSync(placeOf('b/.sealift/file'), { recursive: true });
      symlinkSync(outside.at('secret'), placeOf('b/.sealift/file', id));
      symlinkSync(outside.path, placeOf('b/.sealift/tree'));
      expect(await versionTexts(store, '', true)).toEqual([]);
      expect(await codeOf(store.open('a/name', { version: id }))).toBe('not-found');
      expect(await codeOf(store.open('b/file', { version: id }))).toBe('bad-request');
      await putText(store, 'a/name', 'one');
      expect(await codeOf(putText(store, 'a/name', 'two'))).toBe('not-directory');
      expect(readdirSync(outside.at('.sealift/name'))).toEqual([id]);
    } finally {
      outside.remove();
    }
  });

  test('what bears no id is not shown', async () => {
    const { store } = subject;
    await putText(store, 'file', 'one');
    await putText(store, 'file', 'two');
    writeFileSync(placeOf('.sealift/file/something'), 'else');
    expect(await versionTexts(store, '', true)).toEqual(['file: one']);
    expect(await codeOf(store.open('file', { version: 'something' }))).toBe('not-found');
  });
});

test('what a removed directory kept for itself stays hidden with it', async () => {
  const { store, root } = subject;
  await putText(store, 'a/file', 'text');
  mkdirSync(root.at('a/.sealift/identity'), { recursive: true });
  writeFileSync(root.at('a/.sealift/identity/key.pem'), 'secret');
  await store.remove('a', { recursive: true });
  expect(await versionTexts(store, '', true)).toEqual(['a/file: text']);
  const [id = ''] = idsIn('.sealift', 'a');
  expect(await codeOf(store.open('a/.sealift/identity/key.pem', { version: id }))).toBe('bad-name');
});

test('a store that keeps none leaves those of an earlier one where they lie', async () => {
  const { store, root } = subject;
  await putText(store, 'file', 'one');
  await putText(store, 'file', 'two');
  await store[Symbol.asyncDispose]();
  const without = await FileStore.open({ root: root.path });
  await putText(without, 'file', 'three');
  await without.expireVersions();
  expect(await codeOf(pathsIn(without, '.sealift'))).toBe('bad-name');
  expect(await codeOf(Array.fromAsync(without.list('', { recursive: true, versions: true })))).toBe(
    'unsupported',
  );
  await without[Symbol.asyncDispose]();
  expect(await versionTexts(await subject.reopen(), 'file')).toEqual(['file: one']);
});

test('nothing is made for versions where none are kept', async () => {
  const root = temporaryRoot();
  const store = await FileStore.open({ root: root.path });
  await putText(store, 'file', 'one');
  await putText(store, 'file', 'two');
  await store[Symbol.asyncDispose]();
  expect(existsSync(root.at('.sealift/versions'))).toBe(false);
  root.remove();
});

test('the thread for small files keeps none from being kept', async () => {
  const root = temporaryRoot();
  const store = await FileStore.open({ root: root.path, beginThread, keepVersionsMs: 86_400_000 });
  try {
    await store.startThread();
    const names = Array.from({ length: 50 }, (_, index) => `file ${index}`);
    for (const text of ['one', 'two', 'three'])
      await Promise.all(names.map((name) => putText(store, name, text)));
    const kept = names.flatMap((name) => [`${name}: one`, `${name}: two`]).sort();
    expect((await versionTexts(store, '')).sort()).toEqual(kept);
    expect(readFileSync(root.at('file 0'), 'utf8')).toBe('three');
    await store.remove('file 0', { recursive: false });
    expect(await versionTexts(store, '')).toContain('file 0: three');
  } finally {
    await store[Symbol.asyncDispose]();
    root.remove();
  }
});
