import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inThisProcess } from '../cli/run-here.ts';
import { CliHome, type ServeProcess } from '../support/cli.ts';
import type { Event } from '../support/running-process.ts';

const MIB = 2 ** 20;
const home = new CliHome();
/** For what needs no process. */
const here = inThisProcess(home);
let server: ServeProcess;

beforeAll(async () => {
  server = await home.serve(['--keep-versions', '30d']);
});
afterAll(() => home.close());

/** The versions of a path as `ls --versions --json` tells them, oldest first. */
async function versionsOf(path: string, ...flags: string[]): Promise<Event[]> {
  const { code, events } = await here.runJson(['ls', '--versions', ...flags, server.place(path)]);
  expect(code).toBe(0);
  return events;
}

async function put(path: string, content: string | Buffer): Promise<void> {
  const source = home.write('source', content);
  expect((await here.run(['put', source, server.place(path)])).code).toBe(0);
}

test('what was replaced and removed comes back byte for byte, also after the server was killed', async () => {
  const contents = [randomBytes(3 * MIB + 17), randomBytes(1_000), randomBytes(2 * MIB)];
  for (const content of contents) {
    await put('docs/file', content);
    await server.process.kill('SIGKILL');
    server = await home.serve(['--keep-versions', '30d', '--port', `${server.port}`]);
  }
  expect((await home.run(['rm', '-r', server.place('docs')])).code).toBe(0);
  expect(existsSync(home.at('root/docs'))).toBe(false);
  await server.process.kill('SIGKILL');
  server = await home.serve(['--keep-versions', '30d', '--port', `${server.port}`]);

  const versions = await versionsOf('docs/file');
  expect(versions.map(({ size }) => size)).toEqual(contents.map(({ length }) => length));
  for (const [index, { version }] of versions.entries()) {
    const get = ['get', '--version', String(version), server.place('docs/file'), home.at(`back-${index}`)];
    expect((await home.run(get)).code).toBe(0);
    expect(home.read(`back-${index}`).equals(contents[index] as Buffer)).toBe(true);
    const cat = await home.run(['cat', '--version', String(version), server.place('docs/file')]);
    expect(cat.bytes.equals(contents[index] as Buffer)).toBe(true);
  }
});

test('a line tells the id, the size, the time and the path of a version', async () => {
  await put('lines/b', 'one');
  await put('lines/b', 'second');
  await put('lines/deep/a', 'one');
  await put('lines/deep/a', 'two');
  const [{ version } = { version: '' }] = await versionsOf('lines/b');
  const { stdout } = await here.run(['ls', '--versions', server.place('lines')]);
  expect(stdout).toMatch(/^\S+ -rw\S+ +3 \d{4}-\d\d-\d\d \d\d:\d\d:\d\d lines\/b\n$/);
  expect(stdout.startsWith(`${String(version)} `)).toBe(true);
  expect((await versionsOf('lines', '-r')).map(({ path }) => path)).toEqual(['lines/b', 'lines/deep/a']);
  // What stands is listed as ever.
  expect((await here.run(['ls', server.place('lines')])).stdout).toBe('b\ndeep/\n');
});

test('where nothing is kept, a name that stands is no failure, and one that does not is', async () => {
  await put('single', 'one');
  expect(await here.run(['ls', '--versions', server.place('single')])).toMatchObject({ code: 0, stdout: '' });
  expect(await here.run(['ls', '--versions', server.place('never')])).toMatchObject({ code: 4, stdout: '' });
});

describe('get --version', () => {
  let version: string;
  beforeAll(async () => {
    await put('got', randomBytes(12 * MIB));
    await put('got', 'new');
    version = String((await versionsOf('got'))[0]?.['version']);
  });

  test.each([
    ['a directory is the target', () => [server.place('got'), home.at('into/')], 'into/got'],
    ['a name is the target', () => [server.place('got'), home.at('named')], 'named'],
  ])('%s', async (_, operands, path) => {
    expect((await here.run(['get', '--version', version, ...operands()])).code).toBe(0);
    expect(home.read(path)).toHaveLength(12 * MIB);
  });

  test('--if-exists and --dry-run are as for a file', async () => {
    home.write('there', 'mine');
    const get = (...flags: string[]) =>
      here.runJson(['get', ...flags, '--version', version, server.place('got'), home.at('there')]);
    expect((await get('--if-exists', 'fail')).code).toBe(10);
    expect((await get('--if-exists', 'skip')).code).toBe(0);
    const dry = await get('--dry-run');
    expect(dry.events).toContainEqual(expect.objectContaining({ type: 'plan', size: 12 * MIB }));
    expect(home.read('there').toString()).toBe('mine');
    expect((await get('--update')).code).toBe(0);
    expect(home.read('there').toString()).toBe('mine');
  });

  test('goes on where it was ended, apart from what was fetched of the file as it stands', async () => {
    const get = ['get', '--version', version, server.place('got'), home.at('part/target')];
    const first = home.start([...get, '--json', '--bwlimit', '3M']);
    await first.event('progress', ({ doneBytes }) => (doneBytes as number) > 2 * MIB);
    await first.kill('SIGKILL');
    const parts = () => readdirSync(home.at('part')).filter((name) => name.endsWith('.part'));
    const [part] = parts();
    expect((await here.run(['get', server.place('got'), home.at('part/target')])).code).toBe(0);
    expect(home.read('part/target').toString()).toBe('new');
    expect(parts()).toEqual([part]);
    const { code, events } = await here.runJson(get);
    expect(code).toBe(0);
    expect(events.find(({ type }) => type === 'file')?.['resumedBytes']).toBeGreaterThan(0);
    expect(home.read('part/target')).toHaveLength(12 * MIB);
    expect(parts()).toEqual([]);
  });

  test.each<[string, () => string[], number]>([
    ['one that is none', () => ['get', '--version', 'none', server.place('got'), 'x'], 4],
    ['one of another file', () => ['get', '--version', version, server.place('single'), 'x'], 4],
    [
      'several files',
      () => ['get', '--version', version, server.place('got'), server.place('single'), 'x/'],
      2,
    ],
    [
      'several files to standard output',
      () => ['cat', '--version', version, server.place('a'), server.place('b')],
      2,
    ],
    ['a tree', () => ['get', '-r', '--version', version, server.place('got'), 'x'], 2],
    ['a tree as with -a', () => ['get', '-a', '--version', version, server.place('got'), 'x'], 2],
    ['the root', () => ['get', '--version', version, server.place(), 'x'], 2],
  ])('%s is refused', async (_, args, code) => {
    expect((await here.run(args())).code).toBe(code);
    expect(existsSync(home.at('work/x'))).toBe(false);
  });
});

test('a server that keeps none says how it would', async () => {
  const other = await home.serve([], home.at('other'));
  home.write('other/file', 'text');
  for (const args of [
    ['ls', '--versions', other.place()],
    ['get', '--version', 'any', other.place('file'), 'y'],
    ['cat', '--version', 'any', other.place('file')],
  ]) {
    const { code, stdout, stderr } = await here.run(args);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain('unsupported');
    expect(stderr).toContain('serve --keep-versions');
  }
  await other.process.kill();
});

test('serve --keep-versions wants a duration, and 0 keeps nothing', async () => {
  expect((await home.run(['serve', '--keep-versions', 'ages'])).code).toBe(2);
  const none = await home.serve(['--keep-versions', '0'], home.at('none'));
  expect((await here.run(['ls', '--versions', none.place()])).code).toBe(1);
  await none.process.kill();
});
