import { describe, expect, test } from 'vitest';

import { isChange } from '../../../src/client/tree/action.ts';
import { planCopy, planSync, type SyncOptions, type Totals } from '../../../src/client/tree/plan-tree.ts';
import type { Rules } from '../../../src/client/tree/decide.ts';
import { treeFilter } from '../../../src/client/tree/tree-filter.ts';
import { SealiftError } from '../../../src/errors.ts';
import { failureOf } from '../../support/failure.ts';
import { directory, file, link, MemoryDirection, type MemoryEntry } from '../../support/memory-direction.ts';
import { kinds, PLAN, SYNC } from './tree-setting.ts';

const TOP = directory('');

/** What a sync would do, in short: `delete a`, `file b`; what changes nothing is left out. */
async function planned(
  source: MemoryEntry[],
  target: MemoryEntry[],
  { rules = {}, ...options }: Omit<Partial<SyncOptions>, 'rules'> & { rules?: Partial<Rules> } = {},
): Promise<string[]> {
  const direction = new MemoryDirection(source, target);
  const actions = await planSync(direction, { ...PLAN, ...options, rules: { ...SYNC, ...rules } });
  return kinds(actions.filter((action) => isChange(action) || action.kind === 'refuse'));
}

const EXTRA = [TOP, directory('d'), file('d/a'), directory('d/e'), file('d/e/b'), directory('d-'), file('f')];

describe('what only the target has', () => {
  test('is removed behind everything else, each directory after what it holds', async () => {
    expect(await planned([TOP, file('z')], EXTRA)).toEqual([
      'file z',
      'delete f',
      'delete d/e/b',
      'delete d/e',
      'delete d/a',
      'delete d-',
      'delete d',
    ]);
    expect(await planned([TOP, file('z')], EXTRA, { rules: { delete: false } })).toEqual(['file z']);
  });

  test.each<[name: string, Partial<SyncOptions>, expected: string]>([
    ['left out by a pattern', { filter: treeFilter({ exclude: ['b'] }) }, 'f d/a d-'],
    ['in a directory that is left out', { filter: treeFilter({ exclude: ['d/'] }) }, 'f d-'],
    [
      'left out, when that is asked for',
      { filter: treeFilter({ exclude: ['b'] }), deleteExcluded: true },
      'f d/e/b d/e d/a d- d',
    ],
  ])('and is %s stays with what holds it', async (_, options, expected) => {
    const removed = (await planned([TOP, file('z')], EXTRA, options)).filter((each) =>
      each.startsWith('delete '),
    );
    expect(removed).toEqual(expected.split(' ').map((path) => `delete ${path}`));
  });

  test('and not among what is named stays', async () => {
    const filter = treeFilter({ files: ['z', 'd'] });
    const removed = ['delete d/e/b', 'delete d/e', 'delete d/a'];
    expect(await planned([TOP, directory('d'), file('z')], [...EXTRA, file('z')], { filter })).toEqual(
      removed,
    );
  });

  test('a file that the source has in another size stays, though the size leaves it out', async () => {
    const source = [TOP, directory('d'), file('d/a', 'too large'), file('b')];
    const target = [TOP, directory('d'), file('d/a'), file('d/c'), file('b')];
    const filter = treeFilter({ maxSizeBytes: 3 });
    expect(await planned(source, target, { filter })).toEqual(['delete d/c']);
    expect(await planned([TOP, file('b')], target, { filter })).toEqual([
      'delete d/c',
      'delete d/a',
      'delete d',
    ]);
  });

  test.each([{ deleteExcluded: false }, { deleteExcluded: true }])(
    'no directory goes that something of the source is in, %j',
    async (options) => {
      const source = [TOP, directory('a'), directory('a/b'), file('a/b/c')];
      const filter = treeFilter({ files: ['a/b/c'] });
      expect(await planned(source, source, { ...options, filter })).toEqual([]);
      expect(await planned(source, [...source, file('a/b/d')], { ...options, filter })).toEqual(
        options.deleteExcluded ? ['delete a/b/d'] : [],
      );
    },
  );

  test('nothing is removed when something is refused, nor what is in the way of a file', async () => {
    const source = [TOP, file('d'), file('f', 'new')];
    expect(await planned(source, EXTRA)).toContain('delete d/a');
    expect(await planned(source, EXTRA, { rules: { ifExists: 'fail' } })).toEqual(['refuse d', 'refuse f']);
    const direction = new MemoryDirection(source, EXTRA);
    direction.problems = [['unreadable', 'local-file']];
    const actions = await planSync(direction, { ...PLAN, rules: SYNC });
    expect(kinds(actions).sort()).toEqual(['directory ', 'file f', 'refuse unreadable']);
  });
});

describe('safety rails', () => {
  const FIVE = [TOP, ...['a', 'b', 'c', 'd', 'e'].map((path) => file(path))];

  test.each<[removed: number, SyncOptions['maxDelete'], isAllowed: boolean]>([
    [2, { count: 2 }, true],
    [3, { count: 2 }, false],
    [0, { count: 0 }, true],
    [1, { count: 0 }, false],
    [2, { percent: 40 }, true],
    [3, { percent: 59.9 }, false],
    [3, { percent: 60 }, true],
    [1, { percent: 0 }, false],
    [4, undefined, true],
  ])('%i of 5 removed with %j: %s', async (removed, maxDelete, isAllowed) => {
    const run = planned(FIVE.slice(0, 6 - removed), FIVE, { maxDelete });
    if (isAllowed) expect(await run).toHaveLength(removed);
    else expect(await failureOf(run)).toMatchObject({ code: 'too-many-deletions' });
  });

  test.each<[name: string, source: MemoryEntry[]]>([
    ['empty', [TOP]],
    ['vanished', []],
  ])('a source that is %s is no measure', async (_, source) => {
    for (const rules of [{ delete: true }, { delete: false }])
      expect(await failureOf(planned(source, FIVE, { rules }))).toMatchObject({ code: 'empty-source' });
  });

  test('an empty source is one where that is said, but a vanished one is none', async () => {
    const allowEmptySource = true;
    expect(await planned([TOP], FIVE, { allowEmptySource })).toHaveLength(5);
    const maxDelete = { count: 4 };
    const both = planned([TOP], FIVE, { allowEmptySource, maxDelete });
    expect(await failureOf(both)).toMatchObject({ code: 'too-many-deletions' });
    for (const rules of [{ delete: true }, { delete: false }]) {
      const run = planned([], FIVE, { allowEmptySource, rules });
      expect(await failureOf(run)).toMatchObject({ code: 'empty-source' });
    }
  });

  test('what would not be removed anyway, because something is refused, is not counted', async () => {
    const direction = new MemoryDirection([TOP, file('new')], FIVE);
    direction.problems = [['unreadable', 'local-file']];
    const actions = await planSync(direction, { ...PLAN, rules: SYNC, maxDelete: { count: 0 } });
    expect(kinds(actions.filter(isChange))).toEqual(['file new']);
  });

  test('an empty source is one for an empty target, but a vanished one is none', async () => {
    expect(await planned([TOP], [TOP])).toEqual([]);
    for (const allowEmptySource of [true, false])
      expect(await failureOf(planned([], [], { allowEmptySource }))).toMatchObject({
        code: 'local-not-found',
      });
  });

  test('a source of which the filter leaves nothing is empty', async () => {
    const filter = treeFilter({ exclude: ['*'] });
    expect(await failureOf(planned(FIVE, FIVE, { filter }))).toMatchObject({ code: 'empty-source' });
  });

  test('a source of which all files are too large is not empty', async () => {
    const filter = treeFilter({ maxSizeBytes: 0 });
    const source = [TOP, file('a', 'content')];
    expect(await planned(source, FIVE, { filter, rules: { delete: false } })).toEqual([]);
  });

  test('what the source has in another spelling is not removed where that is the same name', async () => {
    const source = [TOP, directory('docs'), file('docs/kept', 'new'), file('Readme', 'new'), file('etc. .')];
    const target = [
      TOP,
      directory('Docs'),
      file('Docs/Kept'),
      file('Docs/gone'),
      file('README'),
      file('etc'),
    ];
    const direction = new MemoryDirection(source, target);
    direction.folding = { case: true, forms: true, ends: true };
    const actions = await planSync(direction, { ...PLAN, rules: SYNC });
    expect(kinds(actions.filter(({ kind }) => kind === 'delete'))).toEqual(['delete Docs/gone']);
  });
});

describe('what was asked for by name', () => {
  test.each<[files: string[], refused: string[]]>([
    [['a', 'd', '.'], []],
    [
      ['d/f', 'missing', 'd/missing'],
      ['refuse d/missing', 'refuse missing'],
    ],
    [['large', 'unreadable', 'left-out', 'no/left-out'], ['refuse unreadable']],
  ])('%j', async (files, refused) => {
    const source = [TOP, file('a'), directory('d'), file('d/f'), file('large', 'large'), file('left-out')];
    const direction = new MemoryDirection(source, [TOP]);
    if (files.includes('unreadable')) direction.problems = [['unreadable', 'local-file']];
    const filter = treeFilter({ files, exclude: ['left-out'], maxSizeBytes: 3 });
    const actions = await planSync(direction, { ...PLAN, allowEmptySource: true, filter, rules: SYNC });
    expect(kinds(actions.filter(({ kind }) => kind === 'refuse')).sort()).toEqual(refused);
  });
});

test('names that the target takes for the same are refused, with all in them', async () => {
  const source = [TOP, directory('A'), file('A/x'), directory('a'), file('a/y'), file('b')];
  const direction = new MemoryDirection(source, []);
  direction.folding = { case: true, forms: false, ends: true };
  const actions = await planSync(direction, { ...PLAN, rules: SYNC });
  const expected = ['directory ', 'directory A', 'file A/x', 'file b', 'refuse a', 'refuse a/y'];
  expect(kinds(actions).sort()).toEqual(expected);
});

describe('directories of which a filter takes only what is below them', () => {
  const SOURCE = [
    ...[TOP, directory('d', { mode: 0o700 }), directory('d/e'), file('d/e/a.jpg'), directory('d/f')],
    ...[file('d/f/a.txt'), directory('g'), file('z.jpg')],
  ];
  const filter = treeFilter({ include: ['*.jpg'] });

  test.each<[name: string, target: MemoryEntry[], Partial<Rules>, expected: string[]]>([
    ['are made', [TOP], {}, ['directory d', 'directory d/e', 'file d/e/a.jpg', 'file z.jpg']],
    ['are left as they stand', [TOP, directory('d')], {}, ['directory d/e', 'file d/e/a.jpg', 'file z.jpg']],
    ['take the place of nothing', [TOP, file('d')], {}, ['directory d/e', 'file d/e/a.jpg', 'file z.jpg']],
    ['need no steps without bits', [TOP], { archive: false }, ['file d/e/a.jpg', 'file z.jpg']],
    ['are skipped with a name that stays', [TOP, file('d')], { ifExists: 'skip' }, ['file z.jpg']],
  ])('%s', async (_, target, rules, expected) => {
    expect(await planned(SOURCE, target, { filter, rules: { delete: false, ...rules } })).toEqual(expected);
  });

  test('make no source of what has nothing else', async () => {
    const run = planned([TOP, directory('d'), file('d/a.txt')], [TOP, file('b.jpg')], { filter });
    expect(await failureOf(run)).toMatchObject({ code: 'empty-source' });
  });
});

describe('a copy', () => {
  const COPY: Rules = { ...SYNC, delete: false };

  test('is planned while the source is looked at, and counted', async () => {
    const totals: Totals[] = [];
    const direction = new MemoryDirection([TOP, file('a', 'xyz'), link('b'), file('c')], [TOP, file('c')]);
    const onCount = (count: Totals) => totals.push(count);
    const batches = await Array.fromAsync(planCopy(direction, { ...PLAN, rules: COPY, onCount }));
    expect(kinds(batches.flat())).toEqual(['directory ', 'file a', 'link b', 'skip c']);
    expect(totals).toEqual([
      { files: 1, bytes: 3, isExact: false },
      { files: 1, bytes: 3, isExact: true },
    ]);
  });

  test('by somebody who may not look at the target sends everything', async () => {
    const direction = new MemoryDirection([TOP, file('a')], [TOP, file('a')]);
    direction.scanTarget = () => Promise.reject(new SealiftError('forbidden', 'This is not for you.'));
    const plan = { ...PLAN, rules: COPY };
    const batches = await Array.fromAsync(planCopy(direction, plan));
    expect(kinds(batches.flat())).toEqual(['directory ', 'file a']);
    expect(await failureOf(planSync(direction, plan))).toMatchObject({ code: 'forbidden' });
    direction.scanTarget = () => Promise.reject(new SealiftError('connection-lost', 'It is gone.'));
    const lost = Array.fromAsync(planCopy(direction, plan));
    expect(await failureOf(lost)).toMatchObject({ code: 'connection-lost' });
  });
});
