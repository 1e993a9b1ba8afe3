import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { release } from 'node:os';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { FileStore } from '../../../src/storage/fs/fs-store.ts';
import { MIN_PATHS, reportsLostWrites } from '../../../src/storage/fs/sync-file-system.ts';
import { putText } from '../../contract/store/samples.ts';
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

/** Puts a program in the place of `sync`, which notes each call and then does what `lines` say. */
function replaceSync(lines: string): void {
  mkdirSync(outside.at('bin'));
  const script = `#!/bin/sh\necho "$@" >> '${outside.at('calls')}'\n${lines}\n`;
  writeFileSync(outside.at('bin', 'sync'), script, { mode: 0o755 });
  vi.stubEnv('PATH', `${outside.at('bin')}:${process.env['PATH']}`);
  onTestFinished(() => void vi.unstubAllEnvs());
}

/** The calls of the program in the place of `sync`. */
function calls(): string[] {
  return existsSync(outside.at('calls')) ? readFileSync(outside.at('calls'), 'utf8').trim().split('\n') : [];
}

/** As many new files as are synced together. */
async function putMany(directory: string): Promise<string[]> {
  const paths = Array.from({ length: MIN_PATHS }, (_, index) => `${directory}/${index}`);
  for (const path of paths) await putText(store, path, '');
  return paths;
}

const systemPaths = (paths: string[]) => paths.map((path) => `/${path}`);

test('many files are synced by one call for their file system', async () => {
  replaceSync('exit 0');
  const paths = await putMany('a');
  await store.sync(paths);
  await store.sync(paths.slice(1));
  expect(calls()).toHaveLength(timesUsed(1));
  expect(synced.filter((path) => path === '/a/0')).toHaveLength(1 - timesUsed(1));
  expect(synced).toEqual(expect.arrayContaining(systemPaths(paths.slice(1))));
});

test('once that call has failed each file is synced, also for whoever was not told of it', async () => {
  // The system says once that something was lost, and does not know whose it was.
  replaceSync(`[ -e '${outside.at('failed')}' ] || { : > '${outside.at('failed')}'; exit 1; }`);
  const [first, atOnce, later] = [await putMany('a'), await putMany('b'), await putMany('c')];
  await Promise.all([store.sync(first), store.sync(atOnce)]);
  const other = await FileStore.open({ root: root.path });
  await other.sync(later);
  await other[Symbol.asyncDispose]();
  expect(calls()).toHaveLength(timesUsed(1));
  expect(synced).toEqual(expect.arrayContaining(systemPaths([...first, ...atOnce, ...later])));
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
