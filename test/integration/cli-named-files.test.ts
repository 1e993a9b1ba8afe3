import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { inThisProcess } from '../cli/run-here.ts';
import type { ServeProcess } from '../support/cli.ts';
import { contentsAt, LONG_AGO, plantTree, setTime, treeAt } from '../support/planted-tree.ts';
import { tokenOf, usersToml } from '../support/test-server.ts';
import { NobodysHome } from './nobodys-home.ts';
import { DIRECTIONS, twoSides } from './two-sides.ts';

// What is said of trees holds for files that are named by themselves, too.
const home = new NobodysHome();
/** Where no bits are in the way. */
const here = inThisProcess(home);
let server: ServeProcess;

beforeAll(async () => {
  server = await home.serve();
});
afterAll(() => home.close());

describe.each(DIRECTIONS)('files that are named %s', (direction) => {
  const command = direction === 'to a server' ? 'put' : 'get';
  const FILES = {
    'keep.txt': { content: 'keep', mtimeMs: LONG_AGO },
    'leave.log': { content: 'leave it', mtimeMs: LONG_AGO + 5_000 },
  };

  test.each([
    ['--exclude', '*.log'],
    ['--include', '*.txt'],
    ['--max-size', '4'],
    ['--exclude', 'leave*'],
  ])('%s %s leaves out what it does in a tree', async (option, value) => {
    const { source, target, to } = await twoSides(home, server, direction, FILES);
    const named = ['keep.txt', 'leave.log'].map((name) => `${source}/${name}`);
    expect(await here.runJson([command, option, value, ...named, `${target}/`])).toMatchObject({ code: 0 });
    expect(await contentsAt(to)).toEqual({ 'keep.txt': 'keep' });
    const told = await here.run([command, option, value, ...named, `${target}/`]);
    expect(told.stderr).toContain('leave.log: left out, as the filter says\n');
    const alone = await here.runJson([command, option, value, `${source}/leave.log`, `${target}/`]);
    expect(alone.events.at(-1)).toMatchObject({
      type: 'summary',
      files: 0,
      skipped: 0,
      failed: 0,
      exitCode: 0,
    });
    expect(await contentsAt(to)).toEqual({ 'keep.txt': 'keep' });
  });

  test('--files-from is refused: it names what is in a directory', async () => {
    const { source, target, to } = await twoSides(home, server, direction, FILES);
    home.write('work/list', 'keep.txt\n');
    const ended = await here.run([command, '--files-from', 'list', `${source}/leave.log`, target]);
    expect(ended).toMatchObject({ code: 2 });
    expect(ended.stderr).toContain('"leave.log" is a file, and --files-from names what is in a directory.');
    expect(existsSync(to)).toBe(false);
  });

  test.each([
    ['--newer-than', '7d'],
    ['--exclude', 'source'],
    ['--files-from', 'names'],
  ])('%s does not pass over a directory without -r', async (option, value) => {
    const { source, target, from, to } = await twoSides(home, server, direction, FILES);
    home.write('work/names', 'keep.txt\n');
    await setTime(from, LONG_AGO);
    const ended = await here.run([command, option, value, source, target]);
    expect(ended).toMatchObject({ code: 2 });
    expect(ended.stderr).toMatch(/source"? is a directory\..*--recursive or --archive\.\n$/);
    expect(existsSync(to)).toBe(false);
  });

  describe('-c', () => {
    const fileAt = async (to: string) => (await treeAt(join(to, '..')))['target'];

    test('sends nothing of the same content, and keeps the time', async () => {
      const { source, target, from, to } = await twoSides(home, server, direction, FILES);
      const args = [command, '-c', `${source}/keep.txt`, target];
      expect((await here.runJson(args)).events.at(-1)).toMatchObject({ files: 1, bytes: 4 });
      await setTime(join(from, 'keep.txt'), LONG_AGO + 7_000);
      expect((await here.runJson(args)).events.at(-1)).toMatchObject({
        files: 0,
        attributes: 1,
        exitCode: 0,
      });
      expect(await fileAt(to)).toMatchObject({ content: 'keep', mtimeMs: LONG_AGO + 7_000 });
      expect((await here.runJson(args)).events.at(-1)).toMatchObject({ files: 0, unchanged: 1, exitCode: 0 });
    });

    test('sends another content of the same size and time', async () => {
      const { source, target, from, to } = await twoSides(home, server, direction, FILES);
      const args = [command, '-c', `${source}/keep.txt`, target];
      expect(await here.run(args)).toMatchObject({ code: 0 });
      home.write(join(from, 'keep.txt').slice(home.at('').length), 'peek');
      await setTime(join(from, 'keep.txt'), LONG_AGO);
      expect((await here.runJson(args)).events.at(-1)).toMatchObject({ files: 1, exitCode: 0 });
      expect(await fileAt(to)).toMatchObject({ content: 'peek' });
    });

    test('--if-exists rename makes no second one of the same', async () => {
      const { source, target, to } = await twoSides(home, server, direction, FILES);
      const args = [command, '-c', '--if-exists', 'rename', `${source}/keep.txt`, target];
      expect((await here.runJson(args)).events.at(-1)).toMatchObject({ files: 1 });
      expect((await here.runJson(args)).events.at(-1)).toMatchObject({ files: 0, unchanged: 1, exitCode: 0 });
      expect(readdirSync(join(to, '..')).filter((name) => name.startsWith('target'))).toEqual(['target']);
    });

    test('does with a link that has the name what is done without', async () => {
      const outcomes = await Promise.all(
        [[], ['-c']].map(async (flags) => {
          const sides = await twoSides(home, server, direction, FILES);
          const directory = join(sides.to, '..');
          await plantTree(directory, { mine: 'mine', target: { link: 'mine' } });
          home.giveAway(directory);
          const { code } = await home.run([command, ...flags, `${sides.source}/keep.txt`, sides.target]);
          const { mine, target } = await contentsAt(directory);
          return { code, mine, target };
        }),
      );
      expect(outcomes[0]).toMatchObject({ code: 0 });
      expect(outcomes[1]).toEqual(outcomes[0]);
    });

    test('without -r a directory is refused as ever', async () => {
      const { source, target, to } = await twoSides(home, server, direction, FILES);
      const ended = await here.run([command, '-c', source, target]);
      expect(ended).toMatchObject({ code: 2 });
      expect(ended.stderr).toContain('--recursive or --archive');
      expect(existsSync(to)).toBe(false);
    });
  });
});

test('-c sends what somebody cannot compare who may only write', async () => {
  const usersFile = home.write('users.toml', usersToml({ writer: { permissions: ['write'] } }));
  home.giveAway(usersFile);
  const guarded = await home.serve(['--users', usersFile], home.at('guarded'));
  const login = ['--token-file', home.write('token', tokenOf('writer'))];
  const file = home.write('work/mine', 'mine');
  const args = ['put', '-c', '--if-exists', 'rename', ...login, file, guarded.place('mine')];
  for (let run = 0; run < 2; run += 1)
    expect((await here.runJson(args)).events.at(-1)).toMatchObject({ files: 1, exitCode: 0 });
  expect(await contentsAt(home.at('guarded'))).toMatchObject({ mine: 'mine', 'mine-1': 'mine' });
});

describe.each(DIRECTIONS)('a tree that is to have a new name %s', (direction) => {
  const command = direction === 'to a server' ? 'put' : 'get';
  const content = randomBytes(3 * 2 ** 20).toString('latin1');

  test.each(['SIGINT', 'SIGKILL'] as const)(
    'is gone on with by the same command after %s',
    async (signal) => {
      const tree = { small: 'small', 'sub/large': content };
      const { source, target, from, to } = await twoSides(home, server, direction, tree);
      const args = [command, '-r', source, target];
      const first = home.start([...args, '--json', '--bwlimit', '1M']);
      await first.event('progress', ({ doneBytes }) => (doneBytes as number) > 2 ** 20);
      await first.kill(signal);
      expect(existsSync(to)).toBe(true);

      expect((await here.runJson([...args, '--dry-run'])).events).toContainEqual(
        expect.objectContaining({ type: 'plan', path: expect.stringMatching(/[^/]\/sub\/large$/) as string }),
      );
      expect(await here.run(args)).toMatchObject({ code: 0 });
      expect(await contentsAt(to)).toEqual(await contentsAt(from));
      // It is done: now the name is that of a directory like any other.
      expect(await here.run(args)).toMatchObject({ code: 0 });
      expect(readdirSync(to)).toContain('source');
    },
  );

  /** Both sides, of which the target has nothing yet. */
  async function bothSides() {
    const sides = await twoSides(home, server, direction, { a: 'a', 'sub/b': 'b' });
    for (const side of [sides.from, sides.to]) {
      mkdirSync(join(side, '..'), { recursive: true });
      home.giveAway(join(side, '..'));
    }
    return { ...sides, args: [command, '-r', sides.source, sides.target] };
  }

  test('is gone on with where a file of it failed', async () => {
    const { args, from, to } = await bothSides();
    chmodSync(join(from, 'sub/b'), 0);
    expect(await home.run(args)).toMatchObject({ code: 3 });
    chmodSync(join(from, 'sub/b'), 0o600);
    expect(await home.run(args)).toMatchObject({ code: 0 });
    expect(await contentsAt(to)).toEqual({ a: 'a', 'sub/': '', 'sub/b': 'b' });
  });

  test('goes into a directory that somebody made after nothing of it came to stand', async () => {
    const { args, to } = await bothSides();
    chmodSync(join(to, '..'), 0o555);
    expect((await home.run(args)).code).not.toBe(0);
    chmodSync(join(to, '..'), 0o755);
    mkdirSync(to);
    home.giveAway(to);
    expect(await home.run(args)).toMatchObject({ code: 0 });
    expect(readdirSync(to)).toEqual(['source']);
  });

  test.each([['sync'], [command, '-r']])('is done where %s has completed it', async (...other) => {
    const { args, source, target, from, to } = await bothSides();
    chmodSync(join(from, 'sub/b'), 0);
    expect(await home.run(args)).toMatchObject({ code: 3 });
    chmodSync(join(from, 'sub/b'), 0o600);
    expect(await home.run([...other, `${source}/`, target])).toMatchObject({ code: 0 });
    expect(await home.run(args)).toMatchObject({ code: 0 });
    expect(readdirSync(to).sort()).toEqual(['a', 'source', 'sub']);
  });
});
