import { expect, test } from 'vitest';

import type { Action } from '../../../src/client/tree/action.ts';
import { decisions, freeNames, type Rules } from '../../../src/client/tree/decide.ts';
import type { TreeEntry } from '../../../src/client/tree/tree-entry.ts';
import { EVERYTHING } from '../../../src/client/tree/tree-filter.ts';
import { SealiftError, type ErrorCode } from '../../../src/errors.ts';
import { failureOf } from '../../support/failure.ts';
import { directory, file, link, MemoryDirection, type MemoryEntry } from '../../support/memory-direction.ts';
import { each, SYNC } from './tree-setting.ts';

const SCAN = { filter: EVERYTHING, onProblem: () => undefined };
const COPY: Rules = { ...SYNC, archive: false, delete: false };

/** What may stand at the target under the name of each thing that the source may have there. */
const TARGETS: Record<string, MemoryEntry> = {
  file: file('e', 'x'),
  'file of another size': file('e', 'xx'),
  'file of another content': file('e', 'y'),
  'older file': file('e', 'y', { mtimeMs: 999 }),
  'newer file': file('e', 'y', { mtimeMs: 1_001 }),
  'older same file': file('e', 'x', { mtimeMs: 999 }),
  'file with other bits': file('e', 'x', { mode: 0o600 }),
  directory: directory('e'),
  'older directory': directory('e', { mtimeMs: 999 }),
  'directory with other bits': directory('e', { mode: 0o700 }),
  link: link('e'),
  'link elsewhere': link('e', 'y'),
  'newer link': link('e', 'x', { mtimeMs: 1_001 }),
  'newer link elsewhere': link('e', 'y', { mtimeMs: 1_001 }),
};

const SOURCES = { file: file('e'), directory: directory('e'), link: link('e') };

test.each<[source: keyof typeof SOURCES, target: string, rules: Partial<Rules>, expected: string]>([
  ['file', 'nothing', {}, 'file'],
  ['file', 'file', {}, 'skip unchanged'],
  ['file', 'file of another size', {}, 'file over file'],
  ['file', 'file of another content', {}, 'skip unchanged'],
  ['file', 'older file', {}, 'file over file'],
  ['file', 'newer file', {}, 'file over file'],
  ['file', 'file with other bits', {}, 'attributes'],
  ['file', 'directory', {}, 'file late'],
  ['file', 'link', {}, 'file over symlink'],
  ['directory', 'nothing', {}, 'directory'],
  ['directory', 'directory', {}, 'directory same'],
  ['directory', 'older directory', {}, 'directory differs'],
  ['directory', 'directory with other bits', {}, 'directory differs'],
  ['directory', 'file', {}, 'directory over file'],
  ['directory', 'link', {}, 'directory over symlink'],
  ['link', 'nothing', {}, 'link'],
  ['link', 'link', {}, 'skip unchanged'],
  ['link', 'link elsewhere', {}, 'link over symlink'],
  ['link', 'newer link', {}, 'attributes'],
  ['link', 'file', {}, 'link over file'],
  ['link', 'directory', {}, 'link late'],

  ['file', 'file with other bits', COPY, 'skip unchanged'],
  ['file', 'directory', COPY, 'refuse is-directory'],
  ['directory', 'older directory', COPY, 'directory same'],
  ['directory', 'file', COPY, 'directory over file'],
  ['link', 'nothing', COPY, 'skip link'],
  ['link', 'link elsewhere', COPY, 'skip link'],
  ['link', 'directory', { delete: false }, 'refuse is-directory'],

  ['file', 'file', { compare: 'digest' }, 'skip unchanged'],
  ['file', 'file of another size', { compare: 'digest' }, 'file over file'],
  ['file', 'file of another content', { compare: 'digest' }, 'file over file'],
  ['file', 'older same file', { compare: 'digest' }, 'attributes'],
  ['file', 'older same file', { ...COPY, compare: 'digest' }, 'attributes'],
  ['file', 'file', { compare: 'never' }, 'file over file'],
  ['directory', 'directory', { compare: 'never' }, 'directory same'],
  ['link', 'link', { compare: 'never' }, 'skip unchanged'],

  ['file', 'older file', { update: true }, 'file over file'],
  ['file', 'newer file', { update: true }, 'skip newer'],
  ['file', 'file of another size', { update: true }, 'file over file'],
  ['link', 'newer link elsewhere', { update: true }, 'skip newer'],
  ['file', 'newer link', { update: true }, 'file over symlink'],
  ['directory', 'newer file', { update: true }, 'directory over file'],

  ['file', 'nothing', { ifExists: 'skip' }, 'file'],
  ['file', 'file', { ifExists: 'skip' }, 'skip unchanged'],
  ['file', 'older file', { ifExists: 'skip' }, 'skip exists'],
  ['file', 'file with other bits', { ifExists: 'skip' }, 'skip exists'],
  ['file', 'older same file', { ifExists: 'skip', compare: 'digest' }, 'skip exists'],
  ['link', 'newer link', { ifExists: 'skip' }, 'skip exists'],
  ['file', 'link', { ifExists: 'skip' }, 'skip exists'],
  ['file', 'directory', { ifExists: 'skip' }, 'skip exists'],
  ['directory', 'directory', { ifExists: 'skip' }, 'directory same'],
  ['directory', 'file', { ifExists: 'skip' }, 'skip exists'],
  ['link', 'link elsewhere', { ifExists: 'skip' }, 'skip exists'],
  ['file', 'file', { ifExists: 'fail' }, 'skip unchanged'],
  ['file', 'older file', { ifExists: 'fail' }, 'refuse exists'],
  ['file', 'file with other bits', { ifExists: 'fail' }, 'refuse exists'],
  ['file', 'newer file', { ifExists: 'fail', update: true }, 'skip newer'],
  ['file', 'directory', { ifExists: 'fail' }, 'refuse exists'],
  ['directory', 'file', { ifExists: 'fail' }, 'refuse exists'],
  ['link', 'file', { ifExists: 'fail' }, 'refuse exists'],

  ['file', 'nothing', { ...COPY, ifExists: 'rename' }, 'file'],
  ['file', 'file', { ...COPY, ifExists: 'rename' }, 'skip unchanged'],
  ['file', 'older file', { ...COPY, ifExists: 'rename' }, 'file to e-1'],
  ['file', 'file with other bits', { ...COPY, archive: true, ifExists: 'rename' }, 'skip exists'],
  ['file', 'link', { ...COPY, ifExists: 'rename' }, 'file to e-1'],
  ['link', 'file', { ...COPY, archive: true, ifExists: 'rename' }, 'link to e-1'],
  ['directory', 'directory', { ...COPY, ifExists: 'rename' }, 'directory same'],
  // What is in it could not be found under another name.
  ['directory', 'file', { ...COPY, ifExists: 'rename' }, 'refuse exists'],
])('a %s where the target has: %s, by %j: %s', async (source, target, rules, expected) => {
  const { actions } = await decided([SOURCES[source]], target === 'nothing' ? [] : [TARGETS[target]!], rules);
  expect(actions.map(inShort)).toEqual([expected]);
});

// As FAT, ext with small inodes, and exFAT keep times: less what they cannot keep.
test.each([
  ['two seconds', 2_000, [1_790_000_000_000, 1_790_000_002_000]],
  ['a second', 1_000, [1_790_000_000_000, 1_790_000_001_000]],
  ['ten milliseconds', 10, [1_790_000_000_000, 1_790_000_001_230]],
] as const)('a target that keeps times to %s is the same by the time it can keep', async (_, grain, kept) => {
  const target = (mtimes: readonly number[]) => [
    ...[directory('d'), file('e'), link('l')].map((entry) => ({ ...entry, mtimeMs: mtimes[0]! })),
    file('f', 'x', { mtimeMs: mtimes[1]! }),
  ];
  const later = (ms: number) => target(kept.map((mtimeMs) => mtimeMs + ms));
  const shown = async (source: MemoryEntry[], there: MemoryEntry[], rules = {}, ms: number = grain) =>
    (await decided(source, there, rules, ms)).actions.map(inShort);
  const same = ['directory same', ...Array<string>(3).fill('skip unchanged')];
  for (const rules of [{}, { compare: 'digest' }] as const) {
    expect(await shown(later(0), target(kept), rules)).toEqual(same);
    expect(await shown(later(grain - 1), target(kept), rules)).toEqual(same);
  }
  const differs = ['directory differs', 'file over file', 'attributes', 'file over file'];
  expect(await shown(later(grain), target(kept))).toEqual(differs);
  expect(await shown(later(-1), target(kept))).toEqual(differs);
  // One that keeps them all is not the same because its times could be those of another.
  expect(await shown(later(grain - 1), target(kept), {}, 1)).toEqual(differs);
});

test.each([
  [file(''), directory('')],
  [directory(''), file('')],
  [directory(''), link('')],
])('two tops of different kinds were not meant for each other', async (source, target) => {
  expect(await failureOf(decided([source], [target]))).toMatchObject({ code: 'invalid-argument' });
});

test.each<[ErrorCode, isTold: boolean]>([
  ['local-file', true],
  ['not-found', true],
  ['connection-lost', false],
])('a comparison that fails with %s keeps the others from it: %s', async (code, isTold) => {
  const sides = new MemoryDirection([file('a'), file('b')], [file('a'), file('b')]);
  const error = new SealiftError(code, 'It failed.');
  sides.hasSameContent = ({ path }) => (path === 'a' ? Promise.reject(error) : Promise.resolve(true));
  const rules: Rules = { ...SYNC, compare: 'digest' };
  const batches = decisions(sides.scanSource(SCAN), await sides.scanTarget(), rules, sides);
  const all = Array.fromAsync(batches);
  if (isTold) expect((await all).flat().map(inShort)).toEqual([`refuse ${code}`, 'skip unchanged']);
  else expect(await failureOf(all)).toBe(error);
});

test('what the target has too much is left, and what is in the way of a file with it', async () => {
  const { left } = await decided(
    [directory(''), file('a'), link('b'), directory('d'), file('d/e')],
    [directory(''), file('a'), directory('b'), file('b/c'), directory('d'), file('d/e'), file('d/f')],
  );
  expect([...left.keys()]).toEqual(['b', 'b/c', 'd/f']);
});

test.each<Rules['compare']>(['time', 'digest'])(
  'what is in a directory is skipped with it, where a file of the target keeps that name, compared by %s',
  async (compare) => {
    const { actions } = await decided(
      [directory(''), directory('d'), directory('d/e'), file('d/e/f'), file('d-'), file('dd')],
      [directory(''), file('d'), file('d-')],
      { compare, ifExists: 'skip' },
    );
    expect(actions.map((action) => `${inShort(action)} ${action.entry.path}`)).toEqual([
      'directory same ',
      'skip exists d',
      'skip exists d/e',
      'skip exists d/e/f',
      'skip unchanged d-',
      'file dd',
    ]);
  },
);

test.each<Rules['compare']>(['time', 'digest'])(
  'a name that is given is free on both sides, compared by %s',
  async (compare) => {
    const [same, older] = [{ mtimeMs: 5 }, { mtimeMs: 1 }];
    const { actions } = await decided(
      [file('a.txt'), file('a-1.txt', 'z'), file('a-2.txt', 'x'), file('b', 'x', same)],
      [file('a.txt', 'y', older), file('a-1.txt', 'y', older), file('b', 'x', same)],
      { ...COPY, compare, ifExists: 'rename' },
    );
    // The last looks like what was given its name, and is not.
    expect(actions.map(inShort)).toEqual([
      'file to a-2.txt',
      'file to a-1-1.txt',
      'file to a-2-1.txt',
      'skip unchanged',
    ]);
  },
);

test.each<Rules['compare']>(['time', 'digest'])(
  'a file for which no name is free is refused, and keeps the others from nothing, compared by %s',
  async (compare) => {
    const older = { mtimeMs: 1 };
    const taken = Array.from({ length: 999 }, (_, index) => file(`b-${index + 1}`, 'y', older));
    const { actions } = await decided(
      [file('a', 'x'), file('b', 'x'), file('c', 'x')],
      [file('b', 'y', older), ...taken],
      { ...COPY, compare, ifExists: 'rename' },
    );
    expect(actions.map(inShort)).toEqual(['file', 'refuse exists', 'file']);
  },
);

test.each([
  ['a.txt', 'a.txt', 'a-1.txt', 'a-2.txt'],
  ['dir.d/a', 'dir.d/a', 'dir.d/a-1', 'dir.d/a-2'],
  ['dir/.hidden', 'dir/.hidden', 'dir/.hidden-1', 'dir/.hidden-2'],
  ['a.tar.gz', 'a.tar.gz', 'a.tar-1.gz', 'a.tar-2.gz'],
])('names for %s', (path, ...expected) => {
  expect([...freeNames(path)].slice(0, 3)).toEqual(expected);
});

async function decided(
  source: MemoryEntry[],
  target: MemoryEntry[],
  rules: Partial<Rules> = {},
  grainMs = 1,
) {
  const sides = new MemoryDirection(source, target);
  sides.grainMs = grainMs;
  const left = new Map<string, TreeEntry>(sides.target);
  const batches = await Array.fromAsync(decisions(each(source), left, { ...SYNC, ...rules }, sides));
  return { actions: batches.flat(), left };
}

function inShort(action: Action): string {
  const { kind, entry } = action;
  if (kind === 'skip') return `skip ${action.reason}`;
  if (kind === 'refuse') return `refuse ${action.error.code}`;
  if (kind === 'delete' || kind === 'move' || kind === 'attributes') return kind;
  if (kind === 'directory') {
    if (action.existing === undefined) return kind;
    if (action.existing.type !== 'directory') return `${kind} over ${action.existing.type}`;
    return `${kind} ${action.differs ? 'differs' : 'same'}`;
  }
  if (action.to !== entry.path) return `${kind} to ${action.to}`;
  return action.late ? `${kind} late` : action.existing ? `${kind} over ${action.existing.type}` : kind;
}
