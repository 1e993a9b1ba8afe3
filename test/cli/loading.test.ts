import { existsSync, readFileSync, rmSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/commands/index.ts';
import { builtProgram } from '../support/built-program.ts';
import { CliHome, SOURCE, type ServeProcess } from '../support/cli.ts';

const home = new CliHome();
let server: ServeProcess;
beforeAll(async () => {
  server = await home.serve();
  home.write('work/one', 'x');
});
afterAll(() => home.close());

const SOURCES = resolve('src');
/** Writes what was loaded into the file that LOADED names. */
const RECORDER = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module';
  import { writeFileSync } from 'node:fs';
  const loaded = new Set();
  registerHooks({ load: (url, context, next) => (loaded.add(url), next(url, context)) });
  process.on('exit', () => writeFileSync(process.env.LOADED, [...loaded].join('\\n')));
`)}`;

/** The files that are loaded when `program` is run so. */
async function filesLoadedBy(program: string, args: readonly string[]): Promise<string[]> {
  const LOADED = home.at('loaded');
  const { code, stderr } = await home.startCommand(
    [process.execPath, '--import', RECORDER, program, ...args],
    { env: { LOADED } },
  ).ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return readFileSync(LOADED, 'utf8')
    .split('\n')
    .map((url) => url.replace('file://', ''));
}

interface Loaded {
  /** Names of files in src/cli/commands. */
  commands: string[];
  /** Other folders of src. */
  rooms: string[];
  /** Packages, and modules of Node. */
  others: string[];
}

/** What the program loads when it is run so. */
async function loadedBy(args: readonly string[]): Promise<Loaded> {
  const paths = await filesLoadedBy(SOURCE, args);
  const own = paths
    .filter((path) => path.startsWith(`${SOURCES}/`))
    .map((path) => path.slice(SOURCES.length + 1));
  const folders = own.flatMap((path) => path.split('/').slice(0, -1).slice(0, 1));
  return {
    commands: own
      .filter((path) => path.startsWith('cli/commands/'))
      .map((path) => basename(path, '.ts'))
      .filter((name) => name !== 'index'),
    rooms: [...new Set(folders)].filter((folder) => folder !== 'cli').sort(),
    others: paths.flatMap(
      (path) => /node_modules\/((?:@[^/]+\/)?[^/]+)|^(node:.+)/.exec(path)?.slice(1) ?? [],
    ),
  };
}

test('--version loads no command, and nothing that they need', async () => {
  const { commands, rooms, others } = await loadedBy(['--version']);
  expect({ commands, rooms }).toEqual({ commands: [], rooms: [] });
  expect(others).not.toContain('node:tls');
});

const ALL = [...COMMANDS.keys()];

test.each<[string, string[], string, string[]]>([
  ['help with one of them', ['sync', '--help'], '', ['sync']],
  ['a setting that it knows', ['config', 'path'], 'quiet = false', ['config']],
  ['a setting that only others know', ['config', 'path'], 'max-delete = 1', ALL],
  ['a table of another', ['config', 'path'], '[put]\njson = true', ALL],
  ['what is in effect', ['config', 'show'], '', ALL],
  ['completion', ['completion', 'bash'], '', ALL],
  ['help', ['--help'], '', ALL],
])('of the commands, as many are loaded as are needed: %s', async (_, args, configuration, names) => {
  home.write('config/sealift/config.toml', configuration);
  const { commands } = await loadedBy(args);
  expect(commands.sort()).toEqual([...names].sort());
});

test('put loads no other command, nothing of the server, and no library that it does not use', async () => {
  rmSync(home.at('config/sealift/config.toml'), { force: true });
  const { commands, rooms, others } = await loadedBy(['put', '-q', 'one', server.place('one')]);
  expect(commands).toEqual(['put']);
  expect(rooms).toEqual(['client', 'diagnostics', 'protocol', 'transfer', 'transport', 'trust']);
  expect(others).toContain('node:tls');
  for (const name of ['cli-progress', 'pino', '@peculiar/x509', 'smol-toml'])
    expect(others).not.toContain(name);
});

test('what is published loads no client for a command that needs none', async () => {
  rmSync(home.at('config/sealift/config.toml'), { force: true });
  const chunks = (await filesLoadedBy(await builtProgram(), ['config', 'path'])).filter((path) =>
    existsSync(`${path}.map`),
  );
  const sources = chunks.flatMap(
    (path) => (JSON.parse(readFileSync(`${path}.map`, 'utf8')) as { sources: string[] }).sources,
  );
  expect(sources.filter((path) => path.endsWith('src/cli/commands/config.ts'))).toHaveLength(1);
  expect(sources.filter((path) => /src.client.(client|connect|connector|download)\.ts$/.test(path))).toEqual(
    [],
  );
});
