import { statSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { inThisProcess } from '../cli/run-here.ts';
import { CliHome, type ServeProcess } from '../support/cli.ts';
import { REFUSING_PORT } from '../support/refusing-port.ts';
import { events } from '../support/running-process.ts';

const home = new CliHome();
/** For what needs no process. */
const here = inThisProcess(home);
let server: ServeProcess;

beforeAll(async () => {
  server = await home.serve();
});
afterAll(() => home.close());

const TEXT = 'Hello, Sealift!\n';

describe('one file', () => {
  test('is put, looked at, fetched and removed', async () => {
    const source = home.write('one/hello.txt', TEXT);
    const put = await home.runJson(['put', source, server.place('one/hello.txt')]);
    expect(put).toMatchObject({ code: 0, stderr: '' });
    expect(put.events.map(({ type }) => type)).toEqual(['start', 'file', 'summary']);
    const [start, file, summary] = put.events;
    expect(start).toEqual({ type: 'start', command: 'put', files: 1, bytes: TEXT.length });
    expect(file).toMatchObject({
      path: 'one/hello.txt',
      size: TEXT.length,
      digest: expect.stringMatching(/^(blake3|sha256):[0-9a-f]{64}$|^[a-z0-9-]+:/),
      durability: 'disk',
      seconds: expect.any(Number),
      sentBytes: TEXT.length,
      resumedBytes: 0,
      retries: 0,
    });
    expect(summary).toMatchObject({
      files: 1,
      skipped: 0,
      failed: 0,
      bytes: TEXT.length,
      retries: 0,
      seconds: expect.any(Number),
      tlsVersion: 'TLSv1.3',
      cipher: expect.stringMatching(/^TLS_/),
      peerPin: server.pin,
      exitCode: 0,
    });

    const got = await home.runJson(['get', server.place('one/hello.txt'), home.at('one/back.txt')]);
    expect(got.code).toBe(0);
    expect(got.events[1]).toMatchObject({ type: 'file', receivedBytes: TEXT.length, resumedBytes: 0 });
    expect(home.read('one/back.txt').toString()).toBe(TEXT);
    // To the millisecond, which is what the protocol carries.
    expect(Math.abs(statSync(home.at('one/back.txt')).mtimeMs - statSync(source).mtimeMs)).toBeLessThan(1);

    expect(await home.run(['cat', server.place('one/hello.txt')])).toMatchObject({
      code: 0,
      stdout: TEXT,
      stderr: '',
    });
    expect(await home.run(['rm', server.place('one/hello.txt')])).toMatchObject({
      code: 0,
      stdout: '',
      stderr: '',
    });
    expect(await home.run(['cat', server.place('one/hello.txt')])).toMatchObject({ code: 4, stdout: '' });
  });

  test('without --json there is one line on standard error, and with -q none', async () => {
    const source = home.write('two.txt', TEXT);
    const told = await home.run(['put', source, server.place('two.txt')]);
    expect(told).toMatchObject({ code: 0, stdout: '' });
    expect(told.stderr).toMatch(/^\S+two\.txt: 16B in \S+, \S+\/s\n$/);
    expect(await home.run(['put', '-q', source, server.place('two.txt')])).toMatchObject({
      code: 0,
      stdout: '',
      stderr: '',
    });
  });
});

test('directories are made, listed, moved and removed', async () => {
  const place = server.place('tree');
  expect(await here.run(['mkdir', `${place}/a/b`, `${place}/c`])).toMatchObject({ code: 0, stdout: '' });
  await here.run(['put', '-q', home.write('f', 'abc'), `${place}/a/z.txt`]);
  expect((await here.run(['ls', `${place}/a`])).stdout).toBe('b/\nz.txt\n');
  expect((await here.run(['ls', '-r', place])).stdout).toBe('tree/a/\ntree/a/b/\ntree/a/z.txt\ntree/c/\n');
  expect((await here.run(['ls', '-l', `${place}/a`])).stdout).toMatch(
    /^drwx\S{6} +\d+ \S+ \S+ b\/\n-rw-\S{6} +3 \d{4}-\d\d-\d\d \d\d:\d\d:\d\d z\.txt\n$/,
  );
  expect((await here.runJson(['ls', `${place}/a`])).events).toMatchObject([
    { type: 'entry', path: 'tree/a/b', kind: 'directory' },
    { type: 'entry', path: 'tree/a/z.txt', kind: 'file', size: 3 },
  ]);
  expect((await here.run(['ls', `${place}/a/z.txt`])).stdout).toBe('z.txt\n');

  expect((await here.run(['search', server.place(), 'z.t'])).stdout).toBe('tree/a/z.txt\n');
  expect((await here.runJson(['search', server.place(), '**/*.txt'])).events).toContainEqual({
    type: 'entry',
    path: 'tree/a/z.txt',
  });
  expect(await here.run(['search', server.place(), 'nowhere'])).toMatchObject({
    code: 4,
    stdout: '',
    stderr: '',
  });

  expect((await here.run(['mv', `${place}/a/z.txt`, `${place}/c/`])).code).toBe(0);
  expect((await here.run(['mv', `${place}/c/z.txt`, `${place}/c/y.txt`])).code).toBe(0);
  expect((await here.run(['ls', `${place}/c`])).stdout).toBe('y.txt\n');

  const notEmpty = await here.run(['rm', `${place}/c`]);
  expect(notEmpty.code).toBe(1);
  expect(notEmpty.stderr).toMatch(/^sealift: rm: not-empty: .*\n$/);
  expect((await here.run(['rm', '-r', place])).code).toBe(0);
  expect((await here.run(['rm', place])).code).toBe(4);
  expect(await here.run(['rm', '-f', place])).toMatchObject({ code: 0, stderr: '' });
});

describe('a dry run changes nothing, and tells what would be done:', () => {
  const DRY = { env: { SEALIFT_DRY_RUN: '1' } };
  const NOTE = 'Nothing was changed: this was a dry run.\n';
  const standing = async () => (await here.run(['ls', '-r', server.place('dry')])).stdout;
  let before: string;

  beforeAll(async () => {
    const [source, other] = [home.write('dry/f', 'f'), home.write('dry/g', 'g')];
    await here.run(['put', '-q', source, other, server.place('dry/full/')]);
    await here.run(['mkdir', server.place('dry/empty')]);
    before = await standing();
  });
  afterEach(async () => expect(await standing()).toBe(before));

  test.each<[string[], string]>([
    [['rm', 'dry/full/f', 'dry/empty'], 'delete dry/full/f\ndelete dry/empty/\n'],
    [['rm', '-r', 'dry/full'], 'delete dry/full/\n'],
    [['rm', '-f', 'dry/none'], ''],
    [['mv', 'dry/full/f', 'dry/full/g'], 'move dry/full/f -> dry/full/g\n'],
    [['mv', 'dry/full/f', 'dry/empty'], 'move dry/full/f -> dry/empty/f\n'],
    [['mkdir', 'dry/new/one', 'dry/empty'], 'make dry/new/one/\nskip dry/empty/ (exists)\n'],
  ])('%j', async (words, told) => {
    const args = words.map((word) => (word.startsWith('dry/') ? server.place(word) : word));
    const ended = { code: 0, stdout: told, stderr: NOTE };
    expect(await here.run([...args, '-n'])).toMatchObject(ended);
    expect(await here.run(args, DRY)).toMatchObject(ended);
  });

  test.each<[string[], number]>([
    [['rm', 'dry/none'], 4],
    [['rm', 'dry/full'], 1],
    [['rm', 'dry/full/f/'], 1],
    [['mv', 'dry/none', 'dry/new'], 4],
    [['mv', '--no-clobber', 'dry/full/f', 'dry/full/g'], 10],
    [['mkdir', 'dry/full/f'], 10],
    [['mkdir', ''], 2],
    [['mv', 'dry/empty', 'dry/full/f'], 1],
    [['mv', 'dry/full', 'dry/full/e'], 1],
    [['mv', 'dry/full/f/', 'dry/new'], 1],
    [['mv', '', 'dry/new'], 2],
  ])('%j fails as it would, with %i', async (words, exit) => {
    const args = words.map((word) => (word === '' || word.startsWith('dry/') ? server.place(word) : word));
    expect(await here.run([...args, '-n'])).toMatchObject({ code: exit, stdout: '' });
    expect(await here.run(args)).toMatchObject({ code: exit });
  });

  test('to programs too, and where the configuration says so for all commands', async () => {
    const config = home.write('dry.toml', 'dry-run = true');
    const rm = ['rm', '-r', server.place('dry/full'), '--config', config];
    const { code, events } = await here.runJson(rm);
    expect(code).toBe(0);
    expect(events).toEqual([{ type: 'plan', path: 'dry/full', action: 'delete', what: 'directory' }]);
  });
});

test('search finds what lies at or below the place', async () => {
  const file = home.write('sought', TEXT);
  for (const name of ['within/sought', 'within/deep/sought', 'within2/sought'])
    await here.run(['put', '-q', file, server.place(name)]);
  const search = (path: string) => here.run(['search', server.place(path), 'sought']);
  const below = { code: 0, stdout: 'within/deep/sought\nwithin/sought\n' };
  expect(await search('within')).toMatchObject(below);
  expect(await search('within/')).toMatchObject(below);
  expect((await search('within/sought')).stdout).toBe('within/sought\n');
  expect(await search('nowhere')).toMatchObject({ code: 4, stderr: expect.stringContaining('not-found') });
});

test('a file that is written as a directory is none, and stays', async () => {
  const file = server.place('slashed');
  await here.run(['put', '-q', home.write('slashed', TEXT), file]);
  for (const command of [['ls'], ['stat'], ['rm'], ['rm', '-r'], ['rm', '-f']]) {
    const { code, stdout, stderr } = await here.run([...command, `${file}/`]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('not-directory: "slashed" is no directory');
  }
  expect((await here.run(['cat', file])).stdout).toBe(TEXT);
  expect((await here.run(['rm', `${server.place('nowhere')}/`])).code).toBe(4);
  expect((await here.run(['rm', '-f', `${server.place('nowhere')}/`])).code).toBe(0);
  const directory = server.place('directory/');
  await here.run(['mkdir', directory]);
  for (const command of ['ls', 'stat', 'rm']) expect((await here.run([command, directory])).code).toBe(0);
});

test('mv --no-clobber leaves what is there, and mv without it replaces', async () => {
  await here.run(['put', '-q', home.write('x', 'x'), home.write('y', 'y'), server.place('clobber/')]);
  const [x, y] = [server.place('clobber/x'), server.place('clobber/y')];
  expect((await here.run(['mv', '--no-clobber', x, y])).code).toBe(10);
  expect((await here.run(['cat', y])).stdout).toBe('y');
  expect((await here.run(['mv', x, y])).code).toBe(0);
  expect((await here.run(['cat', y])).stdout).toBe('x');
});

test('stat tells what stands there', async () => {
  await here.run(['put', '-q', home.write('s', 'abc'), server.place('stat.txt')]);
  const {
    events: [found],
  } = await here.runJson(['stat', '--digest', server.place('stat.txt')]);
  expect(found).toMatchObject({
    type: 'stat',
    path: 'stat.txt',
    kind: 'file',
    size: 3,
    mode: expect.any(Number),
    mtimeMs: expect.any(Number),
    etag: expect.any(String),
    digest: expect.any(String),
  });
  const lines = (await here.run(['stat', server.place('stat.txt')])).stdout.split('\n');
  expect(lines).toContain('size      3');
  expect((await here.run(['stat', server.place()])).stdout).toContain('directory');
  expect((await here.run(['stat', server.place('nothing')])).code).toBe(4);
});

test('ping goes on until it is interrupted, and then sums up', async () => {
  const pinging = home.start(['ping', '-c', '0', '-i', '1ms', `${server.host}:${server.port}`]);
  await pinging.line((line) => line.includes('seq=3 '));
  const { code, stdout, stderr } = await pinging.kill('SIGINT');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(
    /\n(\d+) sent, \1 received, 0% loss, time \d+ms\nrtt min\/avg\/max\/mdev = .* ms\n$/,
  );
});

test('a port that was taken for a path is told how it is written', async () => {
  home.write('root/meant', '');
  for (const [place, written] of [
    [`127.0.0.1:${server.port}/meant`, server.place('meant')],
    [`127.0.0.1:${server.port}`, server.place()],
  ] as const) {
    const { code, events: told } = await here.runJson(['ls', '--port', `${server.port}`, place]);
    expect({ code, hint: told[0]?.['hint'] }).toEqual({
      code: 4,
      hint: `If ${server.port} is a port, write ${written}`,
    });
    expect((await here.run(['ls', written])).code).toBe(0);
  }
});

test.each([
  ['ls', []],
  ['cat', []],
  ['get', ['.']],
])('the same where nobody answers at the port that was asked: %s', async (command, more) => {
  const place = `127.0.0.1:${server.port}:some/file`;
  const { code, stderr } = await here.run([
    command,
    '--retry',
    '1',
    '--retry-delay',
    '1ms',
    '--port',
    `${REFUSING_PORT}`,
    place,
    ...more,
  ]);
  expect({ code, stderr }).toMatchObject({
    code: 7,
    stderr: expect.stringContaining(`If ${server.port} is a port, write ${server.place('some/file')}`),
  });
});

test.each(['saved:2024', '127.0.0.1:0', '127.0.0.1:65536/report'])(
  'what can be no port is told nothing of one: %s',
  async (place) => {
    const url = `sealift://127.0.0.1:${server.port}?pin=${server.pin}`;
    expect((await here.run(['remote', 'add', 'saved', url])).code).toBe(0);
    const { code, events: told } = await here.runJson(['ls', '--port', `${server.port}`, place]);
    expect({ code, type: told[0]?.['type'] }).toEqual({ code: 4, type: 'error' });
    expect(told[0]).not.toHaveProperty('hint');
  },
);

test('an error is one JSON object with code, message, hint and whether to try again', async () => {
  const { code, stdout, stderr } = await home.run(['get', '--json', server.place('none'), home.at('none')]);
  expect({ code, stderr }).toEqual({ code: 4, stderr: '' });
  expect(events(stdout)).toMatchObject([
    { type: 'start' },
    { type: 'error', code: 'not-found', message: expect.any(String), retryable: false },
    { type: 'summary', files: 0, failed: 1, exitCode: 4 },
  ]);
});
