import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inThisProcess, runHere } from '../cli/run-here.ts';
import { CliHome, type ServeProcess } from '../support/cli.ts';
import { contentsAt, LONG_AGO, plantTree, treeAt } from '../support/planted-tree.ts';
import type { Event } from '../support/running-process.ts';
import { DIRECTIONS, twoSides, type Tree } from './two-sides.ts';

const home = new CliHome();
/** For what needs no process. */
const here = inThisProcess(home);
let server: ServeProcess;

beforeAll(async () => {
  server = await home.serve();
});
afterAll(() => home.close());

const sync = (...args: string[]) => here.run(['sync', ...args]);
const lines = (text: string) => text.split('\n').filter((line) => /^(send|delete|move|skip) /.test(line));
const plans = (told: readonly Event[]) => told.filter(({ type }) => type === 'plan');

describe.each(DIRECTIONS)('sync %s', (direction) => {
  const sidesOf = (from: Tree, to?: Tree) => twoSides(home, server, direction, from, to);

  test('the two names stand for each other, with / or without; a second run sends nothing', async () => {
    const { source, target, from, to } = await sidesOf({
      a: { content: 'A', mode: 0o640 },
      'b/': { mode: 0o711 },
      'b/c': 'C',
      'b/link': { link: 'c' },
      'd/': '',
      './': '',
    });
    expect(await home.run(['sync', source, target])).toMatchObject({ code: 0, stdout: '' });
    expect(await treeAt(to)).toEqual(await treeAt(from));
    for (const again of [source, `${source}/`]) {
      const { code, stderr } = await sync(again, target);
      expect({ code, stderr }).toEqual({
        code: 0,
        stderr: expect.stringMatching(/^nothing (sent|fetched) in \S+, 3 unchanged\n$/),
      });
    }
    expect(await treeAt(to)).toEqual(await treeAt(from));
    expect((await sync(source, `${target}/into/`)).code).toBe(0);
    expect(await contentsAt(`${to}/into/source`)).toEqual(await contentsAt(from));
  });

  test('a single file, onto a name or into a directory', async () => {
    const { source, target, from, to } = await sidesOf({ 'f.txt': 'F', 'f2.txt': 'F2' });
    expect((await sync(`${source}/f.txt`, `${target}/g.txt`)).stderr).toMatch(/^send [fg]\.txt \(1B\)\n$/);
    for (const file of ['f.txt', 'f2.txt']) expect((await sync(`${source}/${file}`, target)).code).toBe(0);
    expect(await contentsAt(to)).toEqual({ 'f.txt': 'F', 'f2.txt': 'F2', 'g.txt': 'F' });
    await plantTree(from, { 'f.txt': { content: 'G', mtimeMs: 5 } });
    expect((await sync(`${source}/f.txt`, `${target}/f.txt`)).code).toBe(0);
    expect(await contentsAt(to)).toMatchObject({ 'f.txt': 'G', 'g.txt': 'F' });
  });

  test('-n prints just what the run then prints, also with --json, and changes nothing', async () => {
    const trees = [
      {
        new: 'new',
        changed: { content: 'after', mtimeMs: 5 },
        same: { content: 'same', mode: 0o600 },
        'dir/x': 'x',
        link: { link: 'new' },
        renamed: 'moved',
        './': { mtimeMs: 9 },
      },
      { changed: 'before', same: { content: 'same', mode: 0o644 }, 'extra/y': 'y', old: 'moved' },
    ] as const;
    const sides = await sidesOf(...trees);
    const before = await treeAt(sides.to);
    const args = ['--delete', '--detect-renames', sides.source, sides.target];
    const dry = await sync('-n', ...args);
    const dryJson = await here.runJson(['sync', '-n', ...args]);
    expect(await treeAt(sides.to)).toEqual(before);
    expect([dry.code, dryJson.code]).toEqual([0, 0]);
    expect(dry.stderr).toContain('Nothing was changed');
    expect(lines(dry.stdout).sort()).toEqual(
      ['delete extra/', 'delete extra/y', 'move old -> renamed', 'send ./', 'send changed (5B)']
        .concat(['send dir/', 'send dir/x (1B)', 'send link', 'send new (3B)', 'send same (attributes)'])
        .sort(),
    );
    const real = await sync(...args);
    expect(real).toMatchObject({ code: 0, stdout: '' });
    expect(lines(real.stderr)).toEqual(lines(dry.stdout));
    expect(await contentsAt(sides.to)).toEqual(await contentsAt(sides.from));

    const other = await sidesOf(...trees);
    const json = ['sync', '--delete', '--detect-renames', other.source, other.target];
    const realJson = await here.runJson(json);
    expect(plans(realJson.events)).toEqual(plans(dryJson.events));
    expect(plans(dryJson.events)).toContainEqual(expect.objectContaining({ path: 'dir/x', action: 'send' }));
    expect(realJson.events.at(-1)).toMatchObject({
      ...{ files: 3, links: 1, attributes: 1, moved: 1, deleted: 2, failed: 0, exitCode: 0 },
    });
  });

  const OLD = { content: 'abc', mtimeMs: LONG_AGO };
  test.each([
    ['size and time decide', [], 'same', { content: 'xyz', mtimeMs: LONG_AGO }, 'xyz', 'unchanged'],
    ['with -c the content does', ['-c'], 'same', { content: 'xyz', mtimeMs: LONG_AGO }, 'abc', 'files'],
    ['-c sends nothing for a time', ['-c'], 'same', { content: 'abc', mtimeMs: 7 }, 'abc', 'attributes'],
    [
      'a file that is newer there goes',
      [],
      'newer',
      { content: 'xyz', mtimeMs: LONG_AGO + 1 },
      'abc',
      'files',
    ],
    ['with -u it stays', ['-u'], 'newer', { content: 'xyz', mtimeMs: LONG_AGO + 1 }, 'xyz', 'skipped'],
    ['with -u an older one goes', ['-u'], 'older', { content: 'xyz', mtimeMs: 1 }, 'abc', 'files'],
    [
      'with --if-exists skip it stays',
      ['--if-exists', 'skip'],
      'there',
      { content: 'xyz', mtimeMs: 1 },
      'xyz',
      'skipped',
    ],
    [
      'with --if-exists fail it stays',
      ['--if-exists', 'fail'],
      'there',
      { content: 'xyz', mtimeMs: 1 },
      'xyz',
      'failed',
    ],
  ])('%s (%j)', async (_, flags, name, existing, expected, counted) => {
    const sides = await sidesOf({ [name]: OLD, other: 'new' }, { [name]: existing });
    const { code, events } = await runHere(home, ['sync', '--json', ...flags, sides.source, sides.target]);
    expect(code).toBe(counted === 'failed' ? 3 : 0);
    expect(events.at(-1)).toMatchObject({ [counted]: counted === 'files' ? 2 : 1 });
    expect(await contentsAt(sides.to)).toEqual({ [name]: expected, other: 'new' });
    if (counted === 'attributes') expect((await treeAt(sides.to))[name]?.mtimeMs).toBe(LONG_AGO);
  });
});

test.each([
  [['--if-exists', 'rename'], '--if-exists rename'],
  [['--detect-renames'], 'needs that'],
  [['--delete-excluded'], 'needs that'],
  [['--max-delete', 'many'], '--max-delete'],
  [['--max-delete', '101%'], '--max-delete: 101% is more than everything'],
])('%j is refused: 2', async (flags, said) => {
  const { code, stderr } = await runHere(home, ['sync', ...flags, 'x', server.place('x')]);
  expect([code, stderr]).toEqual([2, expect.stringContaining(said)]);
});
