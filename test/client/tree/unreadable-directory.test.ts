import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';

import { checkTrees } from '../../../src/client/tree/check-trees.ts';
import { GetTree } from '../../../src/client/tree/get-tree.ts';
import { copyTree } from '../../../src/client/tree/sync-tree.ts';
import { EVERYTHING, treeFilter } from '../../../src/client/tree/tree-filter.ts';
import { SealiftError } from '../../../src/errors.ts';
import { FileStore } from '../../../src/storage/fs/fs-store.ts';
import { MemoryStore } from '../../../src/storage/memory-store.ts';
import type { Entry, ListOptions, Store } from '../../../src/storage/store.ts';
import { certificatePin } from '../../../src/trust/pins.ts';
import { loopbackCertificate } from '../../support/certificates.ts';
import { FaultyFiles } from '../../support/faulty-files.ts';
import { contentsAt, LONG_AGO, plantTree, type Planted } from '../../support/planted-tree.ts';
import { startTestServer, temporaryDirectory, tokenOf } from '../../support/test-server.ts';
import { useNobodysRights } from '../../storage/fs/nobodys-rights.ts';
import { AT_ONCE, connectorTo } from '../setting.ts';
import { copy, startTrees, SYNC, Told } from './tree-setting.ts';

useNobodysRights();

/** A store with a directory that its server may not read, as a file system has it: a larger listing passes over it. */
class PartlyUnreadableStore extends MemoryStore {
  unreadable: string | undefined;

  override async *list(path: string, options: ListOptions): AsyncGenerator<Entry> {
    const { unreadable } = this;
    if (path === unreadable) throw new SealiftError('forbidden', `The server may not read "${path}".`);
    for await (const entry of super.list(path, options))
      if (unreadable === undefined || !entry.path.startsWith(`${unreadable}/`)) yield entry;
  }
}

async function startStore() {
  const store = new PartlyUnreadableStore();
  for (const path of ['tree/a/x', 'tree/b/y', 'tree/top'])
    await store.put(
      { path, durability: 'disk', condition: { if: 'any' }, mayReplace: true },
      Buffer.from(path),
    );
  await store.mkdir('tree/empty', {});
  return { store, ...(await fetchingFrom(store)) };
}

/** A local place, empty still, and what fetches the `tree` of a store to it. */
async function fetchingFrom(store: Store) {
  const { server } = await startTestServer({ store });
  const pin = certificatePin(new X509Certificate((await loopbackCertificate()).cert));
  const root = join(await temporaryDirectory(), 'local');
  const direction = () => {
    const connector = connectorTo(server.address, pin, { token: tokenOf('tester') });
    const tree = new GetTree({
      connector,
      root,
      top: 'tree',
      retry: AT_ONCE,
      archive: true,
      mustBeNew: false,
    });
    onTestFinished(() => tree[Symbol.asyncDispose]());
    return tree;
  };
  return { root, direction };
}

test('a directory that the server may not read is a failure, and nothing is deleted for it', async () => {
  const { store, root, direction } = await startStore();
  const first = await copy(direction(), { rules: SYNC });
  expect([first.told.failed, first.isComplete]).toEqual([{}, true]);
  const before = await contentsAt(root);
  expect(existsSync(join(root, 'b/y'))).toBe(true);
  store.unreadable = 'tree/b';
  const second = await copy(direction(), { rules: SYNC });
  expect([second.told.failed, second.isComplete]).toEqual([{ b: 'forbidden' }, false]);
  expect(await contentsAt(root)).toEqual(before);
});

test('--max-delete does not take what is in it for deletions: the rest is fetched', async () => {
  const { store, root, direction } = await startStore();
  await copy(direction(), { rules: SYNC });
  store.unreadable = 'tree/b';
  await store.put(
    { path: 'tree/new', durability: 'disk', condition: { if: 'any' }, mayReplace: true },
    Buffer.from('new'),
  );
  const { told, isComplete } = await copy(direction(), { rules: SYNC, plan: { maxDelete: { count: 0 } } });
  expect([told.failed, isComplete]).toEqual([{ b: 'forbidden' }, false]);
  expect(await contentsAt(root)).toMatchObject({ new: 'new', 'b/y': 'tree/b/y' });
});

test('a check does not take what is in it for too much', async () => {
  const { store, root, direction } = await startStore();
  await copy(direction(), { rules: SYNC });
  store.unreadable = 'tree/b';
  await plantTree(root, { extra: 'extra' });
  const problems: Record<string, string> = {};
  const differences = await Array.fromAsync(
    checkTrees(direction(), {
      filter: EVERYTHING,
      onProblem: ({ code }, path) => (problems[path] = code),
      isHopeless: () => false,
    }),
  );
  expect(problems).toEqual({ b: 'forbidden' });
  expect(differences.map(({ path, kind }) => [path, kind])).toEqual([['extra', 'extra']]);
});

test.each([
  ['lstat', 'a mount of another user'],
  ['readlink', 'a link'],
])(
  'of what may not be looked at (%s of %s) nothing is deleted, nor of what stands beside it',
  async (call, name) => {
    const served = await temporaryDirectory();
    const many = Object.fromEntries(Array.from({ length: 600 }, (_, number) => [`d/${number}`, `${number}`]));
    await plantTree(join(served, 'tree'), { ...many, 'd/e/below': 'x', [`d/${name}`]: { link: '0' } });
    const files = new FaultyFiles();
    const store = await FileStore.open({ root: served, files });
    onTestFinished(() => store[Symbol.asyncDispose]());
    const { root, direction } = await fetchingFrom(store);
    const first = await copy(direction(), { rules: SYNC });
    expect([first.told.failed, first.isComplete]).toEqual([{}, true]);
    const before = await contentsAt(root);
    await plantTree(join(served, 'tree'), { 'd/e/new': 'new' });
    files.heal((each) => (each.name === call && each.path.endsWith(`/d/${name}`) ? 'EACCES' : undefined));
    const { told, isComplete } = await copy(direction(), { rules: SYNC });
    expect([told.failed, isComplete]).toEqual([{ d: 'bad-name' }, false]);
    expect(told.errors[0]?.message).toContain('may not look');
    expect(await contentsAt(root)).toEqual({ ...before, 'd/e/new': 'new' });
  },
);

test('nothing is moved out of it either', async () => {
  const served = await temporaryDirectory();
  const moved = { content: 'x', mtimeMs: LONG_AGO };
  await plantTree(join(served, 'tree'), { 'd/mount/x': moved, 'old/z': { ...moved, content: 'z' } });
  const files = new FaultyFiles();
  const store = await FileStore.open({ root: served, files });
  onTestFinished(() => store[Symbol.asyncDispose]());
  const { root, direction } = await fetchingFrom(store);
  await copy(direction(), { rules: SYNC });
  await rename(join(served, 'tree/old'), join(served, 'tree/new'));
  await plantTree(join(served, 'tree'), { y: moved });
  files.heal((each) => (each.name === 'lstat' && each.path.endsWith('/d/mount') ? 'EACCES' : undefined));
  const { told } = await copy(direction(), { rules: SYNC, plan: { detectRenames: true } });
  expect(told.failed).toEqual({ d: 'bad-name' });
  expect(told.done.filter((done) => done.startsWith('move'))).toEqual(['move new/z']);
  expect(await contentsAt(root)).toMatchObject({ 'd/mount/x': 'x', y: 'x', 'new/z': 'z' });
});

test('one that is empty is none', async () => {
  const { root, direction } = await startStore();
  await plantTree(root, { 'empty/old': 'old' });
  const { told, isComplete } = await copy(direction(), { rules: SYNC });
  expect([told.failed, isComplete, existsSync(join(root, 'empty/old'))]).toEqual([{}, true, false]);
});

describe('a local target with a directory that may not be read', () => {
  const SOURCE = { a: 'a', 'd/b': 'b' };
  const TARGET = { extra: 'extra', 'lost/x': 'x', 'lost/': { mode: 0o300 } };

  async function startLocked(source: Record<string, Planted> = SOURCE) {
    const trees = await startTrees('get', source, TARGET);
    const unlock = () => chmod(join(trees.target, 'lost'), 0o700);
    onTestFinished(unlock);
    const contents = async () => {
      await unlock();
      return contentsAt(trees.target);
    };
    return { trees, contents };
  }

  test('gets what is copied to it, and nothing is told of it', async () => {
    const { trees, contents } = await startLocked();
    const told = new Told();
    expect(await copyTree(trees.direction(), { observer: told })).toBe(true);
    expect(told.failed).toEqual({});
    expect(await contents()).toEqual({ ...SOURCE, 'd/': '', extra: 'extra', 'lost/': '', 'lost/x': 'x' });
  });

  test('nothing is written over what is not seen in it', async () => {
    const { trees, contents } = await startLocked({ ...SOURCE, 'lost/x': 'new', 'lost/e/y': 'y' });
    const { told } = await copy(trees.direction(), { rules: { delete: false } });
    expect(told.failed).toEqual({
      'lost/x': 'local-file',
      'lost/e': 'local-file',
      'lost/e/y': 'local-file',
    });
    expect(await contents()).toMatchObject({ ...SOURCE, 'lost/x': 'x' });
  });

  test('--delete removes nothing for it, and does the rest', async () => {
    const { trees, contents } = await startLocked();
    const { told, isComplete } = await copy(trees.direction());
    expect([told.failed, isComplete]).toEqual([{ lost: 'local-file' }, false]);
    expect(await contents()).toMatchObject({ ...SOURCE, extra: 'extra', 'lost/x': 'x' });
  });

  test.each([
    { deleteExcluded: false, failed: {} },
    { deleteExcluded: true, failed: { lost: 'local-file' } },
  ])('--delete does all where it is left out: %o', async ({ deleteExcluded, failed }) => {
    const { trees, contents } = await startLocked();
    const filter = treeFilter({ exclude: ['/lost/'] });
    const { told } = await copy(trees.direction(), { plan: { filter, deleteExcluded } });
    expect(told.failed).toEqual(failed);
    const after = await contents();
    expect(after).toMatchObject({ ...SOURCE, 'lost/x': 'x' });
    expect('extra' in after).toBe(deleteExcluded);
  });

  test.each([
    [undefined, { lost: 'local-file' }, { extra: 'extra', lost: 'extra' }],
    [['/lost/'], {}, { extra: 'extra' }],
  ])('a check compares the rest, without %j', async (exclude, failed, found) => {
    const { trees } = await startLocked(SOURCE);
    await plantTree(trees.target, SOURCE);
    const problems: Record<string, string> = {};
    const differences = await Array.fromAsync(
      checkTrees(trees.direction(), {
        filter: treeFilter({ exclude }),
        onProblem: ({ code }, path) => (problems[path] = code),
        isHopeless: () => false,
      }),
    );
    expect(problems).toEqual(failed);
    expect(Object.fromEntries(differences.map(({ path, kind }) => [path, kind]))).toEqual(found);
  });
});
