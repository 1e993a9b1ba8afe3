import { rm } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { isChange } from '../../src/client/tree/action.ts';
import { planSync } from '../../src/client/tree/plan-tree.ts';
import { treeFilter } from '../../src/client/tree/tree-filter.ts';
import { parentPath } from '../../src/transfer/remote-path.ts';
import { bothTrees, copy, kinds, PLAN, startTrees, SYNC, WAYS } from '../client/tree/tree-setting.ts';
import { directory, file, link, MemoryDirection, type MemoryEntry } from '../support/memory-direction.ts';
import { plantTree, type Planted } from '../support/planted-tree.ts';
import { holds } from '../support/properties.ts';

/** Trees of few names, so that two of them meet: everything in everything's place, at few times, with few bits. */
const name = fc.constantFrom('a', 'b', 'a-');
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('/'));
const mtimeMs = fc.constantFrom(1_000, 2_000);
const mode = fc.constantFrom(0o755, 0o700, 0o500);
const thing = (contents: readonly string[]) =>
  fc.oneof(
    fc
      .record({ content: fc.constantFrom(...contents), mtimeMs, mode })
      .map((given) => ({ make: file, given })),
    fc.record({ mtimeMs, mode }).map((given) => ({ make: undefined, given })),
    fc.record({ target: fc.constantFrom('a', '..'), mtimeMs }).map((given) => ({ make: link, given })),
  );
const tree = (contents: readonly string[]) =>
  fc.array(fc.tuple(path, thing(contents)), { minLength: 1, maxLength: 8 }).map((placed) => {
    const entries = new Map<string, MemoryEntry>([['', directory('')]]);
    for (const [at, { make, given }] of placed) {
      const parents: string[] = [];
      for (let each = parentPath(at); each !== ''; each = parentPath(each)) parents.push(each);
      if (
        entries.has(at) ||
        parents.some((each) => (entries.get(each) ?? directory('')).type !== 'directory')
      )
        continue;
      for (const each of parents) if (!entries.has(each)) entries.set(each, directory(each));
      const text = 'content' in given ? given.content : 'target' in given ? given.target : '';
      const size = make === undefined ? 0 : text.length;
      const made = make === undefined ? directory(at) : make(at, text);
      entries.set(at, { ...made, ...given, size });
    }
    return [...entries.values()];
  });

/** Where files are told apart by size and time, no two contents may have the same size. */
const SIZES = ['', 'x', 'yy', 'zzz'];
const CONTENTS = ['', 'x', 'y', 'xx', 'xy'];
const trees = fc.constantFrom('time' as const, 'digest' as const, 'never' as const).chain((compare) => {
  const given = tree(compare === 'time' ? SIZES : CONTENTS);
  return fc.record({
    compare: fc.constant(compare),
    source: given,
    target: given,
    detectRenames: fc.boolean(),
    transfers: fc.integer({ min: 1, max: 8 }),
  });
});

describe('two trees in memory', () => {
  test('become the same by a sync, and then nothing is left to do', async (context) => {
    await holds(
      context,
      fc.asyncProperty(trees, async ({ compare, source, target, detectRenames, transfers }) => {
        const direction = new MemoryDirection(source, target);
        const rules = { ...SYNC, compare };
        const { told, isComplete } = await copy(direction, {
          rules,
          plan: { detectRenames },
          run: { transfers },
        });
        expect(told.failed).toEqual({});
        expect(isComplete).toBe(true);
        expect(sorted(direction.target)).toEqual(sorted(direction.source));
        const again = await planSync(direction, { ...PLAN, rules: { ...rules, compare: 'digest' } });
        expect(kinds(again.filter(isChange))).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  test('by a sync, nothing is lost that the filter leaves out', async (context) => {
    const pattern = fc.constantFrom('a', 'b', '/a', 'b/', 'a/b', '!a/b', '!b');
    const filters = fc.record({
      exclude: fc.array(pattern, { minLength: 1, maxLength: 3 }),
      include: fc.array(pattern, { maxLength: 1 }),
    });
    await holds(
      context,
      fc.asyncProperty(trees, filters, async ({ compare, source, target, transfers }, options) => {
        const direction = new MemoryDirection(source, target);
        const filter = treeFilter(options);
        await copy(direction, {
          rules: { ...SYNC, compare },
          plan: { filter, allowEmptySource: true },
          run: { transfers },
        });
        for (const was of target) {
          const meant = direction.source.get(was.path);
          const isReplaced = meant !== undefined && filter.takes(meant);
          if (isReplaced || !filter.protects(was.path, was.type === 'directory')) continue;
          const has = direction.target.get(was.path);
          expect(has, was.path).toMatchObject({ type: was.type });
          expect(has?.content, was.path).toBe(was.content);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('by a copy, nothing is lost but what has the name of something else', async (context) => {
    await holds(
      context,
      fc.asyncProperty(trees, async ({ compare, source, target, transfers }) => {
        const direction = new MemoryDirection(source, target);
        const { told } = await copy(direction, { rules: { compare, delete: false }, run: { transfers } });
        for (const [path, was] of direction.target) expect(was.path).toBe(path);
        for (const was of target) {
          const meant = direction.source.get(was.path);
          const isRefused = told.failed[was.path] === 'is-directory';
          const isReplaced = meant !== undefined && !isRefused;
          if (!isReplaced) expect(direction.target.get(was.path)?.content).toBe(was.content);
        }
        for (const wanted of source) {
          const has = direction.target.get(wanted.path);
          if (told.failed[wanted.path] === undefined) expect(has).toMatchObject({ type: wanted.type });
        }
      }),
      { numRuns: 300 },
    );
  });
});

test.for(WAYS)('two trees on disk become the same by a sync, %s', async (way, context) => {
  const { setting, ...first } = await startTrees(way, undefined);
  await holds(
    context,
    fc.asyncProperty(tree(SIZES), tree(SIZES), fc.boolean(), async (source, target, detectRenames) => {
      for (const path of [first.source, first.target]) await rm(path, { recursive: true, force: true });
      await plantTree(first.source, planted(source));
      await plantTree(first.target, planted(target));
      const { told } = await copy(first.direction(), { plan: { detectRenames, allowEmptySource: true } });
      expect(told.failed).toEqual({});
      const [after, wanted] = await bothTrees(first);
      expect(after).toEqual(wanted);
      const again = await copy(first.direction(), { plan: { allowEmptySource: true } });
      expect(kinds(again.actions.filter(isChange))).toEqual([]);
    }),
    { numRuns: 25 },
  );
  expect(setting.proxy.connections).toBeGreaterThan(25);
});

function sorted(entries: ReadonlyMap<string, MemoryEntry>): MemoryEntry[] {
  return [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function planted(entries: readonly MemoryEntry[]): Record<string, Planted> {
  return Object.fromEntries(
    entries.map(({ path, type, target, content = '', mode, mtimeMs }) => [
      type === 'directory' ? `${path}/` : path,
      target === undefined ? { content, mode, mtimeMs } : { link: target, mtimeMs },
    ]),
  );
}
