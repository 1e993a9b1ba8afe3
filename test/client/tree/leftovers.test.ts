import { rmSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { isChange } from '../../../src/client/tree/action.ts';
import { ResumeKeys } from '../../../src/client/resume-keys.ts';
import { isTemporary } from '../../../src/client/tree/tree-entry.ts';
import { CliHome } from '../../support/cli.ts';
import { failureOf } from '../../support/failure.ts';
import { contentsAt, plantTree, setTime } from '../../support/planted-tree.ts';
import { MIB, noise } from '../setting.ts';
import { bothTrees, copy, startTrees, WAYS, type Trees } from './tree-setting.ts';

const large = noise(6 * MIB + 1);
const TREE = { 'd/large': large, 'd/small': 'small', a: 'a' };
const THEIRS = ['d/.sealift-0123456789abcdef.part', '.sealift-fedcba9876543210.lock'];

async function temporariesIn(root: string): Promise<string[]> {
  return (await readdir(root, { recursive: true })).filter(isTemporary).sort();
}

/** Stops a run when so much of the large file has arrived. */
async function interrupt(trees: Trees, doneBytes: number, options = {}): Promise<void> {
  const stop = new AbortController();
  const direction = trees.direction({ ...options, signal: stop.signal });
  const run = copy(direction, {
    run: { signal: stop.signal },
    observer: {
      onProgress: (path, progress) => {
        if (path === 'd/large' && progress.doneBytes >= doneBytes) stop.abort();
      },
    },
  });
  expect(await failureOf(run)).toMatchObject({ code: 'aborted' });
}

describe('a fetch that was interrupted', () => {
  test('left no half file under its name, and is taken up by the next', async () => {
    const trees = await startTrees('get', TREE, { 'd/large': { content: 'old', mtimeMs: 1 } });
    await interrupt(trees, 3 * MIB);
    expect(await contentsAt(trees.target)).toMatchObject({ 'd/large': 'old' });
    const left = await temporariesIn(trees.target);
    expect(left).toEqual([expect.stringMatching(/^d\/.*\.part$/)]);
    for (const name of THEIRS) await writeFile(join(trees.target, name), 'theirs');

    const { told, isComplete } = await copy(trees.direction());
    expect([told.failed, isComplete]).toEqual([{}, true]);
    const outcome = told.outcomes['d/large'];
    expect(outcome?.resumedBytes).toBeGreaterThanOrEqual(3 * MIB);
    expect((outcome?.resumedBytes ?? 0) + (outcome?.movedBytes ?? 0)).toBe(large.length);
    // Nobody else's are touched, or looked at as part of the tree.
    expect(await temporariesIn(trees.target)).toEqual(THEIRS.toSorted());
    const again = await copy(trees.direction());
    expect(again.actions.filter(isChange)).toEqual([]);
  });

  test.each([
    ['is there no more', { 'd/small': 'small', a: 'a' }],
    ['is there no more, and nothing else with it', { a: 'a' }],
    ['is small now', { ...TREE, 'd/large': 'small now' }],
  ])('leaves nothing for ever when the file %s', async (_, source) => {
    const trees = await startTrees('get', TREE);
    await interrupt(trees, 3 * MIB);
    const left = await temporariesIn(trees.target);
    expect(left).toHaveLength(1);
    await rm(trees.source, { recursive: true });
    await plantTree(trees.source, source);
    const { told, isComplete } = await copy(trees.direction());
    expect([told.failed, isComplete]).toEqual([{}, true]);
    const [target, wanted] = await bothTrees(trees);
    expect(target).toEqual(wanted);
  });

  test('leaves it where the next run fails, too', async () => {
    const trees = await startTrees('get', TREE);
    await interrupt(trees, 3 * MIB);
    const left = await temporariesIn(trees.target);
    const { told } = await copy(trees.direction(), {
      observer: { onAction: () => rmSync(join(trees.source, 'd/large'), { force: true }) },
    });
    expect(told.failed).toEqual({ 'd/large': 'not-found' });
    expect(await temporariesIn(trees.target)).toEqual(left);
  });
});

test('a put that was interrupted is taken up by the next, by the key that was kept', async () => {
  const trees = await startTrees('put', TREE, {});
  const resumeKeys = new ResumeKeys(join(trees.setting.directory, 'resume'));
  await interrupt(trees, 3 * MIB, { resumeKeys });
  expect(await contentsAt(trees.target)).not.toHaveProperty('d/large');
  const { told } = await copy(trees.direction({ resumeKeys }));
  expect(told.outcomes['d/large']?.resumedBytes).toBeGreaterThanOrEqual(3 * MIB);
  expect(await contentsAt(trees.target)).toEqual(await contentsAt(trees.source));
  expect(await readdir(join(trees.setting.directory, 'resume'))).toEqual([]);
});

test.each(WAYS)('%s: a run that was killed is finished by the next, and leaves nothing', async (way) => {
  const home = new CliHome();
  try {
    const server = await home.serve();
    const local = await plantTree(home.at('work', 'local'), way === 'put' ? TREE : {});
    const remote = await plantTree(join(server.root, 'tree'), way === 'get' ? TREE : {});
    const [source, target] = way === 'put' ? [local, remote] : [remote, local];
    await setTime(target, 1);
    const ends = way === 'put' ? [`${local}/`, server.place('tree')] : [server.place('tree/'), local];
    const args = ['sync', ...ends];
    const running = home.start([...args, '--bwlimit', '3M', '--json']);
    await running.event('progress');
    await running.kill('SIGKILL');
    expect(await contentsAt(target)).not.toHaveProperty('d/large');
    expect(await home.run(args)).toMatchObject({ code: 0 });
    const [after, wanted] = await bothTrees({ source, target });
    expect(after).toEqual(wanted);
  } finally {
    await home.close();
  }
});

test.each([
  ['get', /holds "bell\\u0007"/, /by hand/],
  ['put', /holds what a server does not list/, /rm -r/],
] as const)(
  '%s: what no tree shows is named where it is in the way of a removal',
  async (way, message, hint) => {
    const trees = await startTrees(way, { a: 'a' }, { a: 'a', 'old/bell\u0007': '' });
    const { told, isComplete } = await copy(trees.direction());
    expect([told.failed, isComplete]).toEqual([{ old: way === 'get' ? 'local-file' : 'not-empty' }, false]);
    expect(told.errors[0]?.message).toMatch(message);
    expect(told.errors[0]?.hint).toMatch(hint);
  },
);
