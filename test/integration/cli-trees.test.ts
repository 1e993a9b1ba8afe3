import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { inThisProcess } from '../cli/run-here.ts';
import type { ServeProcess } from '../support/cli.ts';
import { contentsAt, LONG_AGO, plantTree, setTime, treeAt } from '../support/planted-tree.ts';
import { NobodysHome } from './nobodys-home.ts';
import { DIRECTIONS, twoSides, type Sides } from './two-sides.ts';

// Permission bits are in the way of nobody, but not of root.
const home = new NobodysHome();
/** Where no bits are in the way. */
const here = inThisProcess(home);
let server: ServeProcess;

beforeAll(async () => {
  server = await home.serve();
});
afterAll(() => home.close());

describe.each(['put', 'get'])('where %s -r lets a tree go', (command) => {
  const [sources, targets] = command === 'put' ? ['work', 'root'] : ['root', 'work'];
  const operand = (side: string, path: string) => (side === 'root' ? server.place(path) : path);

  beforeAll(async () => {
    await plantTree(home.at(sources), { 'tree/a': 'A', 'tree/sub/b': 'B', 'other/c': 'C', file: 'F' });
    for (const path of ['one', 'two', 'three'])
      mkdirSync(home.at(targets, command, path), { recursive: true });
    home.giveAway(home.at(targets, command));
  });

  test.each([
    ['a name that is new becomes the tree', ['tree'], 'new', { a: 'A', 'sub/': '', 'sub/b': 'B' }],
    ['missing parents are made', ['other'], 'no/such/name', { c: 'C' }],
    ['a target with / takes it', ['tree/sub'], 'new2/', { 'sub/': '', 'sub/b': 'B' }],
    ['a directory that stands takes it', ['other'], 'one', { 'other/': '', 'other/c': 'C' }],
    ['dir/ is what is in it', ['other/'], 'two', { c: 'C' }],
    [
      'several go side by side, files too',
      ['other', 'tree/sub', 'file'],
      'new3/',
      { file: 'F', 'other/': '', 'other/c': 'C', 'sub/': '', 'sub/b': 'B' },
    ],
    ['the contents of several come together', ['other/', 'tree/sub/'], 'three', { b: 'B', c: 'C' }],
  ])('%s', async (_, given, target, expected) => {
    const places = [...given.map((path) => operand(sources, path)), operand(targets, `${command}/${target}`)];
    expect(await here.run([command, '-r', ...places])).toMatchObject({ code: 0, stdout: '' });
    expect(await contentsAt(home.at(targets, command, target))).toEqual(expected);
  });

  test('the contents of several go into one, where the first of each name is kept, and that is told', async () => {
    const [first, second] = [`${command}-1`, `${command}-2`];
    await plantTree(home.at(sources, first), {
      f: 'one',
      g: 'g',
      'd/a': 'a',
      'file/x': 'x',
      y: 'y',
      'same/s': '',
    });
    await plantTree(home.at(sources, second), {
      f: 'second',
      h: 'h',
      'd/b': 'b',
      file: 'F',
      'y/z': 'z',
      'same/t': '',
    });
    const named = home.write(`${sources}/named/h`, 'other');
    const places = [`${first}/`, `${second}/`, 'named/h'].map((path) => operand(sources, path));
    const target = operand(targets, `${command}-merged/`);
    const whole = {
      f: 'one',
      g: 'g',
      h: 'h',
      'd/': '',
      'd/a': 'a',
      'd/b': 'b',
      'file/': '',
      'file/x': 'x',
      y: 'y',
    };
    for (const _ of ['once', 'and again']) {
      const { code, events } = await here.runJson([command, '-r', ...places, target]);
      expect(code).toBe(3);
      expect(await contentsAt(home.at(targets, `${command}-merged`))).toEqual({
        ...whole,
        'same/': '',
        'same/s': '',
        'same/t': '',
      });
      const told = events.filter(({ type }) => type === 'error').map(({ message }) => String(message));
      for (const name of ['f', 'y', 'h'])
        expect(told).toContainEqual(
          expect.stringMatching(
            new RegExp(`^Two of the sources would become ".*merged/${name}"; the first is kept`),
          ),
        );
    }
    expect(readFileSync(named, 'utf8')).toBe('other');
  });

  test('of several with -u the newest comes, wherever it stands among them', async () => {
    for (const [name, mtimeMs] of Object.entries({ older: 1_000, newer: 2_000 }))
      await plantTree(home.at(sources, `${command}-${name}`), { f: { content: name, mtimeMs } });
    const places = ['older', 'newer'].map((name) => operand(sources, `${command}-${name}/`));
    for (const [index, order] of [places, places.toReversed()].entries()) {
      const target = `${command}-newest-${index}`;
      const { code } = await here.run([command, '-r', '-u', ...order, operand(targets, `${target}/`)]);
      expect(code).toBe(0);
      expect(await contentsAt(home.at(targets, target))).toEqual({ f: 'newer' });
    }
  });

  test('a directory without -r is refused, and how it goes is said', async () => {
    const { code, stderr } = await home.run([command, operand(sources, 'tree'), operand(targets, 'refused')]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/tree"? is a directory\..*--recursive or --archive\.\n$/);
    expect(existsSync(home.at(targets, 'refused'))).toBe(false);
  });
});

describe.each(DIRECTIONS)('what is kept %s', (direction) => {
  const command = direction === 'to a server' ? 'put' : 'get';
  let sides: Sides;

  beforeEach(async () => {
    sides = await twoSides(home, server, direction, {
      'a.sh': { content: '#!/bin/sh\n', mode: 0o751, mtimeMs: 1 },
      link: { link: 'a.sh' },
      dangling: { link: '../nowhere' },
      'empty/': { mode: 0o700 },
      'sealed/': { mode: 0o555, mtimeMs: LONG_AGO - 2_500 },
      'sealed/file': { content: 'fixed', mode: 0o444 },
      './': { mode: 0o550, mtimeMs: LONG_AGO - 1 },
    });
    home.giveAway(sides.from);
  });

  test('with -a: bits, times to the millisecond, links, and all that of directories', async () => {
    const args = [command, '-a', `${sides.source}/`, sides.target];
    const first = await home.runJson(args);
    expect(first.events.at(-1)).toMatchObject({ files: 2, links: 2, skipped: 0, failed: 0, exitCode: 0 });
    expect(await treeAt(sides.to)).toEqual(await treeAt(sides.from));
    // Once more, into what may not be written to.
    await plantTree(sides.from, { 'sealed/new': 'late', 'sealed/': { mtimeMs: 7 } });
    const again = await home.runJson(args);
    expect(again.events.at(-1)).toMatchObject({ files: 1, unchanged: 4, exitCode: 0 });
    expect(await treeAt(sides.to)).toEqual(await treeAt(sides.from));
  });

  test('with -r: times of files, empty directories, and no links, which is said', async () => {
    const { code, stderr } = await home.run([command, '-r', `${sides.source}/`, sides.target]);
    expect(code).toBe(0);
    expect(stderr.match(/(link|dangling): a symbolic link, kept with --archive, skipped\n/g)).toHaveLength(2);
    const { link: _link, dangling: _dangling, ...rest } = await contentsAt(sides.from);
    expect(await contentsAt(sides.to)).toEqual(rest);
    const made = await treeAt(sides.to);
    expect([made['a.sh']?.mtimeMs, made['sealed/file']?.mtimeMs]).toEqual([1, LONG_AGO]);
    expect(made['sealed']?.mtimeMs).toBeGreaterThan(LONG_AGO);
    expect(made['sealed']?.mode).toMatch(/^7/);
  });

  test('-n tells the names that the run tells, and does nothing', async () => {
    const args = [command, '-r', sides.source, sides.target];
    const dry = await home.run([...args, '-n']);
    expect(dry.code).toBe(0);
    expect(dry.stderr).toMatch(/^2 of 2 files, 15B in .*, 2 skipped\nNothing was changed: .*\n$/);
    expect(existsSync(sides.to)).toBe(false);
    const real = await home.run(args);
    const named = (text: string, line: RegExp) => [...text.matchAll(line)].map((match) => match[1]).sort();
    const planned = named(dry.stdout, /^send (.* \(\d+B\))$/gm);
    expect(planned).toHaveLength(2);
    expect(planned).toEqual(named(real.stderr, /^(.* \(\d+B\))$/gm));
  });
});

describe.each(DIRECTIONS)('what stands there already, %s', (direction) => {
  const command = direction === 'to a server' ? 'put' : 'get';

  test.each([
    ['overwrite', 0, { 'a.txt': 'new', 'b.txt': 'b', kept: 'kept' }],
    ['skip', 0, { 'a.txt': 'old', 'b.txt': 'b', kept: 'kept' }],
    ['fail', 3, { 'a.txt': 'old', 'b.txt': 'b', kept: 'kept' }],
    ['rename', 0, { 'a.txt': 'old', 'a-1.txt': 'new', 'b.txt': 'b', kept: 'kept' }],
  ])('--if-exists %s: %i', async (what, code, expected) => {
    const tree = { 'a.txt': 'new', 'b.txt': 'b' };
    const sides = await twoSides(home, server, direction, tree, {
      'a.txt': { content: 'old', mtimeMs: 1 },
      kept: 'kept',
    });
    home.giveAway(sides.to);
    const args = ['-r', '--if-exists', what, `${sides.source}/`, sides.target];
    expect((await here.run([command, ...args])).code).toBe(code);
    expect(await contentsAt(sides.to)).toEqual(expected);
  });
});

test('--json: counts that are not known in the beginning, a receipt for each file, and the sum', async () => {
  const tree = { a: 'aa', 'b/c': 'ccc', 'd/': '' };
  const { source, target } = await twoSides(home, server, 'to a server', tree);
  const put = await here.runJson(['put', '-a', source, target]);
  expect(put.events[0]).toEqual({ type: 'start', command: 'put', files: null, bytes: null });
  const files = put.events.filter(({ type }) => type === 'file');
  expect(files.map(({ path, size }) => [path, size]).sort()).toEqual([
    [expect.stringMatching(/\/a$/), 2],
    [expect.stringMatching(/\/b\/c$/), 3],
  ]);
  for (const file of files)
    expect(file).toMatchObject({ durability: 'disk', digest: expect.stringContaining(':'), retries: 0 });
  expect(put.events.at(-1)).toMatchObject({
    ...{ type: 'summary', files: 2, directories: 3, bytes: 5, movedBytes: 5, failed: 0, exitCode: 0 },
    ...{ tlsVersion: 'TLSv1.3', peerPin: server.pin },
  });
});

describe('-n for single files', () => {
  beforeAll(async () => {
    await plantTree(home.at('work'), { single: 'mine' });
    await plantTree(home.at('root'), { single: 'theirs' });
    await setTime(home.at('root/single'), LONG_AGO + 1);
  });

  test.each([
    ['what would be sent', [], 0, 'send single (4B)\n'],
    ['what is newer there', ['-u'], 0, 'skip single (newer at the target)\n'],
    ['what is there', ['--if-exists', 'skip'], 0, 'skip single (exists)\n'],
    ['what must not be there', ['--if-exists', 'fail'], 10, ''],
  ])('tells %s', async (_, flags, code, stdout) => {
    expect(await here.run(['put', '-n', ...flags, 'single', server.place()])).toMatchObject({ code, stdout });
    expect(home.read('root/single').toString()).toBe('theirs');
  });

  test('fails for what is not there, as the run does', async () => {
    expect(await here.run(['put', '-n', 'none', server.place()])).toMatchObject({ code: 4, stdout: '' });
    expect(await here.run(['get', '-n', server.place('none'), 'x'])).toMatchObject({ code: 4, stdout: '' });
    const there = await here.run(['get', '-n', server.place('single'), 'x']);
    expect(there).toMatchObject({ code: 0, stdout: 'send x (6B)\n' });
    expect(existsSync(home.at('work/x'))).toBe(false);
  });
});

test('clean tells of a directory that it may not look into, and cleans the others: 3', async () => {
  const left = '.sealift-0123456789abcdef.part';
  for (const name of ['closed', 'open']) home.write(`work/left/${name}/${left}`, 'left over');
  home.giveAway(home.at('work/left'));
  chmodSync(home.at('work/left/closed'), 0o000);
  const { code, events } = await home.runJson(['clean', 'left']);
  chmodSync(home.at('work/left/closed'), 0o700);
  expect([code, events]).toMatchObject([
    3,
    [
      { type: 'error', message: 'left/closed cannot be listed (EACCES).' },
      { type: 'partial', path: `left/open/${left}`, removed: true },
    ],
  ]);
  expect(readdirSync(home.at('work/left/closed'))).toEqual([left]);
});
