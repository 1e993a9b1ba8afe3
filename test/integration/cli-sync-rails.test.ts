import { mkdirSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runHere } from '../cli/run-here.ts';
import { CliHome, type ServeProcess } from '../support/cli.ts';
import { contentsAt, treeAt } from '../support/planted-tree.ts';
import { REFUSING_PORT } from '../support/refusing-port.ts';
import { DIRECTIONS, twoSides, type Tree } from './two-sides.ts';

const home = new CliHome();
let server: ServeProcess;

beforeAll(async () => {
  server = await home.serve();
});
afterAll(() => home.close());

const sync = (...args: string[]) => runHere(home, ['sync', '--json', ...args]);

describe.each(DIRECTIONS)('rails of sync %s', (direction) => {
  const sidesOf = (from: Tree, to?: Tree) => twoSides(home, server, direction, from, to);
  const TEN: Tree = Object.fromEntries([...'abcdefghij'].map((name) => [name, name]));

  test.each([
    ['an empty source', {}, false, 'empty-source', []],
    ['a source that is gone', {}, true, 'empty-source', []],
    ['a source that is gone, not empty', {}, true, 'empty-source', ['--allow-empty-source']],
    ['more deletions than --max-delete', { a: 'a' }, false, 'too-many-deletions', ['--max-delete', '8']],
    ['more deletions than a share of it', { a: 'a' }, false, 'too-many-deletions', ['--max-delete', '89%']],
  ])('%s: 13, and nothing is changed', async (_, from, isGone, code, flags) => {
    const { source, target, from: there, to } = await sidesOf(from, TEN);
    if (isGone) rmSync(there, { recursive: true });
    const before = await treeAt(to);
    for (const more of [[], ['-n']]) {
      const ended = await sync('--delete', ...flags, ...more, source, target);
      expect(ended.code).toBe(13);
      // A dry run shows which deletions are too many, and counts none that the run would not come to.
      const deleted = more.length > 0 && code === 'too-many-deletions' ? 9 : 0;
      const plan = ended.events.filter(({ type }) => type === 'plan');
      expect(plan.filter(({ action }) => action === 'delete')).toHaveLength(deleted);
      expect(plan.length > 0).toBe(deleted > 0);
      expect(ended.events.slice(1).filter((event) => !plan.includes(event))).toMatchObject([
        { type: 'error', code, hint: expect.any(String) },
        { type: 'summary', files: 0, unchanged: 0, deleted: 0, failed: 1, exitCode: 13 },
      ]);
      expect(await treeAt(to)).toEqual(before);
    }
  });

  test.each([
    ['as many deletions as --max-delete', { a: 'a' }, { a: 'a' }, ['--max-delete', '9']],
    ['as many deletions as a share of it', { a: 'a' }, { a: 'a' }, ['--max-delete', '90%']],
    ['an empty source that is meant', {}, {}, ['--allow-empty-source']],
  ])('%s is no failure', async (_, from, left, flags) => {
    const { source, target, to } = await sidesOf(from, TEN);
    const ended = await sync('--delete', ...flags, source, target);
    expect(ended.events.at(-1)).toMatchObject({ deleted: 10 - Object.keys(left).length, exitCode: 0 });
    expect(await contentsAt(to)).toEqual(left);
  });

  test('a vanished source is told from a name that is wrong on both sides: 4', async () => {
    const { source, target } = await sidesOf({});
    expect((await sync(`${source}/none`, target)).code).toBe(4);
  });

  test('--backup-dir keeps what is replaced and what is removed, also inside the target', async () => {
    const old = { a: 'old', 'sub/b': 'old too', 'sub/gone': 'gone', link: { link: 'x' }, same: 'same' };
    const sides = await sidesOf({ a: { content: 'new', mtimeMs: 5 }, 'sub/b': 'newer', same: 'same' }, old);
    const path = sides.target.slice(sides.target.indexOf('/sides-') + 1);
    const backups = direction === 'to a server' ? path : sides.target;
    const args = ['--delete', '--backup-dir', `${backups}/kept`, sides.source, sides.target];
    const { events } = await sync(...args);
    expect(events.at(-1)).toMatchObject({ files: 2, deleted: 2, exitCode: 0 });
    const { same: _same, ...kept } = await contentsAt(`${sides.to}/kept`);
    expect(kept).toEqual({ a: 'old', 'sub/': '', 'sub/b': 'old too', 'sub/gone': 'gone', link: '-> x' });
    // The next run leaves it alone, and needs it no more.
    expect((await sync(...args)).events.at(-1)).toMatchObject({ files: 0, deleted: 0, exitCode: 0 });
    expect(await contentsAt(`${sides.to}/kept`)).toEqual(kept);
  });

  test('--detect-renames moves what has another name, and sends nothing', async () => {
    const sides = await sidesOf(
      { 'new/name': 'moved', copy: 'twice', other: 'changed' },
      { old: 'moved', copy: 'twice', another: 'CHANGED' },
    );
    const args = ['--delete', '--detect-renames', sides.source, sides.target];
    const { events } = await sync(...args);
    expect(events.at(-1)).toMatchObject({ moved: 1, files: 1, deleted: 1, movedBytes: 7, exitCode: 0 });
    expect(events).toContainEqual(
      expect.objectContaining({ type: 'plan', action: 'move', path: 'new/name', from: 'old' }),
    );
    expect(await contentsAt(sides.to)).toEqual(await contentsAt(sides.from));
  });

  test.each([
    [['--exclude', '*.o'], { 'a.c': 'new', 'a.o': 'built', 'gone.o': 'built', big: 'large' }],
    [['--exclude', '*.o', '--delete-excluded'], { 'a.c': 'new', big: 'large' }],
    [['--max-size', '4'], { 'a.c': 'new', big: 'old' }],
  ])('--delete leaves alone what a filter leaves out: %j', async (flags, expected) => {
    const to = { 'a.o': 'built', 'gone.o': 'built', 'gone.c': 'gone', big: 'old' };
    const from = flags[0] === '--exclude' ? { 'a.o': 'object' } : {};
    const sides = await sidesOf({ 'a.c': 'new', big: 'large', ...from }, to);
    expect((await sync('--delete', ...flags, sides.source, sides.target)).code).toBe(0);
    expect(await contentsAt(sides.to)).toEqual(expected);
  });

  test('--files-from takes what it names, deletes nothing else, and misses what is not there: 3', async () => {
    const { source, target, to } = await sidesOf({ a: 'A', 'b/c': 'C', d: 'D' }, { kept: 'kept' });
    const list = home.write('list', 'a\nb\nmissing\n');
    const ended = await sync('--delete', '--files-from', list, source, target);
    expect(ended.code).toBe(3);
    expect(ended.events).toContainEqual(
      expect.objectContaining({
        type: 'error',
        code: 'local-not-found',
        message: expect.stringContaining('missing'),
      }),
    );
    expect(await contentsAt(to)).toEqual({ a: 'A', 'b/': '', 'b/c': 'C', kept: 'kept' });
  });
});

test('--backup-dir elsewhere, on the side of the target', async () => {
  const put = await twoSides(home, server, 'to a server', { a: 'newer' }, { a: 'old' });
  expect((await sync('--backup-dir', 'attic/today', put.source, put.target)).code).toBe(0);
  expect(await contentsAt(home.at('root/attic/today'))).toEqual({ a: 'old' });
  const get = await twoSides(home, server, 'from a server', { a: 'newer' }, { a: 'old' });
  expect((await sync('--backup-dir', home.at('attic'), get.source, get.target)).code).toBe(0);
  expect(await contentsAt(home.at('attic'))).toEqual({ a: 'old' });
});

test('--backup-dir on another side than the target: 2, and nothing is changed', async () => {
  const put = await twoSides(home, server, 'to a server', { a: 'newer' }, { a: 'old' });
  const get = await twoSides(home, server, 'from a server', { a: 'newer' }, { a: 'old' });
  for (const [backups, { source, target, to }] of [
    ['elsewhere:attic', put],
    ['2026-11-22T10:00', put],
    [server.place('attic'), get],
  ] as const) {
    const { code, events } = await sync('--backup-dir', backups, source, target);
    expect(events.at(-2)).toMatchObject({ code: 'usage', hint: expect.stringContaining('./') });
    expect(code).toBe(2);
    expect(await contentsAt(to)).toEqual({ a: 'old' });
  }
  // The server of the target may be named.
  expect((await sync('--backup-dir', server.place('vault'), put.source, put.target)).code).toBe(0);
  expect(await contentsAt(home.at('root/vault'))).toEqual({ a: 'old' });
});

describe('a server that cannot be used', () => {
  test('is not there: 7', async () => {
    mkdirSync(home.at('work/some'));
    const place = `sealift://127.0.0.1:${REFUSING_PORT}/x`;
    const once = ['--retry', '1', '--retry-delay', '1ms'];
    for (const ends of [
      [home.at('work/some'), place],
      [place, home.at('work/new')],
    ]) {
      expect((await sync(...once, ...ends)).code).toBe(7);
      expect((await runHere(home, ['check', ...once, ...ends])).code).toBe(7);
    }
  });

  test('does not know the token: 5, and nothing is tried', async () => {
    const { source, target, to } = await twoSides(home, server, 'to a server', { a: 'A' });
    const wrong = { SEALIFT_TOKEN: 'wrong-and-secret' };
    const { code, events, stdout } = await runHere(home, ['sync', '--json', source, target], wrong);
    expect(code).toBe(5);
    expect(events.filter(({ type }) => type === 'error')).toMatchObject([{ code: 'unauthenticated' }]);
    expect(stdout).not.toContain('secret');
    await expect(contentsAt(to)).rejects.toThrow('ENOENT');
  });
});
