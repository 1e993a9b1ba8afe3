import { Command } from 'commander';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { TreeFilter } from '../../src/client/tree/tree-filter.ts';
import { addFilterOptions, filterOf } from '../../src/cli/filter-settings.ts';
import { RunContext } from '../../src/cli/run-context.ts';
import { settingsOf } from '../../src/cli/settings.ts';
import { CliHome } from '../support/cli.ts';
import { failureOf } from '../support/failure.ts';
import { quietTerminal } from './quiet-terminal.ts';

const home = new CliHome();
const PATHS = ['a.txt', 'b.o', 'c d', 'tmp/e.txt', '#f'];

beforeEach(() => void home.write('config/sealift/config.toml', ''));
afterEach(() => void vi.unstubAllEnvs());
afterAll(() => home.close());

interface Given {
  env?: Record<string, string>;
  toml?: string;
}

/** The filter of a command line, with what the environment and the configuration file say besides. */
async function filterFor(args: readonly string[], { env = {}, toml = '' }: Given = {}): Promise<TreeFilter> {
  vi.unstubAllEnvs();
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  home.write('config/sealift/config.toml', toml);
  const directories = { config: home.at('config/sealift'), state: '' };
  const command = addFilterOptions(new Command('sync').exitOverride()).argument('[place...]');
  const settings = await settingsOf(command.parse(args, { from: 'user' }), directories);
  const terminal = quietTerminal();
  return filterOf(new RunContext({ settings, terminal, directories, signal: new AbortController().signal }));
}

/** Which of some files the filter takes. */
async function taken(args: readonly string[], given: Given = {}, paths = PATHS): Promise<string[]> {
  const filter = await filterFor(args, given);
  return paths.filter((path) => filter.takes({ path, type: 'file', size: 5, mtimeMs: 0 }));
}

describe('patterns', () => {
  test('are taken from the command line whole, and operands behind them stay operands', async () => {
    expect(await taken([])).toEqual(PATHS);
    expect(await taken(['--exclude', 'c d', 'a.txt', '--exclude', '\\#f'])).toEqual([
      'a.txt',
      'b.o',
      'tmp/e.txt',
    ]);
    expect(await taken(['--include', 'c d', '--include=*.o'])).toEqual(['b.o', 'c d']);
    expect(await taken(['--exclude', '*', '--include', 'e.txt'])).toEqual(['tmp/e.txt']);
  });

  test('from files and from the command line decide in the order they are given in', async () => {
    const all = home.write('all list', '*\n');
    expect(await taken(['--exclude-from', all, '--exclude', '!a.txt'])).toEqual(['a.txt']);
    expect(await taken(['--exclude', '!a.txt', '--exclude-from', all])).toEqual([]);
    const some = home.write('some', '!*.o\n!c d\n');
    expect(
      await taken(['--exclude-from', all, '--exclude', '!a.txt', '--exclude-from', some, '--exclude', 'c*']),
    ).toEqual(['a.txt', 'b.o']);
  });

  test('in files stand one per line, beside comments and blank lines, however an editor wrote it', async () => {
    const file = home.write('list', '\uFEFF*.txt\r\n\r\n# b.o\r\n   \n\\#f\nc d\r');
    expect(await taken(['--exclude-from', file])).toEqual(['b.o']);
  });

  test('come one per line from the environment', async () => {
    expect(await taken([], { env: { SEALIFT_EXCLUDE: 'c d\n\n*.o\n' } })).toEqual([
      'a.txt',
      'tmp/e.txt',
      '#f',
    ]);
    expect(await taken([], { env: { SEALIFT_INCLUDE: 'c d' } })).toEqual(['c d']);
    const env = {
      SEALIFT_EXCLUDE_FROM: `${home.write('first list', '*')}\n${home.write('second list', '!b.o')}`,
    };
    expect(await taken([], { env })).toEqual(['b.o']);
  });

  test('come from the configuration file, as a text or as an array', async () => {
    expect(await taken([], { toml: 'exclude = ["c d", "*.o"]' })).toEqual(['a.txt', 'tmp/e.txt', '#f']);
    expect(await taken([], { toml: '[sync]\nexclude = "c d"\ninclude = []' })).not.toContain('c d');
    expect(await taken(['--exclude', 'tmp'], { toml: 'exclude = "c d"' })).toContain('c d');
  });

  test('of the command line have the last word over those from elsewhere', async () => {
    const env = { SEALIFT_EXCLUDE_FROM: home.write('all', '*') };
    expect(await taken(['--exclude', '!b.o'], { env })).toEqual(['b.o']);
    expect(await taken(['--exclude-from', home.write('none', '!*')], { toml: 'exclude = "*"' })).toEqual(
      PATHS,
    );
  });
});

describe('--files-from', () => {
  test.each<[string, string, string[], string[]]>([
    ['one per line', '\uFEFF./a.txt\r\n\r\n  \n#f\ntmp/\n', [], ['a.txt', 'tmp', '#f']],
    ['between NULs', 'a.txt\0c d\0\0#f\n\0 \0', ['--from0'], ['a.txt', 'c d', '#f\n', ' ']],
    ['none at all', '', [], []],
  ])('names paths, %s', async (_, content, flags, named) => {
    const filter = await filterFor(['--files-from', home.write('list', content), ...flags]);
    expect(filter.named).toEqual(new Set(named));
    const judged = [...PATHS, ...named].filter((path) => filter.protects(path, false));
    expect(judged).toEqual(
      PATHS.filter((path) => !named.includes(path) && !named.includes(path.split('/')[0] as string)),
    );
  });

  test('comes from environment and configuration file too', async () => {
    const list = home.write('list', 'a.txt\0b.o\0');
    expect(await taken([], { env: { SEALIFT_FILES_FROM: list, SEALIFT_FROM0: '1' } })).toEqual([
      'a.txt',
      'b.o',
    ]);
    expect(await taken([], { toml: `[sync]\nfiles-from = "${list}"\nfrom0 = true` })).toEqual([
      'a.txt',
      'b.o',
    ]);
  });
});

test.each([
  [['--exclude-from', '-', '--exclude', '!a.txt'], '*\n', ['a.txt']],
  [['--files-from', '-', '--from0', '--exclude', 'a.txt'], 'a.txt\0c d\0', ['c d']],
])('%j reads standard input', async (args, input, paths) => {
  const { stdout, stderr } = await home.startCommand(
    [process.execPath, '--input-type=module', '-e', PROGRAM, '--', ...args],
    { input, cwd: process.cwd() },
  ).ended;
  expect({ stdout, stderr }).toEqual({ stdout: JSON.stringify(paths), stderr: '' });
});

const PROGRAM = `
  import { Command } from 'commander';
  import { addFilterOptions, filterOf } from './src/cli/filter-settings.ts';
  const command = addFilterOptions(new Command()).parse(process.argv.slice(1), { from: 'user' });
  const filter = await filterOf({ settings: command.opts(), signal: new AbortController().signal });
  const paths = ${JSON.stringify(PATHS)}.filter((path) => !filter.protects(path, false));
  process.stdout.write(JSON.stringify(paths));
`;

describe('limits', () => {
  const cases: [string[], number, number, boolean][] = [
    [['--max-size', '1K'], 1_024, 0, true],
    [['--max-size', '1K'], 1_025, 0, false],
    [['--min-size', '1K'], 1_024, 0, true],
    [['--min-size', '1K'], 1_023, 0, false],
    [['--newer-than', '2026-01-31T12:00:00Z'], 0, Date.UTC(2026, 0, 31, 12), true],
    [['--newer-than', '2026-01-31T12:00:00Z'], 0, Date.UTC(2026, 0, 31, 12) - 1, false],
  ];
  test.each(cases)('%j judges %i bytes of %i: %j', async (args, size, mtimeMs, isTaken) => {
    const filter = await filterFor(args);
    expect(filter.takes({ path: 'a', type: 'file', size, mtimeMs })).toBe(isTaken);
  });

  test('come from environment and configuration file too', async () => {
    expect(await taken([], { env: { SEALIFT_MAX_SIZE: '4' } })).toEqual([]);
    expect(await taken([], { toml: 'min-size = 6' })).toEqual([]);
    expect(await taken([], { toml: 'newer-than = "7d"' })).toEqual([]);
  });
});

describe('an error names the option', () => {
  const list = (content: string) => home.write('odd', content);
  test.each<[() => string[], string]>([
    [() => ['--exclude', 'a['], '--exclude: The pattern "a[" ends inside a bracket'],
    [() => ['--exclude', ''], '--exclude: The pattern "" is empty.'],
    [() => ['--include', './a'], '--include: The pattern "./a" has'],
    [() => ['--exclude-from', list('a\n!\n')], '/odd: The pattern "!" is empty.'],
    [() => ['--exclude-from', home.at('absent')], '/absent cannot be read (ENOENT).'],
    [() => ['--exclude-from', home.at('work')], '/work cannot be read (EISDIR).'],
    [() => ['--files-from', home.at('absent')], '/absent cannot be read (ENOENT).'],
    [() => ['--files-from', list('a\n../b\n')], '/odd: "../b" is no path inside the tree.'],
    [
      () => ['--files-from', '-', '--exclude-from', '-'],
      'Only one of --exclude-from and --files-from can be standard input.',
    ],
    [() => ['--max-size', 'big'], '--max-size: "big" is no size'],
    [() => ['--newer-than', 'soon'], '--newer-than: "soon" is neither a date'],
  ])('case %#: %s', async (args, message) => {
    const given = args();
    const failure = await failureOf(filterFor(given));
    expect(failure.code).toBe('usage');
    expect(failure.message).toContain(message);
    expect(failure.message).toContain(given[0]);
  });
});
