import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runHere } from '../cli/run-here.ts';
import { CliHome, type ServeProcess } from '../support/cli.ts';
import { contentsAt, treeAt } from '../support/planted-tree.ts';
import { DIRECTIONS, twoSides, type Tree } from './two-sides.ts';

const MIB = 2 ** 20;
const home = new CliHome();
let server: ServeProcess;

beforeAll(async () => {
  server = await home.serve();
});
afterAll(() => home.close());

const check = (...args: string[]) => runHere(home, ['check', '--json', ...args]);

describe.each(DIRECTIONS)('check %s', (direction) => {
  const sidesOf = (from: Tree, to?: Tree) => twoSides(home, server, direction, from, to);
  const SAME = { a: 'A', 'b/c': 'C', 'd/': '', link: { link: 'a' } };
  const OTHER = { a: 'a', 'b/c': 'C', 'extra/x': 'x', link: { link: 'b' }, d: 'no directory' };

  test('what is equal but for times and permission bits: 0', async () => {
    const { source, target } = await sidesOf(SAME, { ...SAME, a: { content: 'A', mode: 0o600, mtimeMs: 1 } });
    for (const from of [source, `${source}/`]) {
      const { code, events } = await check(from, target);
      expect(code).toBe(0);
      expect(events.slice(1)).toMatchObject([{ type: 'summary', unchanged: 5, files: 0, exitCode: 0 }]);
    }
    const { stdout, stderr } = await home.run(['check', source, target]);
    expect([stdout, stderr]).toEqual(['', expect.stringMatching(/^compared in \S+, 5 the same\n$/)]);
    expect((await check(`${source}/a`, `${target}/a`)).events.at(-1)).toMatchObject({ unchanged: 1 });
  });

  test('missing, different though of equal size and time, extra: 9, and nothing is changed', async () => {
    const { source, target, to } = await sidesOf({ ...SAME, 'new/file': 'new' }, OTHER);
    const before = await treeAt(to);
    const { code, events } = await check(source, target);
    expect(code).toBe(9);
    const told = events.filter(({ type }) => type === 'difference').map(({ path, kind }) => [path, kind]);
    expect(told.sort()).toEqual([
      ['a', 'different'],
      ['d', 'different'],
      ['extra', 'extra'],
      ['extra/x', 'extra'],
      ['link', 'different'],
      ['new', 'missing'],
      ['new/file', 'missing'],
    ]);
    expect(events.at(-1)).toMatchObject({ unchanged: 2, failed: 0, exitCode: 9 });
    const { stdout, stderr } = await home.run(['check', source, target]);
    expect(stdout.split('\n').sort().filter(Boolean)).toEqual(
      told.map(([path, kind]) => `${String(kind).padEnd(9)} ${String(path)}`).sort(),
    );
    expect(stderr).toMatch(/, 2 the same\n7 entries differ\n$/);
    expect(await treeAt(to)).toEqual(before);
    expect((await check(`${source}/a`, `${target}/a`)).code).toBe(9);
  });

  test('filters hold for both sides', async () => {
    const { source, target } = await sidesOf({ a: 'A', 'b.o': '1' }, { a: 'A', 'b.o': '2', 'c.o': '3' });
    expect((await check(source, target)).code).toBe(9);
    expect((await check('--exclude', '*.o', source, target)).code).toBe(0);
  });

  test('a source that is not there: 4; a target: all is missing, 9', async () => {
    const { source, target } = await sidesOf(SAME);
    expect((await check(`${source}/none`, target)).code).toBe(4);
    const { code, events } = await check(source, target);
    expect([code, events.filter(({ kind }) => kind === 'missing').length]).toEqual([9, 6]);
  });

  test('--repair sends only the damaged blocks, and leaves what is too much', async () => {
    const good = randomBytes(8 * MIB);
    const bad = Buffer.from(good);
    bad[5 * MIB + 17] = (bad[5 * MIB + 17] ?? 0) ^ 1;
    const { source, target, from, to } = await sidesOf(
      { big: good, 'dir/new': 'new', link: { link: 'big' } },
      { big: bad, extra: 'extra' },
    );
    const { code, events } = await check('--repair', source, target);
    expect(code).toBe(9);
    const files = events.filter(({ type }) => type === 'file');
    const moved = direction === 'to a server' ? 'sentBytes' : 'receivedBytes';
    expect(files.find(({ size }) => size === good.length)).toMatchObject({
      [moved]: MIB,
      resumedBytes: 7 * MIB,
    });
    expect(events.at(-1)).toMatchObject({ files: 2, links: 1, failed: 0, exitCode: 9 });
    expect(await contentsAt(to)).toEqual({ ...(await contentsAt(from)), extra: 'extra' });
    expect((await check('--exclude', 'extra', source, target)).code).toBe(0);
    expect((await check('--repair', '--exclude', 'extra', source, target)).events.at(-1)).toMatchObject({
      files: 0,
    });
  });

  test('--repair that leaves no difference: 0', async () => {
    const { source, target, from, to } = await sidesOf({ a: 'A', b: 'B' }, { a: 'a' });
    const { stdout, stderr, code } = await home.run(['check', '--repair', source, target]);
    expect([code, stdout]).toEqual([0, 'different a\nmissing   b\n']);
    expect(stderr).toMatch(/2 of 2 files, 2B in .*\n$/);
    expect(await contentsAt(to)).toEqual(await contentsAt(from));
  });
});

describe.each(DIRECTIONS)('check --repair %s', (direction) => {
  test('makes directories that are missing, as the source has them: 0', async () => {
    const own = { mode: 0o700, mtimeMs: 5_000 };
    const { source, target, from, to } = await twoSides(
      home,
      server,
      direction,
      { a: 'A', 'd/e/f': 'F', 'empty/': { mtimeMs: 6_000 }, 'd/e/': own, 'd/': own },
      { a: 'A' },
    );
    const { code, events } = await check('--repair', source, target);
    expect(code).toBe(0);
    expect(events.at(-1)).toMatchObject({ files: 1, directories: 3, failed: 0, exitCode: 0 });
    expect(await treeAt(to)).toEqual({ ...(await treeAt(from)), '': expect.anything() });
    expect((await check(source, target)).code).toBe(0);
  });
});

describe('a difference is not hidden by what fails besides: 9', () => {
  test.each<[name: string, from: Tree, to: Tree]>([
    ['something that is the same', { a: 'A', b: 'B', 'bell\u0007': 'x' }, { a: 'a', b: 'B' }],
    ['nothing that is the same', { a: 'A', 'bell\u0007': 'x' }, { a: 'a' }],
    ['a failure alone, and what is too much', { 'bell\u0007': 'x' }, { b: 'B' }],
  ])('with %s', async (_, from, to) => {
    const { source, target } = await twoSides(home, server, 'to a server', from, to);
    const { code, events } = await check(source, target);
    expect(events.filter(({ type }) => type === 'error')).toMatchObject([{ code: 'bad-name' }]);
    expect(events.filter(({ type }) => type === 'difference')).toHaveLength(1);
    expect(events.at(-1)).toMatchObject({ type: 'summary', failed: 1, exitCode: 9 });
    expect(code).toBe(9);
  });

  test('but what failed is told where nothing differs', async () => {
    const same = { a: 'A', b: 'B' };
    const from = { ...same, 'bell\u0007': 'x' };
    const { source, target } = await twoSides(home, server, 'to a server', from, same);
    expect((await check(source, target)).code).toBe(3);
  });

  test.each(['', '/'])(
    'and what failed has the name that sync gives it, of a source with %j behind',
    async (end) => {
      const { source, target } = await twoSides(
        home,
        server,
        'to a server',
        { 'sub/bell\u0007': 'x', a: '' },
        { a: '' },
      );
      for (const command of ['sync', 'check']) {
        const { code, stderr } = await runHere(home, [command, `${source}${end}`, target]);
        expect(code).toBe(3);
        expect(stderr).toContain(`sealift: failed: ${source}/sub/bell`);
      }
    },
  );
});
