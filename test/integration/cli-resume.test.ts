import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inThisProcess } from '../cli/run-here.ts';
import { CliHome, type ServeProcess } from '../support/cli.ts';
import { events } from '../support/running-process.ts';

const MIB = 2 ** 20;
const home = new CliHome();
/** For what needs no process. */
const here = inThisProcess(home);
let server: ServeProcess;

beforeAll(async () => {
  server = await home.serve();
});
afterAll(() => home.close());

const arrived = (name: string, content: Buffer) => home.read(name).equals(content);

test('a put outlives the kill of the server, and sends little twice', async () => {
  const content = randomBytes(64 * MIB);
  const source = home.write('large', content);
  const flags = ['--json', '--bwlimit', '20M', '--retry', '30', '--retry-delay', '50ms'];
  const put = home.start(['put', ...flags, source, server.place('large')]);
  await put.event('progress', ({ doneBytes }) => (doneBytes as number) > 12 * MIB);
  await server.process.kill('SIGKILL');
  // The client has noticed before the server is there again.
  await put.event('retry');
  expect(existsSync(home.at('root/large'))).toBe(false);
  server = await home.serve(['--port', `${server.port}`]);

  const { code, stdout } = await put.ended;
  expect(code).toBe(0);
  const file = events(stdout).find(({ type }) => type === 'file');
  expect(file).toMatchObject({ size: content.length });
  expect(file?.['retries']).toBeGreaterThan(0);
  expect((file?.['sentBytes'] as number) - content.length).toBeLessThanOrEqual(32 * MIB);
  expect(arrived('root/large', content)).toBe(true);
});

describe.each([
  ['SIGKILL', null],
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('the same command again goes on after %s', (signal, exit) => {
  const content = randomBytes(12 * MIB);

  /** Runs a command at a limited rate until a part is there, ends it, and runs it again. */
  async function interrupted(command: 'put' | 'get', from: string, to: string) {
    const first = home.start([command, '--json', '--bwlimit', '3M', from, to]);
    await first.event('progress', ({ doneBytes }) => (doneBytes as number) > 2 * MIB);
    const ended = await first.kill(signal);
    expect(ended).toMatchObject({ code: exit, signal: exit === null ? signal : null, stderr: '' });
    const second = await here.runJson([command, from, to]);
    expect(second).toMatchObject({ code: 0 });
    const file = second.events.find(({ type }) => type === 'file');
    const moved = file?.[command === 'put' ? 'sentBytes' : 'receivedBytes'] as number;
    expect(file?.['resumedBytes']).toBeGreaterThan(0);
    expect(moved + (file?.['resumedBytes'] as number)).toBe(content.length);
  }

  test('put', async () => {
    await interrupted('put', home.write(`put-${signal}`, content), server.place(`put-${signal}`));
    expect(arrived(`root/put-${signal}`, content)).toBe(true);
    // Of a transfer that is done no key is kept.
    expect(readdirSync(home.at('state/sealift/resume'))).toEqual([]);
  });

  test('get', async () => {
    home.write(`root/get-${signal}`, content);
    const target = home.write(`got/${signal}`, 'old');
    await interrupted('get', server.place(`get-${signal}`), target);
    expect(arrived(`got/${signal}`, content)).toBe(true);
    expect(readdirSync(home.at('got')).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});

test('a get that is ended leaves the old file, and its partial file for clean', async () => {
  home.write('root/twelve', randomBytes(12 * MIB));
  const target = home.write('kept/file', 'precious');
  const get = home.start(['get', '--json', '--bwlimit', '3M', server.place('twelve'), target]);
  await get.event('progress', ({ doneBytes }) => (doneBytes as number) >= MIB);
  get.freeze();
  const busy = await home.runJson(['clean', home.at('kept')]);
  expect(busy.events).toMatchObject([{ type: 'partial', removed: false }]);
  await get.kill('SIGKILL');
  expect(home.read('kept/file').toString()).toBe('precious');
  const { events: told } = await home.runJson(['clean', home.at('kept')]);
  expect(told).toMatchObject([{ type: 'partial', removed: true }]);
  expect(readdirSync(home.at('kept')).filter((name) => name.endsWith('.part'))).toEqual([]);
});

test.concurrent.each([
  ['skip', 0],
  ['fail', 10],
  ['rename', 10],
])(
  '--if-exists %s leaves nothing of what was fetched for a name that was taken meanwhile',
  async (what, code) => {
    home.write(`root/late/${what}`, randomBytes(6 * MIB));
    mkdirSync(home.at('work/late', what), { recursive: true });
    const flags = ['--json', '--bwlimit', '2M', '--if-exists', what];
    const get = home.start(['get', ...flags, server.place(`late/${what}`), `late/${what}/f`]);
    await get.event('progress');
    home.write(`work/late/${what}/f`, 'mine');
    expect(await get.ended).toMatchObject({ code });
    expect(readdirSync(home.at('work/late', what))).toEqual(['f']);
    expect(home.read(`work/late/${what}/f`).toString()).toBe('mine');
  },
);

test('a tree that is fetched keeps its partial files from clean, and once that is killed gives them up', async () => {
  home.write('root/tree/a/b/twelve', randomBytes(12 * MIB));
  const get = home.start([
    'get',
    '-a',
    '--json',
    '--bwlimit',
    '3M',
    server.place('tree'),
    home.at('fetched'),
  ]);
  await get.event('progress', ({ doneBytes }) => (doneBytes as number) >= MIB);
  get.freeze();
  const temporaries = () =>
    readdirSync(home.at('fetched'), { recursive: true, encoding: 'utf8' }).filter((name) =>
      /\.sealift-/.test(name),
    );
  const used = temporaries();
  expect(used).toHaveLength(2);
  for (const directory of ['fetched', 'fetched/a', 'fetched/a/b']) {
    const busy = await home.runJson(['clean', home.at(directory)]);
    expect(busy.events).toContainEqual(expect.objectContaining({ type: 'partial', removed: false }));
    expect(busy.events).not.toContainEqual(expect.objectContaining({ removed: true }));
  }
  expect(temporaries()).toEqual(used);
  await get.kill('SIGKILL');
  expect(await home.runJson(['clean', home.at('fetched')])).toMatchObject({ code: 0 });
  expect(temporaries()).toEqual([]);
});

test('large files are sent also where no key can be kept, and that is told once', async () => {
  const state = home.at('state/sealift/resume');
  rmSync(state, { recursive: true, force: true });
  home.write('state/sealift/resume', 'no directory');
  const content = randomBytes(MIB + 1);
  for (const name of ['keyless/a', 'keyless/b']) home.write(`work/${name}`, content);
  const sent = [
    await here.run(['put', 'keyless/a', 'keyless/b', server.place('keyless/put/')]),
    await here.run(['sync', 'keyless/', server.place('keyless/sync')]),
  ];
  rmSync(state);
  for (const { code, stderr } of sent) {
    expect(code).toBe(0);
    expect(stderr.match(/cannot go on with what this one leaves unfinished/g)).toHaveLength(1);
  }
  for (const name of ['put/a', 'put/b', 'sync/a', 'sync/b'])
    expect(arrived(`root/keyless/${name}`, content)).toBe(true);
});

test.each([
  ['half', Buffer.from('abcdef')],
  ['NULs', Buffer.alloc(33)],
  ['another text', Buffer.from('hello\n')],
  ['no UTF-8', Buffer.from([0xff, 0xfe, 0x80])],
])(
  'a key that is damaged (%s) keeps nothing from being sent, nor lets a tree begin twice',
  async (what, damage) => {
    const content = randomBytes(6 * MIB);
    home.write('work/damaged/six', content);
    const place = server.place(`damaged-${what}`);
    const put = home.start(['put', '-r', '--json', '--bwlimit', '3M', 'damaged', place]);
    await put.event('progress', ({ doneBytes }) => (doneBytes as number) > MIB);
    await put.kill('SIGKILL');
    const keys = readdirSync(home.at('state/sealift/resume'));
    // That of the file, and that of the tree.
    expect(keys).toHaveLength(2);
    for (const key of keys) home.write(`state/sealift/resume/${key}`, damage);

    expect(await here.run(['put', '-r', '-q', 'damaged', place])).toMatchObject({ code: 0, stderr: '' });
    expect(arrived(`root/damaged-${what}/six`, content)).toBe(true);
    expect(readdirSync(home.at('root', `damaged-${what}`))).toEqual(['six']);
    expect(readdirSync(home.at('state/sealift/resume'))).toEqual([]);
  },
);
