import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, readlinkSync } from 'node:fs';
import {
  open,
  readdir,
  rm,
  stat,
  statfs,
  symlink,
  truncate,
  writeFile,
  type FileHandle,
} from 'node:fs/promises';
import { release } from 'node:os';
import { basename, join, relative } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';

import { nextTurn } from '../../../src/clock.ts';
import { takeName } from '../../../src/client/local-publish.ts';
import { PartialFile } from '../../../src/client/partial-file.ts';
import { isChange } from '../../../src/client/tree/action.ts';
import { LocalTarget } from '../../../src/client/tree/local-target.ts';
import { planSync } from '../../../src/client/tree/plan-tree.ts';
import { isTemporary } from '../../../src/client/tree/tree-entry.ts';
import { MIN_PATHS, reportsLostWrites } from '../../../src/storage/fs/sync-file-system.ts';
import { failureOf } from '../../support/failure.ts';
import { directory } from '../../support/memory-direction.ts';
import { contentsAt, LONG_AGO, plantTree } from '../../support/planted-tree.ts';
import { temporaryDirectory } from '../../support/test-server.ts';
import { MIB, noise } from '../setting.ts';
import { bothTrees, copy, kinds, PLAN, startTrees, SYNC } from './tree-setting.ts';

const TREE = {
  '/': {},
  'd/': {},
  'd/e/': {},
  'd/e/a': 'a',
  'd/b': 'b',
  c: 'c',
  large: noise(2 * MIB),
  l: { link: 'c' },
};
const SMALL = ['c', 'd/b', 'd/e/a'];

/** Has `before` called with the path of each file and directory that is about to be synced by this process. */
async function beforeSync(before: (path: string) => Promise<void> | void): Promise<void> {
  const handle = await open(import.meta.filename);
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  const sync = prototype.sync;
  const spy = vi.spyOn(prototype, 'sync').mockImplementation(async function (this: FileHandle) {
    await before(readlinkSync(`/proc/self/fd/${this.fd}`));
    await sync.call(this);
  });
  onTestFinished(() => spy.mockRestore());
}

/** In whole milliseconds. */
async function timeOf(path: string): Promise<number> {
  return Math.floor((await stat(path)).mtimeMs);
}

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: the disk is gone`), { code });
}

describe('a tree that was fetched', () => {
  test('is on the disk, with the names of all that is in it, before it is told of as done', async () => {
    const trees = await startTrees('get', TREE, {});
    const order: string[] = [];
    await beforeSync((path) => void order.push(`sync ${relative(trees.target, path)}`));
    const { told, isComplete } = await copy(trees.direction(), {
      observer: { onDone: ({ entry }) => void order.push(`done ${entry.path}`) },
    });
    expect([told.failed, isComplete]).toEqual([{}, true]);
    for (const path of SMALL) {
      const directory = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
      expect(order.indexOf(`sync ${path}`)).toBeGreaterThan(-1);
      expect(order.lastIndexOf(`sync ${directory}`)).toBeGreaterThan(order.indexOf(`sync ${path}`));
      expect(order.indexOf(`done ${path}`)).toBeGreaterThan(order.lastIndexOf(`sync ${directory}`));
    }
    expect(order.indexOf('done l')).toBeGreaterThan(order.lastIndexOf('sync '));
    const [target, source] = await bothTrees(trees);
    expect(target).toEqual(source);
  });

  test.each([{ update: false }, { update: true }])(
    'is not believed by a later run before its data is on the disk (%o)',
    async (rules) => {
      const trees = await startTrees('get', TREE, {});
      const planned: string[][] = [];
      await beforeSync(async (path) => {
        if (!SMALL.includes(relative(trees.target, path))) return;
        // As if the power failed now, and the next run found sizes and times.
        const next = trees.direction();
        planned.push(kinds(await planSync(next, { ...PLAN, rules: { ...SYNC, ...rules } })));
        await next[Symbol.asyncDispose]();
      });
      await copy(trees.direction());
      expect(planned).toHaveLength(SMALL.length);
      expect(planned[0]).toEqual(expect.arrayContaining(SMALL.map((path) => `file ${path}`)));
      expect((await copy(trees.direction(), { rules })).actions.filter(isChange)).toEqual([]);
    },
  );

  test.each([
    { code: 'EIO', expected: 'local-file' },
    { code: 'ENOSPC', expected: 'local-no-space' },
  ])('has failed if the disk says $code to a sync, and is fetched again', async ({ code, expected }) => {
    const trees = await startTrees('get', TREE, {});
    let isBroken = true;
    await beforeSync((path) => {
      if (isBroken && path.endsWith('/d/b')) throw systemError(code);
    });
    const { told, isComplete } = await copy(trees.direction());
    expect(isComplete).toBe(false);
    expect(told.failed).toMatchObject({ 'd/b': expected });
    expect(told.errors[0]?.message).toContain(join(trees.target, 'd/b'));
    expect(told.done).not.toContain('file d/b');

    isBroken = false;
    const again = await copy(trees.direction());
    expect([again.isComplete, kinds(again.actions)]).toEqual([true, expect.arrayContaining(['file d/b'])]);
    const [target, source] = await bothTrees(trees);
    expect(target).toEqual(source);
  });

  test('of many files is synced by one call for its file system where that tells of losses, and dated then', async () => {
    const many = Object.fromEntries(Array.from({ length: MIN_PATHS }, (_, n) => [`many/${n}`, `${n}`]));
    const trees = await startTrees('get', many, {});
    let files = 0;
    await beforeSync((path) => void (files += path.startsWith(`${trees.target}/many/`) ? 1 : 0));
    await copy(trees.direction());
    const isOneCall = reportsLostWrites(release(), (await statfs(trees.target)).type);
    expect(files).toBe(isOneCall ? 0 : MIN_PATHS);
    const [target, source] = await bothTrees(trees);
    expect(target).toEqual(source);
  });

  test('leaves the time of what somebody changed meanwhile as it is, and what is gone gone', async () => {
    const trees = await startTrees('get', TREE, {});
    await beforeSync(async (path) => {
      if (path.endsWith('/d/e/a')) await rm(path);
      if (path.endsWith('/d/b'))
        await plantTree(trees.target, { 'd/b': { content: 'mine', mtimeMs: 5_000_000 } });
    });
    expect((await copy(trees.direction())).told.failed).toEqual({});
    expect(await contentsAt(trees.target)).toMatchObject({ 'd/b': 'mine' });
    expect(await contentsAt(trees.target)).not.toHaveProperty('d/e/a');
    expect(await timeOf(join(trees.target, 'd/b'))).toBe(5_000_000);
  });

  test('keeps other runs away until it is on the disk, also where one that was killed has left its lock', async () => {
    const trees = await startTrees('get', TREE, {});
    const killed = trees.direction();
    await killed.begin();
    const [lock = ''] = (await readdir(trees.target)).filter(isTemporary);
    await killed[Symbol.asyncDispose]();
    await writeFile(join(trees.target, lock), '');

    const others: string[] = [];
    await beforeSync(async () => void others.push((await failureOf(trees.direction().begin())).code));
    const direction = trees.direction();
    await direction.scanTarget(() => undefined);
    await direction.begin();
    await direction.makeDirectory(directory('new'));
    await direction.end({ isComplete: true });
    expect(others).toEqual(['locked']);
    expect(await readdir(trees.target)).toEqual(['new']);
  });

  test('is synced as far as it came when the run is broken off', async () => {
    const trees = await startTrees('get', { '/': {}, a: 'a', large: noise(2 * MIB) }, {});
    const stop = new AbortController();
    const direction = trees.direction({ signal: stop.signal });
    const run = copy(direction, {
      run: { signal: stop.signal, transfers: 1 },
      observer: { onProgress: (path) => path === 'large' && stop.abort() },
    });
    await expect(run).rejects.toMatchObject({ code: 'aborted' });
    expect(await timeOf(join(trees.target, 'a'))).toBe(LONG_AGO);
  });

  test('gets no time by its content alone before that is on the disk', async () => {
    const trees = await startTrees(
      'get',
      { '/': {}, a: 'a' },
      { '/': {}, a: { content: 'a', mtimeMs: 1_000 } },
    );
    const times: number[] = [];
    await beforeSync(async (path) => {
      if (path === join(trees.target, 'a')) times.push(await timeOf(path));
    });
    const { actions } = await copy(trees.direction(), { rules: { compare: 'digest' } });
    expect(kinds(actions.filter(isChange))).toEqual(['attributes a']);
    expect(times).toEqual([1_000]);
  });

  test.each(['EINVAL', 'EACCES'])('needs no sync of directories where there is none (%s)', async (code) => {
    const trees = await startTrees('get', TREE, {});
    await beforeSync(async (path) => {
      if ((await stat(path)).isDirectory()) throw systemError(code);
    });
    expect(await copy(trees.direction())).toMatchObject({ isComplete: true, told: { failed: {} } });
  });
});

describe('small files that take the place of others', () => {
  const source = { '/': {}, 'd/': {}, 'd/b': 'b', a: 'a', c: { content: 'c', mode: 0o200 } };
  const old = { content: 'the old one', mtimeMs: 1_000 };
  const before = { '/': {}, 'd/': {}, 'd/b': old, a: old, c: old };

  test('are on the disk before, each once, and their names are in the end', async () => {
    const trees = await startTrees('get', source, before);
    const order: string[] = [];
    const standing: string[] = [];
    await beforeSync(async (path) => {
      order.push(relative(trees.target, path));
      if (isTemporary(basename(path))) standing.push(...Object.values(await contentsAt(trees.target)));
    });
    const { told, isComplete } = await copy(trees.direction());
    expect([told.failed, isComplete]).toEqual([{}, true]);
    expect(order.filter((path) => isTemporary(basename(path)))).toHaveLength(3);
    // All three are staged before the first of them is synced.
    expect(standing.filter((content) => content === 'the old one').length).toBeGreaterThanOrEqual(3);
    expect(order.slice(-2).toSorted()).toEqual(['', 'd']);
    const [target, expected] = await bothTrees(trees);
    expect(target).toEqual(expected);
  });

  test('leave the old one where it is if the disk does not take them', async () => {
    const trees = await startTrees('get', source, before);
    await beforeSync((path) => {
      if (isTemporary(basename(path))) throw systemError('EIO');
    });
    const { told, isComplete } = await copy(trees.direction());
    expect(isComplete).toBe(false);
    expect(Object.values(told.failed)).toContain('local-file');
    const left = await contentsAt(trees.target);
    expect(left).toEqual({ 'd/': '', 'd/b': 'the old one', a: 'the old one', c: 'the old one' });
  });
});

/** Keeps every thread of Node's pool waiting, each for somebody who writes to a FIFO, until it is released. */
async function occupyThreadPool(directory: string): Promise<() => Promise<void>> {
  const names = Array.from({ length: 8 }, (_, index) => join(directory, `fifo ${index}`));
  execFileSync('mkfifo', names);
  const readers = names.map((name) => open(name, 'r'));
  await nextTurn();
  return async () => {
    const writers = names.map((name) => openSync(name, 'r+'));
    for (const reader of readers) await (await reader).close();
    for (const writer of writers) closeSync(writer);
  };
}

test.each([
  ['a large file', 2 ** 20 + 1, 'old'],
  ['a small one', 3, 'new'],
])('the place of %s is taken without a long pause', async (_, size, standing) => {
  const top = await temporaryDirectory();
  const [temporary, target] = ['temporary', 'target'].map((name) => join(top, name)) as [string, string];
  await writeFile(temporary, 'new');
  await writeFile(target, 'old');
  await truncate(target, size);
  const release = await occupyThreadPool(top);
  const taking = takeName(temporary, target, { mustBeNew: false });
  // What frees much is left to the pool, which has no thread for it just now.
  const stoodAtOnce = readFileSync(target, 'utf8').slice(0, 3);
  await release();
  await taking;
  expect(stoodAtOnce).toBe(standing);
  expect(readFileSync(target, 'utf8')).toBe('new');
});

test('no link that somebody puts in the place of a temporary is followed', async () => {
  const top = await temporaryDirectory();
  const victim = join(top, 'victim');
  await writeFile(victim, 'theirs', { mode: 0o644 });
  await beforeSync(async (path) => {
    if (!isTemporary(basename(path))) return;
    await rm(path);
    await symlink(victim, path);
  });
  const target = new LocalTarget(join(top, 'tree'), 'source');
  const wanted = { mtimeMs: 1_000, mode: 0o200, keepsMode: true, mustBeNew: false, isReplacement: true };
  expect((await failureOf(target.writeFile('file', Buffer.from('ours'), wanted))).code).toBe('local-file');
  expect((await stat(victim)).mode & 0o777).toBe(0o644);
});

test('directories that a file or a tree needs are synced into those that hold them', async () => {
  const top = await temporaryDirectory();
  const synced: string[] = [];
  await beforeSync((path) => void synced.push(relative(top, path)));
  const partial = await PartialFile.open(join(top, 'a', 'b', 'file'), 'host/path');
  await partial[Symbol.asyncDispose]();
  expect(synced).toEqual(['a', '']);

  synced.length = 0;
  const trees = await startTrees('get', TREE, undefined);
  await copy(trees.direction({ root: join(top, 'c', 'd') }));
  expect(synced).toEqual(expect.arrayContaining(['', 'c', 'c/d']));
});
