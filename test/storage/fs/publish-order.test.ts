import { mkdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { BLOCK_BYTES } from '../../../src/transfer/blocks.ts';
import {
  ABSENT,
  ANY,
  block,
  codeOf,
  failureOf,
  publication,
  putText,
  record,
  textOf,
  uploadOf,
  uploadOptions,
} from '../../contract/store/samples.ts';
import { FaultyFiles } from '../../support/faulty-files.ts';
import { useFileStore } from './file-store.ts';

let files: FaultyFiles;
const subject = useFileStore(() => (files = new FaultyFiles()));

/** The calls that decide what survives a loss of power, with paths below the root and without random names. */
function orderOfCalls(): string[] {
  const decisive = ['mkdir', 'file.write', 'file.sync', 'file.close', 'rename', 'link', 'unlink', 'symlink'];
  const short = (path: string) =>
    path
      .replace(subject.root.path, '')
      .replace(/(inline|link)-[0-9a-f]{32}/, '$1')
      .replace('/.sealift', '');
  return files.calls
    .filter(({ name, path }) => decisive.includes(name) && !(name === 'file.close' && isDirectory(path)))
    .map(({ name, path, detail }) =>
      ['rename', 'link'].includes(name)
        ? `${name} ${short(path)} ${short(detail ?? '')}`
        : `${name} ${short(path)}`,
    );
}

const isDirectory = (path: string) => !/\/(inline-|link-|0a1b-2c3d|upload-1|file)[^/]*$/.test(path);

test('a new file is synced and closed before it is linked, and every new directory before that', async () => {
  await putText(subject.store, 'kept/file', '', { durability: 'disk' });
  files.heal();
  await putText(subject.store, 'kept/new/deep/file', 'text', { ...ABSENT, durability: 'disk' });
  expect(orderOfCalls()).toEqual([
    'file.write /uploads/inline',
    'mkdir /kept/new',
    'file.sync /kept',
    'mkdir /kept/new/deep',
    'file.sync /kept/new',
    'file.sync /uploads/inline',
    'file.close /uploads/inline',
    'link /uploads/inline /kept/new/deep/file',
    'unlink /uploads/inline',
    'file.sync /kept/new/deep',
  ]);
});

test('a file that may replace another is renamed, and only its own directory is synced if that is old', async () => {
  await putText(subject.store, 'kept/file', 'before', { durability: 'disk' });
  files.heal();
  await putText(subject.store, 'kept/file', 'text', { durability: 'disk' });
  expect(orderOfCalls()).toEqual([
    'file.write /uploads/inline',
    'file.sync /uploads/inline',
    'file.close /uploads/inline',
    'rename /uploads/inline /kept/file',
    'file.sync /kept',
  ]);
});

test.each(['disk', 'memory'] as const)(
  'however long the way is, few of its directories are open at once (%s)',
  async (durability) => {
    let most = 0;
    files.heal(() => {
      most = Math.max(most, files.openCount);
      return undefined;
    });
    const way = Array.from({ length: 100 }, () => 'd').join('/');
    const before = files.openCount;
    for (const name of ['first', 'second'])
      await putText(subject.store, `${way}/${name}`, '', { durability });
    expect(most - before).toBeLessThanOrEqual(4);
  },
);

describe('a directory on the way to a file that has to be on disk', () => {
  const put = (path: string) => putText(subject.store, path, '', { ...ABSENT, durability: 'disk' });
  const directorySyncs = async (path: string) => {
    files.heal();
    await put(path);
    return orderOfCalls().filter((call) => call.startsWith('file.sync') && !call.includes('inline'));
  };

  test.each<[string, () => Promise<unknown>]>([
    ['mkdir', () => subject.store.mkdir('a/b', {})],
    ['a file in memory', () => putText(subject.store, 'a/b/other', '')],
    ['a link', () => subject.store.symlink('a/b/link', 'target', ANY)],
    ['an earlier process', async () => mkdirSync(subject.root.at('a/b'), { recursive: true })],
  ])('is synced once where %s made it', async (_, make) => {
    await make();
    expect(await directorySyncs('a/b/file 1')).toEqual(['file.sync ', 'file.sync /a', 'file.sync /a/b']);
    expect(await directorySyncs('a/b/file 2')).toEqual(['file.sync /a/b']);
  });

  test('is synced again once another was made beside it, also where that was all that went well', async () => {
    await put('a/b/file');
    await subject.store.mkdir('a/c', {});
    expect(await directorySyncs('a/b/file 1')).toEqual(['file.sync /a', 'file.sync /a/b']);
    files.failNamed('open', 'EMFILE', { path: '/a/d', occurrence: 2 });
    expect(await codeOf(put('a/d/file'))).toBe('busy');
    expect(await directorySyncs('a/d/file')).toEqual(['file.sync /a', 'file.sync /a/d']);
  });

  test('is synced again where that failed, or where a directory has moved', async () => {
    await subject.store.mkdir('a/b/c', {});
    files.failNamed('file.sync', 'EIO', { path: '/a' });
    expect(await codeOf(put('a/b/file'))).toBe('internal');
    expect(await codeOf(subject.store.stat('a/b/file'))).toBe('not-found');
    expect(await directorySyncs('a/b/file')).toEqual(['file.sync /a', 'file.sync /a/b']);
    await subject.store.mkdir('z/b/new', {});
    await subject.store.remove('a', { recursive: true });
    await subject.store.move('z', 'a', ABSENT);
    expect(await directorySyncs('a/b/new/file')).toEqual([
      'file.sync ',
      'file.sync /a',
      'file.sync /a/b',
      'file.sync /a/b/new',
    ]);
  });
});

test('with durability memory nothing is synced, but for what takes the place of a file', async () => {
  await putText(subject.store, 'new/file', 'text');
  expect(files.calls.filter(({ name, path }) => name === 'file.sync' && path.includes('inline'))).toEqual([]);
  expect(orderOfCalls().filter((call) => call.startsWith('file.sync /new'))).toEqual([]);
  files.heal();
  await putText(subject.store, 'new/file', 'another');
  expect(orderOfCalls()).toEqual([
    'file.write /uploads/inline',
    'file.sync /uploads/inline',
    'file.close /uploads/inline',
    'rename /uploads/inline /new/file',
  ]);
});

test('what was published in memory is on disk after sync: data, then each directory once', async () => {
  const { store } = subject;
  await putText(store, 'a/b/file', '');
  await putText(store, 'a/file', '');
  files.heal();
  await store.sync(['a/b/file', 'a/file']);
  const synced = orderOfCalls().filter((call) => call.startsWith('file.sync'));
  expect(synced.slice(0, 2).sort()).toEqual(['file.sync /a/b/file', 'file.sync /a/file']);
  expect(synced.slice(2).sort()).toEqual(['file.sync ', 'file.sync /a', 'file.sync /a/b']);
});

test('an upload is published in the same order, and its record written before it has its name', async () => {
  const upload = await uploadOf(subject.store, uploadOptions('file', { size: BLOCK_BYTES }), { 0: block(0) });
  files.heal();
  await upload.publish(publication('file', { durability: 'disk' }), BLOCK_BYTES, record('file', BLOCK_BYTES));
  expect(orderOfCalls()).toEqual([
    'file.sync /uploads/0a1b-2c3d',
    'unlink /published/upload-1',
    'file.write /published/upload-1',
    'file.close /published/upload-1',
    'file.close /uploads/0a1b-2c3d',
    'rename /uploads/0a1b-2c3d /file',
    'file.sync ',
    'file.write /published/upload-1',
    'file.close /published/upload-1',
  ]);
});

test('permissions and times are set before the sync that has to keep them', async () => {
  await putText(subject.store, 'file', '', { durability: 'disk', mode: 0o600, mtimeMs: 1000 });
  const calls = files.calls.map(({ name, detail }) => `${name} ${detail}`);
  const sync = files.calls.findIndex(({ name, path }) => name === 'file.sync' && path.includes('inline'));
  expect(calls.slice(0, sync)).toContain('file.chmod 600');
  expect(calls.slice(0, sync)).toContain('file.setTimes 1000');
});

test('a sync that failed is not repeated', async () => {
  files.heal(({ name }) => (name === 'file.sync' ? 'EIO' : undefined));
  expect(await codeOf(putText(subject.store, 'file', '', { durability: 'disk' }))).toBe('internal');
  expect(orderOfCalls().filter((call) => call.startsWith('file.sync'))).toHaveLength(1);
  expect(await codeOf(subject.store.stat('file'))).toBe('not-found');
});

test('what moves onto a file is synced first, with the way there, and both directories afterwards', async () => {
  const { store } = subject;
  await putText(store, 'a/file', 'new');
  await putText(store, 'b/file', 'old');
  files.heal();
  await store.move('a/file', 'b/file', ANY);
  expect(orderOfCalls()).toEqual([
    'file.sync ',
    'file.sync /a/file',
    'file.close /a/file',
    'rename /a/file /b/file',
    'file.sync /b',
    'file.sync /a',
  ]);
});

test('what could not be synced takes no place of a file when it is moved again, also by another name', async () => {
  const { store } = subject;
  await putText(store, 'source', 'new');
  await putText(store, 'file', 'old');
  files.failNamed('file.sync', 'EIO', { path: '/source' });
  expect(await failureOf(store.move('source', 'file', ANY))).toMatchObject({
    code: 'internal',
    retryable: true,
  });
  files.heal();
  const refused = { code: 'internal', retryable: false };
  expect(await failureOf(store.move('source', 'file', ANY))).toMatchObject(refused);
  await store.move('source', 'moved', ABSENT);
  await store.set('moved', { mtimeMs: 1000 });
  expect(await failureOf(store.move('moved', 'file', ANY))).toMatchObject(refused);
  expect(await textOf(store, 'file')).toBe('old');
  await putText(store, 'moved', 'newer');
  await store.move('moved', 'file', ANY);
  expect(await textOf(store, 'file')).toBe('newer');
});

test('a link takes the place of what stands there in one step', async () => {
  const { store } = subject;
  await putText(store, 'file', 'old');
  files.heal();
  await store.symlink('file', 'target', ANY);
  expect(orderOfCalls()).toEqual(['symlink /uploads/link', 'rename /uploads/link /file']);
});

test.each(['EPERM', 'ENOTSUP', 'ENOSYS', 'EMLINK'] as const)(
  'where a file system has no links (%s), a new file is renamed',
  async (errno) => {
    files.failNamed('link', errno);
    await putText(subject.store, 'file', 'text', ABSENT);
    expect(orderOfCalls().at(-1)).toBe('rename /uploads/inline /file');
    expect(await textOf(subject.store, 'file')).toBe('text');
  },
);

test('a name that another program makes at the last moment is not replaced', async () => {
  const { store } = subject;
  files.heal(({ name }) => (name === 'link' ? 'EEXIST' : undefined));
  expect(await codeOf(putText(store, 'file', 'text', ABSENT))).toBe('exists');
  files.heal();
  expect(await codeOf(store.stat('file'))).toBe('not-found');
  expect(await Array.fromAsync(store.uploads())).toEqual([]);
});
