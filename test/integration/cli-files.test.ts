import { spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { basename } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { thisProcess } from '../../src/trust/lock-owner.ts';
import { inThisProcess } from '../cli/run-here.ts';
import { BlockDevice } from '../support/block-device.ts';
import { CliHome, SEALIFT, type ServeProcess } from '../support/cli.ts';
import { events } from '../support/running-process.ts';

const home = new CliHome();
/** For what needs no process. */
const here = inThisProcess(home);
let server: ServeProcess;

beforeAll(async () => {
  server = await home.serve();
});
afterAll(() => home.close());

/** What stands on the server, or here, looked at without the program; undefined if nothing does. */
const text = (name: string) => (existsSync(home.at(name)) ? home.read(name).toString() : undefined);
const stored = (path: string) => text(`root/${path}`);
const fetched = (path: string) => text(`work/${path}`);

test('names of all kinds come there and back', async () => {
  const names = [
    ' a  b .txt',
    `it's "so" \`x\` $HOME \\`,
    'päper 😀.txt',
    'a%20b?c#d&e=f',
    '-rf',
    `${'x'.repeat(251)}.txt`,
    'a:b',
  ];
  for (const name of names) writeFileSync(home.at('work', name), `this is ${name}`);
  const sources = names.map((name) => (name.includes(':') ? `./${name}` : name));
  expect(await home.run(['put', '--', ...sources, server.place('names/')])).toMatchObject({ code: 0 });
  const listed = await home.run(['ls', server.place('names')]);
  expect(listed.stdout).toBe(`${[...names].sort().join('\n')}\n`);
  const places = names.map((name) => server.place(`names/${name}`));
  expect(await home.run(['get', '--', ...places, 'back/'])).toMatchObject({ code: 0 });
  for (const name of names) {
    expect(stored(`names/${name}`)).toBe(`this is ${name}`);
    expect(fetched(`back/${name}`)).toBe(`this is ${name}`);
  }
});

test('a name that would turn what a terminal shows is shown harmless', async () => {
  home.write('root/marks/exe\u202efdp', '');
  expect((await here.run(['ls', server.place('marks')])).stdout).toBe('exe\\u202efdp\n');
});

describe('where a file goes', () => {
  beforeAll(() => {
    home.write('work/src.txt', 'source');
    home.write('root/src.txt', 'source');
    mkdirSync(home.at('root/old'));
    mkdirSync(home.at('work/old'));
  });

  test.each([
    ['to a name', 'to/name', 'to/name'],
    ['into a directory that is not there yet', 'new/', 'new/src.txt'],
    ['into a directory that is there', 'old', 'old/src.txt'],
  ])('%s, there and here', async (_, target, path) => {
    expect((await here.run(['put', 'src.txt', server.place(target)])).code).toBe(0);
    expect(stored(path)).toBe('source');
    expect((await here.run(['get', server.place('src.txt'), target])).code).toBe(0);
    expect(fetched(path)).toBe('source');
  });

  test('into the root', async () => {
    home.write('work/rooted', 'source');
    expect((await here.run(['put', 'rooted', server.place()])).code).toBe(0);
    expect(stored('rooted')).toBe('source');
  });

  test('several onto a file: refused before anything is fetched', async () => {
    const { code, stderr } = await here.run(['get', server.place('src.txt'), server.place('a'), 'src.txt']);
    expect(code).toBe(2);
    expect(stderr).toContain('src.txt is no directory');
  });
});

describe('several files in one call', () => {
  beforeAll(() => {
    for (const name of ['a', 'b', 'c']) {
      home.write(`work/${name}`, name);
      home.write(`root/there/${name}`, name);
    }
    mkdirSync(home.at('work/folder'));
  });

  test('all go, and are counted', async () => {
    const put = await here.runJson(['put', 'a', 'b', 'c', server.place('many/')]);
    expect(put.code).toBe(0);
    expect(put.events[0]).toMatchObject({ type: 'start', files: 3, bytes: 3 });
    expect(put.events.at(-1)).toMatchObject({ type: 'summary', files: 3, failed: 0, exitCode: 0 });
    expect(stored('many/c')).toBe('c');
    const got = await here.run([
      'get',
      ...['a', 'b', 'c'].map((name) => server.place(`there/${name}`)),
      'many/',
    ]);
    expect(got.stderr).toMatch(/\n3 of 3 files, 3B in \S+\n$/);
    expect(fetched('many/c')).toBe('c');
  });

  test('a link that one of them brings is not followed by the next', async () => {
    home.write('work/mine', 'mine');
    mkdirSync(home.at('work/victim'));
    for (const name of ['links', 'evil']) mkdirSync(home.at('root', name));
    symlinkSync(home.at('work/mine'), home.at('root/links/file'));
    symlinkSync(home.at('work/victim'), home.at('root/links/evil'));
    home.write('root/file', 'theirs');
    home.write('root/evil/keys', 'theirs');
    const sources = ['links/', 'file', 'evil'].map((path) => server.place(path));
    const { code, stderr } = await here.run(['get', '-a', ...sources, 'with-links/']);
    expect(code).toBe(3);
    expect(stderr).toContain('became a link in this run');
    expect(fetched('mine')).toBe('mine');
    expect(readdirSync(home.at('work/victim'))).toEqual([]);

    // One that stood before is the user's own, and followed as ever.
    mkdirSync(home.at('work/own-links'));
    symlinkSync(home.at('work/mine'), home.at('work/own-links/file'));
    const places = ['file', 'there/a'].map((path) => server.place(path));
    expect(await here.run(['get', ...places, 'own-links/'])).toMatchObject({ code: 0 });
    expect(fetched('mine')).toBe('theirs');
  });

  test('of which some fail: exit code 3, and the rest is done', async () => {
    const put = await home.runJson(['put', 'a', 'none', 'folder', 'c', server.place('some/')]);
    expect(put.code).toBe(3);
    const errors = put.events.filter(({ type }) => type === 'error');
    expect(errors).toMatchObject([{ code: 'local-not-found' }, { code: 'usage' }]);
    expect(put.events.at(-1)).toMatchObject({ files: 2, failed: 2, exitCode: 3 });
    expect(stored('some/c')).toBe('c');
    const [none, a] = [server.place('some/none'), server.place('some/a')];
    expect((await home.run(['get', none, a, 'some/'])).code).toBe(3);
    expect(fetched('some/a')).toBe('a');
    expect(await home.run(['cat', none, a])).toMatchObject({ code: 3, stdout: 'a' });
    expect((await home.run(['rm', none, a])).code).toBe(3);
    expect(stored('some/a')).toBeUndefined();
  });

  test('that all fail for one reason: the code of that reason', async () => {
    expect((await here.run(['put', 'none', 'never', server.place('x/')])).code).toBe(4);
    expect((await here.run(['get', server.place('none'), server.place('never'), 'x/'])).code).toBe(4);
  });
});

describe('standard input and output', () => {
  test.each([
    ['nothing', Buffer.alloc(0)],
    ['a line', Buffer.from('line\n')],
    ['more than two blocks', Buffer.alloc(2 ** 21 + 17, 'Sealift ')],
  ])('%s goes there and back, its size unknown', async (_, input) => {
    const put = await home.runJson(['put', '-', server.place('stdin')], { input });
    expect(put.code).toBe(0);
    expect(put.events[0]).toMatchObject({ type: 'start', bytes: null });
    expect(put.events[1]).toMatchObject({ type: 'file', path: 'stdin', size: input.length });
    expect(home.read('root/stdin').equals(input)).toBe(true);
    // The data are on standard output, so the objects go to standard error.
    const got = await home.run(['get', '--json', server.place('stdin'), '-']);
    expect(got.bytes.equals(input)).toBe(true);
    expect(events(got.stderr).map(({ type }) => type)).toEqual(['start', 'file', 'summary']);
  });
});

/** The program with one of its standard streams redirected by a shell, as in `< file`. */
function redirected(args: readonly string[], redirection: string) {
  return home.startCommand(['sh', '-c', `exec "$@" ${redirection}`, 'sh', ...SEALIFT, ...args]).ended;
}

const DEVICE_CONTENT = Buffer.alloc(2 ** 21 + 4_096, 'Sealift ');
const device = BlockDevice.attach(DEVICE_CONTENT);
afterAll(() => device?.detach());

describe.skipIf(device === undefined)('a block device as standard input or output', () => {
  const { path = '' } = device ?? {};

  test('is sent whole', async () => {
    const put = await redirected(['put', '--json', '-', server.place('device')], `< ${path}`);
    expect(put.code).toBe(0);
    expect(home.read('root/device').equals(DEVICE_CONTENT)).toBe(true);
  });

  test.each([
    ['cat', (place: string) => ['cat', place]],
    ['get', (place: string) => ['get', place, '-']],
  ])('takes what %s writes', async (name, args) => {
    const content = Buffer.alloc(DEVICE_CONTENT.length, `this is ${name}. `);
    home.write(`root/to-device/${name}`, content);
    expect(await redirected(args(server.place(`to-device/${name}`)), `> ${path}`)).toMatchObject({ code: 0 });
    expect(device?.read().equals(content)).toBe(true);
  });

  test('takes no more than it has room for: 11', async () => {
    home.write('root/to-device/larger', Buffer.alloc(DEVICE_CONTENT.length + 1));
    const { code, stderr } = await redirected(['cat', server.place('to-device/larger')], `> ${path}`);
    expect(code).toBe(11);
    expect(stderr).toMatch(/^sealift: cat: local-no-space: .*\n$/);
  });
});

test('a directory as standard input is refused, and nothing is published', async () => {
  const { code, stderr } = await redirected(['put', '-', server.place('no-stream')], `< ${home.at('work')}`);
  expect(code).toBe(2);
  expect(stderr).toContain('sealift: put: usage: Standard input is a directory.');
  expect(stored('no-stream')).toBeUndefined();
});

describe('--if-exists', () => {
  const [OLD, NEW] = ['old', 'newer'];
  beforeAll(() => {
    home.write('work/new/f.txt', NEW);
    home.write('root/new/f.txt', NEW);
  });

  test.each([
    ['overwrite', 0, NEW, undefined],
    ['skip', 0, OLD, undefined],
    ['fail', 10, OLD, undefined],
    ['rename', 0, OLD, NEW],
  ])('%s, there and here: exit code %i', async (what, exit, content, renamed) => {
    home.write(`root/${what}/f.txt`, OLD);
    const put = await here.runJson(['put', '--if-exists', what, 'new/f.txt', server.place(`${what}/`)]);
    expect(put.code).toBe(exit);
    expect(put.events.at(-1)).toMatchObject({ skipped: what === 'skip' ? 1 : 0, exitCode: exit });
    expect([stored(`${what}/f.txt`), stored(`${what}/f-1.txt`)]).toEqual([content, renamed]);

    home.write(`work/${what}/f.txt`, OLD);
    const got = await here.runJson(['get', '--if-exists', what, server.place('new/f.txt'), what]);
    expect(got.code).toBe(exit);
    expect(got.events.at(-1)).toMatchObject({ skipped: what === 'skip' ? 1 : 0, exitCode: exit });
    expect([fetched(`${what}/f.txt`), fetched(`${what}/f-1.txt`)]).toEqual([content, renamed]);
  });
});

test('--if-exists rename tells the name that a file got', async () => {
  for (const name of ['root/named', 'work/named']) home.write(name, 'x');
  const put = await here.run(['put', '--if-exists', 'rename', 'named', server.place('named')]);
  expect(put.stderr).toContain('named as named-1: 1B');
  const got = await here.run(['get', '--if-exists', 'rename', server.place('named'), 'named']);
  expect(got.stderr).toContain('named as named-1: 1B');
});

describe('--update replaces one file', () => {
  const SOURCE_SECONDS = 1_700_000_000;
  test.each<[string, number | undefined, 'source' | 'target']>([
    ['that is older', 1_600_000_000, 'source'],
    ['that is as old', SOURCE_SECONDS, 'source'],
    // Which a double in milliseconds would take for the next one.
    ['that is as old to the millisecond', SOURCE_SECONDS + 0.000_999_99, 'source'],
    ['that is missing', undefined, 'source'],
    ['but none that is newer', SOURCE_SECONDS + 0.002, 'target'],
  ])('%s, there and here', async (name, targetSeconds, wins) => {
    const file = `update/${name}`;
    const plant = (side: 'root' | 'work', content: string, seconds: number | undefined) => {
      if (seconds !== undefined) utimesSync(home.write(`${side}/${file}`, content), seconds, seconds);
    };
    const skipped = wins === 'target' ? 1 : 0;
    plant('work', 'source', SOURCE_SECONDS);
    plant('root', 'target', targetSeconds);
    const put = await here.runJson(['put', '-u', file, server.place(file)]);
    expect(put.code).toBe(0);
    expect(put.events.at(-1)).toMatchObject({ skipped });
    expect(stored(file)).toBe(wins);

    plant('root', 'source', SOURCE_SECONDS);
    if (targetSeconds === undefined) rmSync(home.at('work', file));
    plant('work', 'target', targetSeconds);
    const got = await here.runJson(['get', '-u', server.place(file), file]);
    expect(got.code).toBe(0);
    expect(got.events.at(-1)).toMatchObject({ skipped });
    expect(fetched(file)).toBe(wins);
  });
});

test('what is no ordinary file is neither sent nor replaced', async () => {
  expect((await here.run(['put', '/dev/null', server.place('device')])).stderr).toContain('no ordinary file');
  home.write('root/real', 'real');
  const { code, stderr } = await here.run(['get', server.place('real'), '/dev/null']);
  expect(code).toBe(10);
  expect(stderr).toContain('/dev/null is no ordinary file');
  expect(spawnSync('mkfifo', [home.at('root/fifo')]).status).toBe(0);
  const put = await here.run(['put', home.at('root/real'), server.place('fifo')]);
  expect(put.code).toBe(10);
  expect(put.stderr).toContain('"fifo" is no ordinary file, and is not replaced');
  expect(lstatSync(home.at('root/fifo')).isFIFO()).toBe(true);
});

test('clean lists what is left, and removes it unless it is only to be shown', async () => {
  const partial = home.write('left/.sealift-0123456789abcdef.part', 'left over');
  const other = home.write('left/.sealift-notes.part', 'mine');
  const shown = await here.run(['clean', '-n', home.at('left')]);
  expect(shown).toMatchObject({ code: 0, stderr: '' });
  expect(shown.stdout).toMatch(new RegExp(`${basename(partial)}\\t9B\\t\\S+ old\\n$`));
  expect((await here.run(['clean', '--older-than', '1d', home.at('left')])).stdout).toBe('');
  const { events: told } = await here.runJson(['clean', home.at('left')]);
  expect(told).toMatchObject([{ type: 'partial', path: partial, size: 9, removed: true }]);
  expect([existsSync(partial), existsSync(other)]).toEqual([false, true]);
  expect((await here.run(['clean', home.at('nowhere')])).code).toBe(4);
});

test('clean takes the locks of processes that are gone, however they look, and none that may be held', async () => {
  const { pid } = spawnSync('true');
  const host = hostname();
  const gone = JSON.stringify({ host, pid, began: '1' });
  const elsewhere = JSON.stringify({ host: 'elsewhere.example', pid, began: '1' });
  const owners = { '1': gone, '2': thisProcess(), '3': elsewhere, '4': '' };
  for (const [name, owner] of Object.entries(owners))
    home.write(`locks/.sealift-${name.repeat(16)}.lock`, owner);
  const links = { a: gone, b: thisProcess(), c: 'somewhere' };
  for (const [name, owner] of Object.entries(links))
    symlinkSync(owner, home.at('locks', `.sealift-${name.repeat(16)}.lock`));
  home.write('locks/.sealift-notes.lock', gone);
  const before = readdirSync(home.at('locks')).sort();

  const shown = await here.run(['clean', '-n', home.at('locks')]);
  expect(shown).toMatchObject({ code: 0, stderr: '' });
  expect(shown.stdout).not.toContain('removed');
  expect(shown.stdout.split('\n')).toHaveLength(before.length);
  expect((await here.run(['clean', '--older-than', '1d', home.at('locks')])).stdout).toBe('');
  expect(readdirSync(home.at('locks')).sort()).toEqual(before);

  const { code, events: told } = await here.runJson(['clean', home.at('locks')]);
  const removed = Object.fromEntries(
    told.map(({ path, removed: isRemoved }) => [basename(path as string).at(9), isRemoved]),
  );
  expect([code, told[0]?.['type']]).toEqual([0, 'lock']);
  expect(removed).toEqual({ '1': true, '2': false, '3': false, '4': true, a: true, b: false, c: false });
  const kept = ['2', '3', 'b', 'c'].map((name) => `.sealift-${name.repeat(16)}.lock`);
  expect(readdirSync(home.at('locks')).sort()).toEqual([...kept, '.sealift-notes.lock'].sort());
});

test('clean takes the lock of a partial file with it', async () => {
  const partial = home.write('both/.sealift-0123456789abcdef.part', 'left over');
  home.write('both/.sealift-0123456789abcdef.lock', '');
  const { events: told } = await here.runJson(['clean', home.at('both')]);
  expect(told).toMatchObject([{ type: 'partial', path: partial, removed: true }]);
  expect(readdirSync(home.at('both'))).toEqual([]);
});

test('clean finds what lies anywhere below, follows no link, and leaves alone what a server keeps', async () => {
  const left = '.sealift-0123456789abcdef.part';
  const deep = home.write(`tree/a/b/${left}`, 'left over');
  const apart = [home.write(`apart/${left}`, 'apart'), home.write(`tree/.sealift/${left}`, 'of a server')];
  symlinkSync(home.at('apart'), home.at('tree/link'));
  const link = home.at('tree/a', left);
  symlinkSync('somewhere', link);
  const { code, events: told } = await here.runJson(['clean', home.at('tree')]);
  expect([code, told.map(({ path, removed }) => [path, removed])]).toEqual([
    0,
    [
      [link, true],
      [deep, true],
    ],
  ]);
  expect([deep, ...apart].map((path) => existsSync(path))).toEqual([false, true, true]);
  expect(readdirSync(home.at('tree/a'))).toEqual(['b']);
});
