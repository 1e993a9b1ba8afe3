import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';

import { isChange } from '../../../src/client/tree/action.ts';
import { planSync, type SyncOptions } from '../../../src/client/tree/plan-tree.ts';
import { treeFilter } from '../../../src/client/tree/tree-filter.ts';
import { directory, file, link, MemoryDirection, type MemoryEntry } from '../../support/memory-direction.ts';
import { LONG_AGO } from '../../support/planted-tree.ts';
import { useNobodysRights } from '../../storage/fs/nobodys-rights.ts';
import { bothTrees, copy, kinds, PLAN, startTrees, SYNC, WAYS } from './tree-setting.ts';

useNobodysRights();

const TOP = directory('');

describe('a file of another name', () => {
  const renames = async (
    source: MemoryEntry[],
    target: MemoryEntry[],
    options: Partial<SyncOptions> = {},
    grainMs = 1,
  ) => {
    const direction = new MemoryDirection([TOP, ...source], [TOP, ...target]);
    direction.grainMs = grainMs;
    return kinds(
      (await planSync(direction, { ...PLAN, rules: SYNC, detectRenames: true, ...options })).filter(isChange),
    );
  };

  test.each<[name: string, source: MemoryEntry[], target: MemoryEntry[], expected: string[]]>([
    ['is moved', [file('new')], [file('old')], ['move new']],
    ['is moved once', [file('a'), file('b')], [file('old')], ['move a', 'file b']],
    ['each takes its own', [file('a'), file('b', 'y')], [file('o', 'y'), file('p')], ['move a', 'move b']],
    ['is sent, if the content differs', [file('new')], [file('old', 'y')], ['file new', 'delete old']],
    [
      'is sent, if the time differs',
      [file('new')],
      [file('old', 'x', { mtimeMs: 1 })],
      ['file new', 'delete old'],
    ],
    ['is sent, if the source has the other too', [file('new'), file('old')], [file('old')], ['file new']],
    ['is sent, if it is empty', [file('new', '')], [file('old', '')], ['file new', 'delete old']],
    [
      'is not moved over another',
      [file('new')],
      [file('new', 'yy'), file('old')],
      ['file new', 'delete old'],
    ],
    ['is no link', [link('new')], [link('old')], ['link new', 'delete old']],
    ['may be one of several alike', [file('new')], [file('o', 'y'), file('p')], ['move new', 'delete o']],
  ])('%s', async (_, source, target, expected) => {
    expect(await renames(source, target)).toEqual(expected);
  });

  test('is moved, if the time is the same as the target can keep it', async () => {
    const source = [file('new', 'x', { mtimeMs: 1_790_000_000_999 })];
    const target = [file('old', 'x', { mtimeMs: 1_790_000_000_000 })];
    expect(await renames(source, target, {}, 1_000)).toEqual(['move new']);
    expect(await renames(source, target)).toEqual(['file new', 'delete old']);
  });

  test('is sent where moves are not asked for', async () => {
    expect(await renames([file('new')], [file('old')], { detectRenames: false })).toEqual([
      'file new',
      'delete old',
    ]);
  });

  test('is not taken away from what stays', async () => {
    const filter = treeFilter({ exclude: ['*.bak'] });
    expect(await renames([file('new')], [file('old.bak')], { filter })).toEqual(['file new']);
    expect(await renames([file('new')], [file('old.bak')], { filter, deleteExcluded: true })).toEqual([
      'move new',
    ]);
    // The log was turned over: the source has that name still, with a file that is too large now.
    const source = [file('log.1', 'was'), file('log', 'grown too much')];
    expect(await renames(source, [file('log', 'was')], { filter: treeFilter({ maxSizeBytes: 3 }) })).toEqual([
      'file log.1',
    ]);
  });

  test('its content is read only where size and time are the same, and once, however many are alike', async () => {
    const direction = new MemoryDirection(
      [TOP, file('new'), file('newer', 'z'), file('other', 'yyy')],
      [TOP, file('a', 'xx'), file('b', 'y'), file('c')],
    );
    await planSync(direction, { ...PLAN, rules: SYNC, detectRenames: true });
    expect(direction.calls).toEqual([
      ...['digest source new', 'digest source newer'],
      ...['digest target b', 'digest target c'],
    ]);
  });
});

test.each([
  ['a directory', 'd', 'local-file', ['file new', 'directory d']],
  ['a directory above', '', 'local-file', ['file new', 'directory d']],
  ['the file itself', 'd/e/f', 'local-file', ['file new', 'directory d']],
  ['something else', 'other', 'local-file', ['move new', 'directory d']],
  // A server tells of the directory where it may not look at a name in it.
  ['a name in a directory', 'd', 'bad-name', ['file new', 'directory d']],
  ['a name that no path can say', 'd/\ufffd', 'bad-name', ['move new', 'directory d']],
] as const)(
  'is not taken from where the source may still have it, since %s cannot be read',
  async (_, path, code, expected) => {
    const source = [TOP, directory('d', { mtimeMs: 2_000 }), file('new')];
    const direction = new MemoryDirection(source, [TOP, directory('d'), directory('d/e'), file('d/e/f')]);
    direction.problems = [[path, code]];
    const actions = await planSync(direction, { ...PLAN, rules: SYNC, detectRenames: true });
    expect(kinds(actions.filter(isChange)).sort()).toEqual(expected.toSorted());
  },
);

test.each(WAYS)('%s: a moved file is not sent again, and has its new bits and place', async (way) => {
  const content = Buffer.alloc(3_000_000, 'large');
  const trees = await startTrees(
    way,
    { 'new/name': { content, mode: 0o600 }, 'other.txt': 'other' },
    { 'old/name': { content, mode: 0o644 }, 'other.txt': 'other' },
  );
  const { told, isComplete } = await copy(trees.direction(), { plan: { detectRenames: true } });
  expect(isComplete).toBe(true);
  expect(told.done).toEqual(expect.arrayContaining(['move new/name', 'delete old']));
  expect(told.movedBytes).toBe(0);
  const [target, source] = await bothTrees(trees);
  expect(target).toEqual(source);
});

test.each(WAYS)(
  '%s: out of a directory that nothing may be changed in, which is renamed too',
  async (way) => {
    const sealed = { mode: 0o555, mtimeMs: LONG_AGO };
    const trees = await startTrees(
      way,
      { 'new/a': 'a', 'new/e/b': 'b', 'new/e/': sealed, 'new/': sealed },
      { 'old/a': 'a', 'old/e/b': 'b', 'old/e/': sealed, 'old/': sealed },
    );
    onTestFinished(async () => {
      for (const root of [trees.source, trees.target])
        for (const directory of ['new', 'new/e']) await chmod(join(root, directory), 0o700);
    });
    const options = { plan: { detectRenames: true }, run: { transfers: 1 } };
    const { told, isComplete } = await copy(trees.direction(), options);
    expect([told.failed, isComplete]).toEqual([{}, true]);
    expect(told.done).toEqual(expect.arrayContaining(['move new/a', 'move new/e/b', 'delete old']));
    const [target, source] = await bothTrees(trees);
    expect(target).toEqual(source);
  },
);

test.each([
  ['0755', 0o755],
  ['0555', 0o555],
])('is moved out of a directory of mode %s also where nothing is removed', async (_, mode) => {
  const target = [TOP, directory('old', { mode }), file('old/f')];
  const direction = new MemoryDirection([TOP, file('f')], target);
  direction.problems = [['unreadable', 'local-file']];
  const { told } = await copy(direction, { plan: { detectRenames: true }, run: { transfers: 1 } });
  expect(told.failed).toEqual({ unreadable: 'local-file' });
  expect(told.done).toContain('move f');
});
