import { describe, expect, test } from 'vitest';

import type { RunOptions, TreeObserver } from '../../../src/client/tree/run-actions.ts';
import { SealiftError, type ErrorCode } from '../../../src/errors.ts';
import { failureOf } from '../../support/failure.ts';
import { MIB } from '../setting.ts';
import { directory, file, link, MemoryDirection, type MemoryEntry } from '../../support/memory-direction.ts';
import { copy, type CopyOptions } from './tree-setting.ts';

const TOP = directory('');
const ONE_BY_ONE: CopyOptions = { run: { transfers: 1 } };

/** A step fails, each time it is taken. */
function failing(direction: MemoryDirection, steps: Record<string, ErrorCode>): MemoryDirection {
  direction.before = (step) => {
    const code = steps[step];
    if (code !== undefined) throw new SealiftError(code, `${step} fails.`);
  };
  return direction;
}

/** The most steps that are ever taken at the same time. */
function mostAtOnce(direction: MemoryDirection): () => number {
  const inWork = new Set<string>();
  let most = 0;
  direction.before = async (step) => {
    inWork.add(step);
    most = Math.max(most, inWork.size);
    for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    inWork.delete(step);
  };
  return () => most;
}

/** The calls but for those that neither begin nor end anything. */
async function callsOf(source: MemoryEntry[], target: MemoryEntry[], options: CopyOptions = {}) {
  const direction = new MemoryDirection([TOP, ...source], [TOP, ...target]);
  const { told, isComplete } = await copy(direction, { ...ONE_BY_ONE, ...options });
  return { calls: direction.calls, told, isComplete, direction };
}

describe('the order of steps', () => {
  test('files, then links, then removals, then the directories, and nothing is held any more', async () => {
    const { calls } = await callsOf(
      [directory('d'), link('d/a-link'), file('d/b'), file('z')],
      [directory('e'), file('e/f'), link('g')],
    );
    expect(calls).toEqual([
      ...['begin', 'mkdir d', 'send d/b', 'send z', 'link d/a-link', 'remove g', 'remove e/f', 'remove e'],
      ...['end complete', 'set d', 'set', 'dispose'],
    ]);
  });

  test('a file in the place of a directory comes when that is gone, and a directory in the place of a file when it is needed', async () => {
    const { calls } = await callsOf(
      [file('a'), directory('b'), file('b/c'), link('l'), file('z')],
      [directory('a'), file('a/b'), file('b'), directory('l')],
    );
    expect(calls.slice(1, -4)).toEqual([
      ...['remove b', 'mkdir b', 'send b/c', 'send z'],
      ...['remove a/b', 'remove l', 'remove a', 'send a', 'link l'],
    ]);
  });

  test('where nothing is to be done nothing is begun', async () => {
    const { calls, isComplete } = await callsOf([file('a')], [file('a')]);
    expect(calls).toEqual(['end complete', 'dispose']);
    expect(isComplete).toBe(true);
  });

  test.each([1, 8])('directories stand before what goes into them, %i at once', async (transfers) => {
    const depths = Array.from({ length: 20 }, (_, depth) =>
      Array(depth + 1)
        .fill('d')
        .join('/'),
    );
    const source = depths.flatMap((path) => [directory(path), file(`${path}/f`)]);
    const { told, direction } = await callsOf(source, [], { run: { transfers } });
    expect(told.failed).toEqual({});
    expect(direction.target.get('d/d/d')).toMatchObject({ mtimeMs: 1_000, mode: 0o755 });
  });

  test.each<[what: string, size: number, expected: number, run: Partial<RunOptions>]>([
    ['as are allowed', 1, 5, { transfers: 5 }],
    ['as the way holds', 1, 70, { transfers: undefined }],
    ['as 64 MiB hold', MIB, 64, { transfers: undefined }],
    ['as 64 MiB hold, of more than a block', 2 * MIB, 16, { transfers: undefined }],
    ['as have 16 MiB of that, of large ones', 5_000 * MIB, 4, { transfers: undefined }],
    ['as are allowed, of large ones too', 5_000 * MIB, 3, { transfers: 3 }],
  ])('so many files at once %s', async (_, size, expected, run) => {
    const files = Array.from({ length: 100 }, (__, n) => file(`f${n}`, 'x', { size }));
    const direction = new MemoryDirection([TOP, ...files]);
    direction.filesAtOnce = 70;
    const most = mostAtOnce(direction);
    await copy(direction, { run });
    expect(most()).toBe(expected);
  });

  test('directories are removed together with others of their depth, the deepest first', async () => {
    const extra = ['a', 'a/b', 'a/b/c', 'd', 'd/e', 'f'].map((path) => directory(path));
    const direction = new MemoryDirection([TOP, file('new')], [TOP, ...extra]);
    const most = mostAtOnce(direction);
    await copy(direction);
    const removed = direction.calls.filter((call) => call.startsWith('remove '));
    expect(removed.map((call) => call.split('/').length)).toEqual([3, 2, 2, 1, 1, 1]);
    expect(most()).toBe(3);
    expect([...direction.target.keys()]).toEqual(['', 'new']);
  });
});

describe('directories that do not let anything be changed in them', () => {
  const sealed = { mode: 0o555 };
  const SEALED = [directory('d', sealed), file('d/a'), directory('d/e', sealed), file('d/e/f')];

  test('are opened for as long as it takes, new ones too', async () => {
    for (const target of [[], [directory('d', sealed), file('d/old')]]) {
      const { told, direction } = await callsOf(SEALED, target);
      expect(told.failed).toEqual({});
      expect(direction.target.get('d')).toMatchObject({ mode: 0o555, mtimeMs: 1_000 });
      expect([...direction.target.keys()].sort()).toEqual(['', 'd', 'd/a', 'd/e', 'd/e/f']);
    }
  });

  test('are left alone if nothing changes in them', async () => {
    const { calls } = await callsOf([...SEALED, file('new')], SEALED);
    expect(calls).toEqual(['begin', 'send new', 'end complete', 'set', 'dispose']);
  });

  test('are emptied and removed too', async () => {
    const { told, direction } = await callsOf([file('new')], SEALED);
    expect(told.failed).toEqual({});
    expect([...direction.target.keys()]).toEqual(['', 'new']);
  });

  test('may be the top, which is opened before anything is begun', async () => {
    const direction = new MemoryDirection([directory('', sealed), file('a')], [directory('', sealed)]);
    const { told } = await copy(direction);
    expect(told.failed).toEqual({});
    expect(direction.calls).toEqual(['set', 'begin', 'send a', 'end complete', 'set', 'dispose']);
    expect(direction.target.get('')).toMatchObject({ mode: 0o555, mtimeMs: 1_000 });
  });

  test('stay closed where bits are not kept', async () => {
    const { told } = await callsOf([directory('d'), file('d/a')], [directory('d', sealed)], {
      rules: { archive: false },
    });
    expect(told.failed).toEqual({ 'd/a': 'forbidden' });
  });
});

describe('a step that fails', () => {
  test('keeps no other back but removals, and what is in the way', async () => {
    const source = [file('a'), file('b'), directory('d'), file('d/e'), link('l'), file('was-directory')];
    const target = [file('extra'), directory('was-directory')];
    const direction = failing(new MemoryDirection([TOP, ...source], [TOP, ...target]), {
      'send a': 'no-space',
    });
    const { told, isComplete } = await copy(direction, ONE_BY_ONE);
    expect(isComplete).toBe(false);
    expect(told.failed).toEqual({ a: 'no-space' });
    expect(told.done).toEqual(['file b', 'directory d', 'file d/e', 'link l']);
    expect([...direction.target.keys()].sort()).toEqual(['', 'b', 'd', 'd/e', 'extra', 'l', 'was-directory']);
    // Directories have their times all the same.
    expect(direction.target.get('d')).toMatchObject({ mtimeMs: 1_000 });
    expect(direction.calls).toContain('end');
  });

  test('is told for each file that it concerns', async () => {
    const source = [TOP, directory('d'), file('d/a'), file('d/b'), file('z')];
    const direction = failing(new MemoryDirection(source, [TOP]), { 'mkdir d': 'forbidden' });
    const { told } = await copy(direction);
    expect(told.failed).toEqual({ d: 'forbidden', 'd/a': 'forbidden', 'd/b': 'forbidden' });
    expect(told.done).toEqual(['file z']);
  });

  test('may be a removal, and the directory of it stays', async () => {
    const target = [TOP, directory('d'), file('d/a'), file('d/b')];
    const direction = failing(new MemoryDirection([TOP, file('z')], target), { 'remove d/a': 'forbidden' });
    const { told } = await copy(direction);
    expect(told.failed).toEqual({ 'd/a': 'forbidden', d: 'not-empty' });
    expect(told.done).toEqual(['file z', 'delete d/b']);
  });

  test.each<[ErrorCode, failed: Record<string, string>]>([
    ['forbidden', {}],
    ['internal', { d: 'internal' }],
  ])('may be the time of a directory: %s', async (code, failed) => {
    const source = [TOP, directory('d'), file('d/a')];
    const { told } = await copy(failing(new MemoryDirection(source, [TOP]), { 'set d': code }));
    expect(told.failed).toEqual(failed);
  });

  test('may be the beginning: then nothing is done', async () => {
    const direction = failing(new MemoryDirection([TOP, file('a'), file('b')], [TOP]), { begin: 'locked' });
    expect(await failureOf(copy(direction))).toMatchObject({ code: 'locked' });
    expect(direction.calls).toEqual(['begin', 'dispose']);
  });

  test('ends the run if everything else would fail too', async () => {
    const source = [TOP, ...Array.from({ length: 50 }, (_, n) => file(`f${n + 10}`)), link('l')];
    const direction = failing(new MemoryDirection(source, [TOP, file('extra')]), { 'send f20': 'forbidden' });
    const { told, isComplete } = await copy(direction, {
      run: { transfers: 3, isHopeless: ({ code }) => code === 'forbidden' },
    });
    expect([told.failed, isComplete]).toEqual([{ f20: 'forbidden' }, false]);
    expect(told.done.length).toBeLessThan(15);
    expect(direction.target.has('extra')).toBe(true);
    expect(direction.target.has('l')).toBe(false);
  });
});

describe('somebody says stop', () => {
  test.each(['send a', 'link l', 'remove extra', 'set d'])('at "%s"', async (when) => {
    const stop = new AbortController();
    const source = [TOP, file('a'), directory('d'), file('d/b'), link('l')];
    const direction = new MemoryDirection(source, [TOP, file('extra'), directory('extra-directory')]);
    direction.before = (step) => {
      if (step === when) stop.abort();
    };
    const { signal } = stop;
    expect(await failureOf(copy(direction, { run: { transfers: 1, signal } }))).toMatchObject({
      code: 'aborted',
    });
    // The step under way ends, and no other begins.
    expect(direction.calls.slice(direction.calls.indexOf(when) + 1)).toEqual(['dispose']);
  });
});

test('what becomes of each is told, steps before they are taken', async () => {
  const events: string[] = [];
  const observer: TreeObserver = {
    onAction: ({ kind, entry }) => events.push(`${kind} ${entry.path}`),
    onDone: ({ entry }) => events.push(`done ${entry.path}`),
    onProgress: (path, { doneBytes }) => events.push(`${path}: ${doneBytes}`),
  };
  const direction = new MemoryDirection([TOP, file('a', 'xyz'), file('b')], [TOP, file('b')]);
  const { told } = await copy(direction, { observer, ...ONE_BY_ONE });
  expect(events).toEqual(['directory ', 'file a', 'a: 3', 'done a', 'skip b']);
  expect(told.skipped).toEqual({ b: 'unchanged' });
});
