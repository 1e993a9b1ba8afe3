import { readdir } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';

import { isTemporary } from '../../../src/client/tree/tree-entry.ts';
import { treeFilter } from '../../../src/client/tree/tree-filter.ts';
import { contentsAt, type Planted } from '../../support/planted-tree.ts';
import { MIB, noise } from '../setting.ts';
import { bothTrees, copy, startTrees, WAYS } from './tree-setting.ts';

const THINGS: Record<string, Record<string, Planted>> = {
  file: { x: 'a file' },
  'large file': { x: noise(2 * MIB) },
  'empty directory': { 'x/': {} },
  directory: { 'x/y': 'y', 'x/z/': {} },
  link: { x: { link: 'beside' } },
  'link to a directory': { x: { link: 'd' } },
};
const AROUND = { beside: 'beside', 'd/f': 'f' };
const kinds = Object.keys(THINGS);
const pairs = kinds.flatMap((source) =>
  kinds.filter((target) => target !== source).map((target) => [source, target]),
);

describe.each(WAYS)('%s', (way) => {
  test.each(pairs)('a %s takes the place of a %s', async (source = '', target = '') => {
    const trees = await startTrees(way, { ...AROUND, ...THINGS[source] }, { ...AROUND, ...THINGS[target] });
    const { told, isComplete } = await copy(trees.direction());
    expect([told.failed, isComplete]).toEqual([{}, true]);
    const [after, wanted] = await bothTrees(trees);
    expect(after).toEqual(wanted);
  });

  test.each(['file', 'large file', 'link'])(
    'a %s does not, where nothing is removed, take that of a directory',
    async (source) => {
      const trees = await startTrees(way, { ...AROUND, ...THINGS[source] }, { 'x/y': 'y' });
      const { told } = await copy(trees.direction(), { rules: { delete: false } });
      expect(told.failed).toEqual({ x: 'is-directory' });
      expect(await contentsAt(trees.target)).toEqual({ ...AROUND, 'd/': '', 'x/': '', 'x/y': 'y' });
    },
  );

  test.each(['skip', 'fail', 'rename'] as const)(
    'by --if-exists %s, nothing that stands is lost',
    async (ifExists) => {
      const target = { f: 'old', l: { link: 'old' }, 'd/x': 'old', e: 'old' };
      const source = { f: 'newer', l: 'new', 'd/x': 'new one', 'd/y': 'new', 'e/x': 'new' };
      const trees = await startTrees(way, source, target);
      const rules = { ifExists, delete: false };
      await copy(trees.direction({ mustBeNew: true }), {
        rules,
        run: { skipsExisting: ifExists === 'skip' },
      });
      const after = await contentsAt(trees.target);
      expect(after).toMatchObject({ f: 'old', l: '-> old', 'd/x': 'old', 'd/y': 'new', e: 'old' });
      expect('f-1' in after && 'l-1' in after && 'd/x-1' in after).toBe(ifExists === 'rename');
    },
  );

  test('a directory that keeps something stays, and the file that should be there is a failure', async () => {
    const trees = await startTrees(
      way,
      { x: 'file', z: 'z' },
      { 'x/y': 'y', 'x/kept': 'kept', extra: 'extra' },
    );
    const { told } = await copy(trees.direction(), { plan: { filter: treeFilter({ exclude: ['kept'] }) } });
    expect(Object.keys(told.failed)).toEqual(['x']);
    expect(await contentsAt(trees.target)).toEqual({ 'x/': '', 'x/kept': 'kept', z: 'z' });
    expect((await readdir(trees.target)).filter(isTemporary)).toEqual([]);
  });
});
