import { chmod, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import {
  checkTrees,
  repairOf,
  type CheckOptions,
  type Difference,
} from '../../../src/client/tree/check-trees.ts';
import { runActions } from '../../../src/client/tree/run-actions.ts';
import { EVERYTHING, treeFilter, type TreeFilter } from '../../../src/client/tree/tree-filter.ts';
import type { TreeDirection } from '../../../src/client/tree/direction.ts';
import { SealiftError } from '../../../src/errors.ts';
import { failureOf } from '../../support/failure.ts';
import { contentsAt } from '../../support/planted-tree.ts';
import { MIB, noise } from '../setting.ts';
import { each, RUN, startTrees, Told, WAYS } from './tree-setting.ts';

const large = noise(5 * MIB);
const damaged = Buffer.from(large);
damaged[2 * MIB] = (large[2 * MIB] ?? 0) ^ 1;

const SOURCE = {
  same: 'same',
  large,
  'd/a': 'a',
  missing: 'm',
  link: { link: 'x' },
  kind: 'file',
  'k/': {},
  size: '12',
};
const TARGET = {
  same: 'same',
  large: damaged,
  'd/a': 'b',
  link: { link: 'y' },
  'kind/x': '',
  k: '',
  size: '1',
  'e/x': 'x',
};

async function check(
  direction: TreeDirection,
  filter: TreeFilter = EVERYTHING,
  isHopeless: CheckOptions['isHopeless'] = () => false,
) {
  const problems: Record<string, string> = {};
  const compared: string[] = [];
  const differences: Difference[] = await Array.fromAsync(
    checkTrees(direction, {
      filter,
      isHopeless,
      onProblem: ({ code }, path) => (problems[path] = code),
      onCompared: ({ path }) => compared.push(path),
    }),
  );
  const found = Object.fromEntries(differences.map(({ path, kind }) => [path, kind]));
  return { differences, found, problems, compared };
}

describe.each(WAYS)('%s: a check', (way) => {
  test('finds whatever differs in content, size and time being the same', async () => {
    const trees = await startTrees(way, SOURCE, TARGET);
    const { found, problems, compared } = await check(trees.direction());
    expect(problems).toEqual({});
    expect(found).toEqual({
      ...{ large: 'different', 'd/a': 'different', link: 'different', kind: 'different', k: 'different' },
      ...{ size: 'different', missing: 'missing', e: 'extra', 'e/x': 'extra', 'kind/x': 'extra' },
    });
    expect(compared.sort()).toEqual(
      ['', 'd', ...Object.keys(SOURCE).map((path) => path.replace(/\/$/, ''))].sort(),
    );
    expect(await contentsAt(trees.target)).toMatchObject({ 'd/a': 'b' });
  });

  test('cares for content alone, and for what the filter takes', async () => {
    const trees = await startTrees(
      way,
      { a: 'a', 'b.o': 'b', big: 'large' },
      { a: 'a', 'c.o': 'c', big: 'other' },
    );
    await utimes(join(trees.target, 'a'), 1, 1);
    await chmod(join(trees.target, 'a'), 0o600);
    const filter = treeFilter({ exclude: ['*.o'], maxSizeBytes: 3 });
    expect(await check(trees.direction(), filter)).toMatchObject({
      found: {},
      problems: {},
      compared: ['', 'a'],
    });
  });

  test('goes on where something cannot be compared', async () => {
    const trees = await startTrees(way, { a: 'a', b: 'b' }, { a: 'a', b: 'c' });
    const direction = trees.direction();
    const compare = direction.hasSameContent.bind(direction);
    direction.hasSameContent = (entry, existing) =>
      compare(entry.path === 'a' ? { ...entry, path: 'gone' } : entry, existing);
    const { found, problems } = await check(direction);
    expect(problems).toEqual({ a: way === 'put' ? 'local-not-found' : 'not-found' });
    expect(found).toEqual({ b: 'different' });
  });

  test('repairs by sending only the blocks that are damaged', async () => {
    const trees = await startTrees(way, SOURCE, TARGET);
    const { differences } = await check(trees.direction());
    const repairs = differences.map(repairOf).filter((action) => action !== undefined);
    const direction = trees.direction({ delta: 'on' });
    const told = new Told();
    expect(await runActions(direction, each(repairs), RUN, told)).toBe(true);
    await direction[Symbol.asyncDispose]();
    expect(told.outcomes['large']).toMatchObject({ movedBytes: MIB, resumedBytes: 4 * MIB });
    const { found } = await check(trees.direction());
    expect(found).toEqual({
      kind: 'different',
      k: 'different',
      'kind/x': 'extra',
      e: 'extra',
      'e/x': 'extra',
    });
  });
});

test('a check ends where everything else would fail too', async () => {
  const trees = await startTrees('put', { a: 'a', b: 'b' }, { a: 'a', b: 'b' });
  const direction = trees.direction();
  const gone = new SealiftError('retries-exhausted', 'It is gone.');
  direction.hasSameContent = () => Promise.reject(gone);
  expect(await failureOf(check(direction, EVERYTHING, (error) => error === gone))).toBe(gone);
});
