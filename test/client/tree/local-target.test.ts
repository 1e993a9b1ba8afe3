import { execFileSync } from 'node:child_process';
import { lstat, readdir, stat, symlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { isChange } from '../../../src/client/tree/action.ts';
import { isTemporary } from '../../../src/client/tree/tree-entry.ts';
import { failureOf } from '../../support/failure.ts';
import { contentsAt, LONG_AGO, plantTree, treeAt } from '../../support/planted-tree.ts';
import { bothTrees, copy, startTrees } from './tree-setting.ts';

const TREE = { '/': {}, 'd/': {}, 'd/a': { content: 'a', mode: 0o666 }, b: 'b' };

test('two runs at once do not get into each other', async () => {
  const trees = await startTrees('get', TREE, {});
  const first = trees.direction();
  await first.begin();
  const before = await treeAt(trees.target);
  expect(await failureOf(copy(trees.direction()))).toMatchObject({ code: 'locked' });
  expect(await treeAt(trees.target)).toEqual(before);
  // From elsewhere, something else may come.
  expect(await copy(trees.direction({ top: 'tree/d' }))).toMatchObject({ isComplete: true });
  await first[Symbol.asyncDispose]();
  expect(await copy(trees.direction())).toMatchObject({ isComplete: true });
  expect((await readdir(trees.target)).filter(isTemporary)).toEqual([]);
});

test('what is held meanwhile leaves no trace in the time of the top', async () => {
  const trees = await startTrees('get', TREE, { ...TREE, 'd/a': { content: 'a', mode: 0o600 } });
  expect((await copy(trees.direction())).told.done).toEqual(['attributes d/a']);
  const [target, source] = await bothTrees(trees);
  expect(target).toEqual(source);
});

test('nor does it if that time lies as late in a millisecond as one can', async () => {
  const trees = await startTrees('get', TREE, TREE);
  await utimes(trees.target, '1700000000.0', '1700000000.1569997');
  const before = (await stat(trees.target, { bigint: true })).mtimeNs / 1_000n;
  for (let run = 0; run < 3; run += 1) {
    const direction = trees.direction();
    await direction.begin();
    await direction[Symbol.asyncDispose]();
    expect((await stat(trees.target, { bigint: true })).mtimeNs / 1_000n).toBe(before);
  }
});

test('who only looks at a target makes nothing there, not even itself', async () => {
  const trees = await startTrees('get', TREE);
  const direction = trees.direction();
  expect(await direction.scanTarget(() => undefined)).toEqual(new Map());
  await direction[Symbol.asyncDispose]();
  expect(await readdir(join(trees.target, '..'))).toEqual([]);
});

test('whether case makes a difference is asked of the target itself, and leaves no trace', async () => {
  const trees = await startTrees('get', { a: 'a', A: 'A' }, { '/': {} });
  await symlink('local', trees.target.replace(/local$/, 'LOCAL'));
  const before = await stat(trees.target, { bigint: true });
  for (const isDryRun of [true, false]) {
    const direction = trees.direction({ isDryRun });
    expect(await direction.nameFolding()).toEqual({ case: false, forms: false, ends: false });
    await direction[Symbol.asyncDispose]();
    const after = await stat(trees.target, { bigint: true });
    expect(after.mtimeNs / 1_000n).toBe(before.mtimeNs / 1_000n);
    // Of what only looks not even the system notes a change.
    if (isDryRun) expect(after.ctimeNs).toBe(before.ctimeNs);
    expect(await readdir(trees.target)).toEqual([]);
  }
  expect(await copy(trees.direction())).toMatchObject({ isComplete: true, told: { failed: {} } });
  expect(await contentsAt(trees.target)).toEqual({ a: 'a', A: 'A' });
});

test('a target that is a link of the user is followed, and stays one', async () => {
  const trees = await startTrees('get', TREE);
  const real = await plantTree(join(trees.setting.directory, 'real'), {});
  await symlink('real', trees.target);
  expect(await copy(trees.direction())).toMatchObject({ told: { failed: {} } });
  const [target, source] = await bothTrees({ source: trees.source, target: real });
  expect(target).toEqual(source);
  expect((await lstat(trees.target)).isSymbolicLink()).toBe(true);
  expect((await copy(trees.direction())).actions.filter(isChange)).toEqual([]);
});

test('where bits are not kept, the umask takes some, and directories have their own times', async () => {
  const trees = await startTrees('get', { ...TREE, l: { link: 'b' } });
  const before = process.umask(0o027);
  try {
    const { told } = await copy(trees.direction({ archive: false }), { rules: { archive: false } });
    expect(told.skipped).toEqual({ l: 'link' });
  } finally {
    process.umask(before);
  }
  const target = await treeAt(trees.target);
  expect(target).toMatchObject({ d: { mode: '750' }, 'd/a': { mode: '640', mtimeMs: LONG_AGO } });
  expect(target['d']?.mtimeMs).not.toBe(LONG_AGO);
  expect(await contentsAt(trees.target)).toEqual({ 'd/': '', 'd/a': 'a', b: 'b' });
});

test.each([
  ['overwrite', { a: 'local-exists', 'd/x': 'local-exists', l: 'local-exists' }, {}],
  ['skip', {}, { a: 'exists', 'd/x': 'exists', l: 'exists', d: 'exists' }],
] as const)('a FIFO in the way stays, and the plan says so: %s', async (ifExists, failed, skipped) => {
  const trees = await startTrees('get', { a: 'a', 'd/x': 'x', l: { link: 'a' }, z: 'z' }, { other: 'o' });
  for (const name of ['a', 'd', 'l', 'unasked']) execFileSync('mkfifo', [join(trees.target, name)]);
  const { told, actions } = await copy(trees.direction(), { rules: { ifExists, delete: false } });
  expect(told).toMatchObject({ failed, skipped });
  const planned = actions.filter(({ kind }) => kind === 'refuse').map(({ entry }) => entry.path);
  expect(planned.sort()).toEqual(Object.keys(told.failed).sort());
  expect(told.done.filter((step) => step.startsWith('file'))).toEqual(['file z']);
  for (const name of ['a', 'd', 'l', 'unasked'])
    expect((await lstat(join(trees.target, name))).isFIFO()).toBe(true);
});

test('what has no content and appears meanwhile in the place of a new file is told as what it is', async () => {
  const trees = await startTrees('get', { a: 'a' });
  const direction = trees.direction();
  const send = direction.send.bind(direction);
  direction.send = (action, hooks) => {
    execFileSync('mkfifo', [join(trees.target, 'a')]);
    return send(action, hooks);
  };
  const { told } = await copy(direction);
  expect(told.errors.map(({ message }) => message)).toEqual([
    `${join(trees.target, 'a')} is no ordinary file, and is not replaced.`,
  ]);
});
