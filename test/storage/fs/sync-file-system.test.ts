import { realpathSync, renameSync, symlinkSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { release } from 'node:os';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { FileStore } from '../../../src/storage/fs/fs-store.ts';
import { MIN_PATHS, reportsLostWrites } from '../../../src/storage/fs/sync-file-system.ts';
import { codeOf, putText } from '../../contract/store/samples.ts';
import { replaceSync } from '../../support/replaced-sync.ts';
import { temporaryRoot, type TemporaryRoot } from '../temporary-root.ts';
import { watchSyncs } from './watched-syncs.ts';

const XFS = 0x58465342;
const FUSE = 0x65735546;
const OVERLAYFS = 0x794c7630;

let outside: TemporaryRoot;
let root: TemporaryRoot;
let store: FileStore;
let synced: string[];
/** How often syncfs can be asked for here, of `count` times. */
let timesUsed: (count: number) => number;

beforeEach(async () => {
  outside = temporaryRoot();
  onTestFinished(() => outside.remove());
  root = temporaryRoot();
  onTestFinished(() => root.remove());
  store = await FileStore.open({ root: root.path });
  onTestFinished(() => store[Symbol.asyncDispose]());
  const isUsed = reportsLostWrites(release(), (await statfs(root.path)).type);
  timesUsed = (count) => (isUsed ? count : 0);
  synced = await watchSyncs(root.path);
});

/** As many new files as are synced together. */
async function putMany(directory: string): Promise<string[]> {
  const paths = Array.from({ length: MIN_PATHS }, (_, index) => `${directory}/${index}`);
  for (const path of paths) await putText(store, path, '');
  return paths;
}

const systemPaths = (paths: string[]) => paths.map((path) => `/${path}`);

test('many files are synced by one call for their file system', async () => {
  const calls = replaceSync('exit 0');
  const paths = await putMany('a');
  await store.sync(paths);
  await store.sync(paths.slice(1));
  expect(calls()).toHaveLength(timesUsed(1));
  expect(synced.filter((path) => path === '/a/0')).toHaveLength(1 - timesUsed(1));
  expect(synced).toEqual(expect.arrayContaining(systemPaths(paths.slice(1))));
});

test('what was moved behind the back of the store is synced with its file system, and nothing else is', async () => {
  const calls = replaceSync('exit 0');
  for (const path of ['here', 'a/moved', 'b/below', 'b/c']) await putText(store, path, '');
  await store.sync(['here', 'a/moved']);
  expect(calls()).toEqual([]);
  renameSync(root.at('a/moved'), root.at('elsewhere'));
  await store.sync(['here', 'a/moved']);
  expect(calls()).toEqual([realpathSync(root.path)]);
  renameSync(root.at('b'), root.at('directory elsewhere'));
  await store.sync(['b/below', 'b/c']);
  expect(calls()).toHaveLength(2);
});

test('that of the root which was opened is synced, whatever stands at its name by then', async () => {
  const calls = replaceSync('exit 0');
  await putText(store, 'root/directory/file', '');
  store = await FileStore.open({ root: root.path, below: ['root'] });
  onTestFinished(() => store[Symbol.asyncDispose]());
  const paths = await putMany('a');
  renameSync(root.at('root'), root.at('moved'));
  symlinkSync(outside.path, root.at('root'));
  await store.sync(paths);
  await store.sync(['gone']);
  const moved = realpathSync(root.at('moved'));
  expect(calls()).toEqual(Array.from({ length: timesUsed(1) + 1 }, () => moved));
});

test('where there is no program for that, each file is synced, and what is gone is passed over', async () => {
  const paths = await putMany('a');
  vi.stubEnv('PATH', outside.path);
  await store.sync([...paths, 'gone']);
  vi.unstubAllEnvs();
  expect(synced).toEqual(expect.arrayContaining(systemPaths(paths)));
  // No write was lost for that.
  const calls = replaceSync('exit 0');
  await store.sync(['gone']);
  expect(calls()).toHaveLength(1);
});

test('once that call has failed each file is synced, also for whoever was not told of it', async () => {
  // The system says once that something was lost, and does not know whose it was.
  const calls = replaceSync(`[ -e '${outside.at('failed')}' ] || { : > '${outside.at('failed')}'; exit 1; }`);
  const [first, atOnce, later] = [await putMany('a'), await putMany('b'), await putMany('c')];
  await Promise.all([store.sync(first), store.sync(atOnce)]);
  const other = await FileStore.open({ root: root.path });
  await other.sync(later);
  await other[Symbol.asyncDispose]();
  expect(calls()).toHaveLength(timesUsed(1));
  expect(synced).toEqual(expect.arrayContaining(systemPaths([...first, ...atOnce, ...later])));
});

test('so it is for whoever looks for what is gone, and then fails', async () => {
  replaceSync('exit 1');
  await putText(store, 'here', '');
  await store.sync(['here']);
  expect(await codeOf(store.sync(['here', 'gone']))).toBe('internal');
  expect(await codeOf(store.sync(['no directory/gone']))).toBe('internal');
});

test.each([
  ['6.18.44', XFS, true],
  ['5.8.0-rc1', XFS, true],
  ['5.10-custom', XFS, true],
  ['5.7.19', XFS, false],
  ['4.19.0-26-amd64', XFS, false],
  ['', XFS, false],
  ['6.18.44', FUSE, false],
  ['6.18.44', OVERLAYFS, false],
])('on Linux %j and a file system of type %i, losses are reported: %j', (kernel, type, expected) => {
  expect(reportsLostWrites(kernel, type)).toBe(expected);
});
