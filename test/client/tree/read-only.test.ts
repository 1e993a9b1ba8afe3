import { chmod, chown, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';

import { isChange } from '../../../src/client/tree/action.ts';
import { contentsAt, LONG_AGO, type Planted } from '../../support/planted-tree.ts';
import { useNobodysRights } from '../../storage/fs/nobodys-rights.ts';
import { bothTrees, copy, startTrees, WAYS } from './tree-setting.ts';

useNobodysRights();

const sealed = { mode: 0o555, mtimeMs: LONG_AGO };
const TREE: Record<string, Planted> = {
  '/': sealed,
  'd/a': { content: 'a', mode: 0o444 },
  'd/e/f': { content: 'f', mode: 0o400 },
  'd/e/g/h': 'h',
  'd/l': { link: 'a' },
  'd/': sealed,
  'd/e/': { ...sealed, mode: 0o500 },
  'd/e/g/': sealed,
};

/** Such trees cannot be removed in the end unless they are opened. */
async function startSealed(way: (typeof WAYS)[number], target?: Record<string, Planted>) {
  const trees = await startTrees(way, TREE, target);
  onTestFinished(async () => {
    for (const root of [trees.source, trees.target]) await open(root);
  });
  return trees;
}

async function open(directory: string): Promise<void> {
  await chmod(directory, 0o700);
  for (const entry of await readdir(directory, { withFileTypes: true }))
    if (entry.isDirectory()) await open(join(directory, entry.name));
}

test('get: a directory of somebody else that anybody may write to takes a tree all the same', async () => {
  const trees = await startTrees('get', { a: 'a' }, {});
  // Back to root for a moment, where this file gave that up. Who never was root owns it still, and loses nothing.
  const asRoot = async (task: () => Promise<void>) => {
    const nobody = process.geteuid?.();
    if (process.getuid?.() === 0) process.seteuid?.(0);
    await task();
    if (nobody !== undefined) process.seteuid?.(nobody);
  };
  await chmod(trees.target, 0o777);
  await asRoot(() => chown(trees.target, process.getuid?.() ?? 0, -1));
  const { isComplete, told } = await copy(trees.direction({ archive: false }), {
    rules: { archive: false },
    run: { archive: false },
  });
  expect({ isComplete, failed: told.failed }).toEqual({ isComplete: true, failed: {} });
  expect(await readdir(trees.target)).toEqual(['a']);
  await asRoot(() => chown(trees.target, 65_534, -1));
});

describe.each(WAYS)('%s: directories that nothing may be changed in', (way) => {
  test('arrive with all in them, and then nothing is left to do', async () => {
    const trees = await startSealed(way);
    expect(await copy(trees.direction())).toMatchObject({ told: { failed: {} }, isComplete: true });
    const [target, source] = await bothTrees(trees);
    expect(target).toEqual(source);
    const again = await copy(trees.direction());
    expect(again.actions.filter(isChange)).toEqual([]);
  });

  test.each<[name: string, target: Record<string, Planted>]>([
    ['get new files', { ...TREE, 'd/a': { content: 'old', mtimeMs: 1 }, 'd/e/extra': 'extra' }],
    ['lose what is in them', { ...TREE, 'd/extra/deep/x': 'x', 'd/extra/deep/': sealed, 'd/extra/': sealed }],
    ['take the place of other things', { '/': sealed, d: { link: 'nowhere' } }],
    [
      'make room for other things',
      { '/': sealed, 'd/a/b/c': 'c', 'd/a/b/': sealed, 'd/a/': sealed, 'd/': sealed },
    ],
  ])('%s', async (_, target) => {
    const trees = await startSealed(way, target);
    const { told } = await copy(trees.direction());
    expect(told.failed).toEqual({});
    const [after, source] = await bothTrees(trees);
    expect(after).toEqual(source);
  });

  test('are closed again where something failed in them', async () => {
    const trees = await startSealed(way, { '/': sealed, 'd/a/b': 'b', 'd/': sealed, 'd/old': 'old' });
    const { told } = await copy(trees.direction(), { rules: { delete: false } });
    expect(told.failed).toEqual({ 'd/a': 'is-directory' });
    const [target, source] = await bothTrees(trees);
    for (const path of ['', 'd', 'd/e', 'd/e/g']) expect(target[path]).toEqual(source[path]);
    expect(await contentsAt(trees.target)).toMatchObject({ 'd/old': 'old', 'd/a/b': 'b', 'd/e/f': 'f' });
  });
});
