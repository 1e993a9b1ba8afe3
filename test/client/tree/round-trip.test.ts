import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { checkTrees } from '../../../src/client/tree/check-trees.ts';
import { isChange } from '../../../src/client/tree/action.ts';
import { EVERYTHING, treeFilter } from '../../../src/client/tree/tree-filter.ts';
import { contentsAt, LONG_AGO, plantTree, setTime, type Planted } from '../../support/planted-tree.ts';
import { MIB, noise } from '../setting.ts';
import { bothTrees, copy, startTrees, WAYS } from './tree-setting.ts';

const ODD_NAMES = [
  'ü'.repeat(127) + 'x',
  '"quoted" \'name\' `with` $HOME',
  '😀 emoji',
  '-rf',
  '*?[a]',
  'back\\slash',
  ' blank ',
  '%2e%2e',
  'name.sealift',
  '.hidden',
];

const TREE: Record<string, Planted> = {
  '/': { mode: 0o751, mtimeMs: 123_456 },
  ...Object.fromEntries(ODD_NAMES.map((name) => [`odd/${name}`, name])),
  ...Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`many/${n}`, noise(n * 50, n % 250)])),
  empty: '',
  'block.bin': noise(MIB, 2),
  'large.bin': noise(9 * MIB + 17, 3),
  'deep/er/est/file': { content: 'x', mode: 0o640, mtimeMs: -86_400_123 },
  'script.sh': { content: '#!/bin/sh\n', mode: 0o755 },
  'read-only': { content: 'y', mode: 0o444, mtimeMs: LONG_AGO + 0.25 },
  'long-ago': { content: 'z', mtimeMs: -1_500.75 },
  'empty-directory/': { mode: 0o711, mtimeMs: 5_000 },
  'before-1970/': { mtimeMs: -1 },
  'link-to-file': { link: 'empty', mtimeMs: 7_001 },
  'link-to-directory': { link: 'deep/er' },
  dangling: { link: '../nowhere/😀', mtimeMs: -5 },
  'link-out': { link: '/etc/hostname' },
};

test.each(WAYS)('%s: a tree of all sorts arrives, through a line that is cut every 3 MiB', async (way) => {
  const faults = {
    cut: { afterBytes: 3 * MIB, mode: 'fin', direction: way === 'put' ? 'up' : 'down' },
  } as const;
  const trees = await startTrees(way, TREE, undefined, { faults });
  const { told, isComplete } = await copy(trees.direction());
  expect(told.failed).toEqual({});
  expect(isComplete).toBe(true);
  expect(told.retries).toBeGreaterThan(2);
  const [target, source] = await bothTrees(trees);
  expect(target).toEqual(source);
  expect(Object.keys(source).length).toBeGreaterThan(Object.keys(TREE).length);

  const again = await copy(trees.direction());
  expect(again.actions.filter(isChange)).toEqual([]);
  expect(again.told.done).toEqual([]);
  expect(again.actions.length).toBeGreaterThan(200);
});

test.each(WAYS)('%s: a file alone is a tree too, and so is an empty directory', async (way) => {
  for (const top of [noise(2 * MIB), Buffer.from('small'), undefined]) {
    const trees = await startTrees(way, undefined);
    if (top === undefined) await mkdir(trees.source);
    else await writeFile(trees.source, top);
    await setTime(trees.source, LONG_AGO);
    const { told, isComplete } = await copy(trees.direction());
    expect([told.failed, isComplete]).toEqual([{}, true]);
    const [target, source] = await bothTrees(trees);
    expect(target).toEqual(source);
    expect((await copy(trees.direction())).actions.filter(isChange)).toEqual([]);
  }
});

test.each(WAYS)('%s: the root of a server is a tree, but its own bits and time stay', async (way) => {
  const { setting, direction } = await startTrees(way, undefined);
  const local = join(setting.directory, 'local');
  await plantTree(way === 'put' ? local : setting.root, { 'a/b': { content: 'b', mode: 0o640 }, c: 'c' });
  await chmod(setting.root, 0o711);
  await setTime(setting.root, 4_000);
  expect(await copy(direction({ top: '' }))).toMatchObject({ told: { failed: {} }, isComplete: true });
  const [there, here] = await bothTrees({ source: local, target: setting.root });
  const isOwn = (path: string) => /^\.sealift(\/|$)/.test(path) || (way === 'put' && path === '');
  const withoutOwn = (tree: typeof there) => Object.entries(tree).filter(([path]) => !isOwn(path));
  expect(withoutOwn(there)).toEqual(withoutOwn(here));
  expect(there['']).toMatchObject({ mode: '711' });
  const again = await copy(direction({ top: '' }));
  expect(again.actions.filter(isChange)).toEqual([]);
});

test.each(WAYS)(
  '%s: a link whose target is no UTF-8 is told, and never made to lead elsewhere',
  async (way) => {
    const trees = await startTrees(way, { 'd/file': 'x' }, { extra: 'e', 'd/older': { link: 'x' } });
    const bytes = Buffer.from([0x74, 0xff]);
    for (const name of ['d/link', 'd/older']) await symlink(bytes, join(trees.source, name));
    const { told, isComplete } = await copy(trees.direction());
    expect([told.failed, isComplete]).toEqual([{ 'd/link': 'bad-name', 'd/older': 'bad-name' }, false]);
    const [target] = await bothTrees(trees);
    expect(target).toMatchObject({ 'd/file': { content: 'x' }, 'd/older': { target: 'x' }, extra: {} });
    expect(Object.keys(target)).not.toContain('d/link');

    const problems: Record<string, string> = {};
    const direction = trees.direction();
    const differences = await Array.fromAsync(
      checkTrees(direction, {
        filter: EVERYTHING,
        onProblem: ({ code }, path) => (problems[path] = code),
        isHopeless: () => false,
      }),
    );
    await direction[Symbol.asyncDispose]();
    expect(problems).toEqual(told.failed);
    expect(differences.map(({ path, kind }) => [path, kind])).toEqual([['extra', 'extra']]);
    // Without -a no link is sent, whatever it holds.
    const plain = await copy(trees.direction(), { rules: { archive: false, delete: false } });
    expect(plain.told).toMatchObject({ failed: {}, skipped: { 'd/link': 'link', 'd/older': 'link' } });
  },
);

test.each(WAYS)(
  '%s: what is private stays so, also where a filter takes only what is below it',
  async (way) => {
    const trees = await startTrees(way, {
      'p/q/a.jpg': 'a',
      'p/q/b': 'b',
      'p/q/': { mode: 0o750, mtimeMs: 5_000 },
      'p/': { mode: 0o700, mtimeMs: 6_000 },
      'empty/c': 'c',
    });
    for (const filter of [treeFilter({ include: ['*.jpg'] }), treeFilter({ files: ['p/q/a.jpg'] })]) {
      const { told } = await copy(trees.direction(), { plan: { filter } });
      expect(told.failed).toEqual({});
      const [target, source] = await bothTrees(trees);
      expect(Object.keys(target).sort()).toEqual(['', 'p', 'p/q', 'p/q/a.jpg']);
      for (const path of Object.keys(target)) expect(target[path]).toEqual(source[path]);
      await rm(trees.target, { recursive: true });
    }
  },
);

test('get: names on the server that no path can say are told by directory, and nothing is removed', async () => {
  const trees = await startTrees('get', { 'd/file': 'x', 'tmp/bell\u0007': 'x' }, { extra: 'e' });
  const raw = (name: string) => Buffer.concat([Buffer.from(join(trees.source, name)), Buffer.from([0xff])]);
  for (const name of ['d/a', 'd/b', 'c']) await writeFile(raw(name), 'x');
  const filter = treeFilter({ exclude: ['tmp'] });
  const { told, isComplete } = await copy(trees.direction(), { plan: { filter } });
  expect([told.failed, isComplete]).toEqual([{ '': 'bad-name', d: 'bad-name' }, false]);
  expect(told.errors.map(({ message }) => message)).toContainEqual(
    expect.stringContaining('"tree/d" holds 2 names that no path can say'),
  );
  expect(await contentsAt(trees.target)).toEqual({ 'd/': '', 'd/file': 'x', extra: 'e' });
});

test('get: more directories with such names than one page tells of', async () => {
  const deep = Array.from({ length: 12 }, () => 'long'.repeat(60)).join('/');
  const names = Array.from({ length: 100 }, (_, n) => `${n}/${deep}`);
  const planted = Object.fromEntries(names.map((name) => [`${name}/a\u0007`, '']));
  const direction = (await startTrees('get', planted)).direction();
  const told: string[] = [];
  const onProblem = (_: unknown, path: string) => told.push(path);
  await Array.fromAsync(direction.scanSource({ filter: EVERYTHING, onProblem }));
  await direction[Symbol.asyncDispose]();
  expect(told.sort()).toEqual(names.sort());
});
