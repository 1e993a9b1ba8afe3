import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, mkdirSync, openSync, symlinkSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inThisProcess } from '../cli/run-here.ts';
import { CliHome, type ServeProcess } from '../support/cli.ts';
import { startHookService } from '../support/hook-service.ts';
import { events } from '../support/running-process.ts';
import { tokenOf, usersToml } from '../support/test-server.ts';

const home = new CliHome();
/** For what needs no process. */
const here = inThisProcess(home);
let server: ServeProcess;
/** Takes sixteen seconds to send. */
let slowly: readonly string[];

beforeAll(async () => {
  // Locks belong to somebody.
  server = await home.serve(['--users', home.write('users.toml', usersToml({ tester: {} }))]);
  home.env['SEALIFT_TOKEN'] = tokenOf('tester');
  const large = home.write('large', randomBytes(16 * 2 ** 20));
  slowly = ['put', '--json', '--bwlimit', '1M', '--lock', 'slow', large, server.place('large')];
});
afterAll(() => home.close());

test('a run leaves its log, its report and its word with the service, and gives its lock back', async () => {
  const { origin, calls } = await startHookService(({ method }) => (method === 'POST' ? 405 : 200));
  const [log, report] = [home.at('log'), home.at('report')];
  const files = ['--lock', 'nightly', '--log-file', log, '--report', report];
  const hooks = [
    '--on-start',
    `${origin}/start`,
    '--on-success',
    `${origin}/ok`,
    '--on-failure',
    `${origin}/no`,
  ];
  const put = ['put', ...files, ...hooks, home.write('a', 'aaa'), home.write('b', 'b'), server.place('ab/')];
  for (const turn of [1, 2]) {
    expect(await home.run(put), `turn ${turn}`).toMatchObject({ code: 0, stdout: '' });
    const receipt = (path: string, size: number): unknown =>
      expect.objectContaining({ type: 'file', path, size, durability: 'disk', digest: expect.any(String) });
    expect(events(home.read('report').toString())).toEqual([
      receipt('ab/a', 3),
      receipt('ab/b', 1),
      expect.objectContaining({ type: 'summary', files: 2, bytes: 4, exitCode: 0 }),
    ]);
  }
  const lines = events(home.read('log').toString());
  const types = ['start', 'file', 'file', 'summary'];
  expect(lines.map(({ type }) => type)).toEqual([...types, ...types]);
  expect(new Set(lines.map(({ run }) => run)).size).toBe(2);
  expect(calls.map(({ method, path }) => `${method} ${path}`).slice(0, 4)).toEqual([
    'POST /start',
    'GET /start',
    'POST /ok',
    'GET /ok',
  ]);
  expect(calls[2]?.body).toMatchObject({ command: 'put', exitCode: 0, files: 2, bytes: 4 });
});

test('a second run with the same lock: 12; one that is interrupted gives it back', async () => {
  const { origin, calls } = await startHookService();
  const first = home.start([...slowly, '--on-failure', origin]);
  await first.event('progress');
  const second = await here.runJson(['put', '--lock', 'slow', home.write('c', 'c'), server.place('c')]);
  expect(second.code).toBe(12);
  expect(second.events).toMatchObject([
    { type: 'error', code: 'locked' },
    { type: 'summary', exitCode: 12 },
  ]);
  expect(await first.kill('SIGINT')).toMatchObject({ code: 130, stderr: '' });
  expect(calls).toMatchObject([{ method: 'POST', body: { command: 'put', exitCode: 130 } }]);
  const third = await here.run(['put', '--lock', 'slow', home.write('c', 'c'), server.place('c')]);
  expect(third).toMatchObject({ code: 0 });
});

test('a run that takes too long ends with 8, and the next one goes on', async () => {
  const ended = await home.run([...slowly, '--max-duration', '1s']);
  expect(ended.code).toBe(8);
  const told = events(ended.stdout);
  expect(told.filter(({ type }) => type === 'error')).toMatchObject([{ code: 'timeout', retryable: false }]);
  expect(told.at(-1)).toMatchObject({ type: 'summary', exitCode: 8 });
  expect(await home.run(['put', '-q', home.at('large'), server.place('large')])).toMatchObject({ code: 0 });
});

test('a summary says the same of every run, also of one that was ended: what was done until then', async () => {
  const small = home.write('small', 'small');
  const [put, into] = [['put', '--bwlimit', '1M', '--json', small], server.place('ended/')];
  const done = (await here.runJson(['put', small, into])).events.at(-1);
  const interrupted = home.start([...put, home.at('large'), into]);
  await interrupted.event('file');
  const { code, stdout } = await interrupted.kill('SIGINT');
  const refused = await here.runJson(['get', server.place('no*'), '.']);
  expect([code, refused.code]).toEqual([130, 2]);
  const [stopped, failed] = [events(stdout).at(-1), refused.events.at(-1)];
  for (const summary of [stopped, failed])
    expect(Object.keys(summary ?? {}).sort()).toEqual(Object.keys(done ?? {}).sort());
  expect(stopped).toMatchObject({ files: 1, bytes: 5, failed: 0, peerPin: server.pin, exitCode: 130 });
  expect(failed).toMatchObject({ files: 0, seconds: expect.any(Number), tlsVersion: null, exitCode: 2 });
});

describe('output that nobody can have', () => {
  const full = openSync('/dev/full', 'w');
  afterAll(() => closeSync(full));
  const put = (name: string) => ['put', '--lock', name, home.write(name, name), server.place(name)];

  test('costs no transfer where it is what a person reads', async () => {
    const { origin, calls } = await startHookService();
    const args = [...put('unread'), '--verbose', '--on-success', origin];
    expect(await home.run(args, { stderr: full })).toMatchObject({ code: 0 });
    expect(calls).toMatchObject([{ body: { command: 'put', exitCode: 0, files: 1 } }]);
    expect((await here.run(['cat', server.place('unread')])).stdout).toBe('unread');
  });

  test('ends in order where it is data: told to the service and the log, with the lock given back', async () => {
    const { origin, calls } = await startHookService();
    const log = home.at('lost.log');
    const args = [...slowly, '--log-file', log, '--on-failure', origin];
    const ended = await home.run(args, { stdout: full });
    expect(ended).toMatchObject({ code: 11, stderr: 'sealift: The output cannot be written (ENOSPC).\n' });
    expect(calls).toMatchObject([{ body: { command: 'put', exitCode: 11 } }]);
    expect(events(home.read('lost.log').toString()).slice(-2)).toMatchObject([
      { type: 'error', code: 'local-no-space', message: 'The output cannot be written (ENOSPC).' },
      { type: 'summary', exitCode: 11 },
    ]);
    expect(await here.run(put('slow'))).toMatchObject({ code: 0 });
  });
});

describe('hooks', () => {
  test('come from the environment, and hear of a server that is not believed', async () => {
    const { origin, calls } = await startHookService();
    const other = new CliHome();
    const env = { SEALIFT_ON_FAILURE: `${origin}/secret` };
    const { code, stderr } = await other.run(['put', home.at('a'), server.place('a')], { env });
    await other.close();
    expect(code).toBe(6);
    expect(stderr).not.toContain('secret');
    expect(calls).toMatchObject([{ path: '/secret', body: { command: 'put', exitCode: 6 } }]);
  });

  test('come from the file, and are shown to nobody', async () => {
    const config = home.write('hooks.toml', 'on-success = "ftp://secret"\n');
    for (const args of [
      ['put', 'a', 'b:c'],
      ['config', 'show'],
    ]) {
      const { code, stdout, stderr } = await here.run([...args, '--config', config]);
      expect(code).toBe(2);
      expect(stderr).toContain('on-success: What is given is no http or https URL.');
      expect(stdout + stderr).not.toContain('secret');
    }
    home.write('hooks.toml', 'on-success = "https://secret/"\n');
    const { stdout } = await here.run(['config', 'show', '--config', config]);
    expect(stdout).toContain('on-success\t***\tfile\n');
  });
});

test('sync twice: nothing to do is 14 only where that was asked for', async () => {
  home.write('tree/a', 'a');
  const sync = ['sync', '--json', `${home.at('tree')}/`, server.place('tree/')];
  expect((await here.run([...sync, '--error-on-no-transfer'])).code).toBe(0);
  const again = await here.run([...sync, '--error-on-no-transfer']);
  expect(again.code).toBe(14);
  expect(events(again.stdout).at(-1)).toMatchObject({ type: 'summary', files: 0, exitCode: 14 });
  expect((await here.run(sync)).code).toBe(0);
  expect((await here.run([...sync, '-n', '--error-on-no-transfer'])).code).toBe(0);
});

describe('a sync has transferred something', () => {
  let source: string;
  const sync = (target: string) =>
    here.runJson(['sync', '--error-on-no-transfer', `${source}/`, server.place(`${target}/`)]);

  test.each<[what: string, change: () => void]>([
    ['a link', () => symlinkSync('a', join(source, 'link'))],
    ['permission bits', () => chmodSync(join(source, 'a'), 0o640)],
    ['an empty directory', () => mkdirSync(join(source, 'empty'))],
  ])('if that is %s only', async (what, change) => {
    source = home.at(what);
    home.write(`${what}/a`, 'a');
    expect((await sync(what)).code).toBe(0);
    change();
    expect(await sync(what)).toMatchObject({ code: 0 });
    expect((await sync(what)).code).toBe(14);
  });

  test('but not if a directory only took over a time', async () => {
    source = home.at('times');
    home.write('times/a', 'a');
    expect((await sync('times')).code).toBe(0);
    utimesSync(source, 1, 1);
    const { code, events: told } = await sync('times');
    expect(told.at(-1)).toMatchObject({ directories: 1, adjustedDirectories: 1, exitCode: 14 });
    expect(code).toBe(14);
  });
});

test('a check transfers nothing, and cannot be asked to: 2', async () => {
  home.write('checked/a', 'a');
  const ends = [`${home.at('checked')}/`, server.place('checked/')];
  expect((await here.run(['sync', ...ends])).code).toBe(0);
  expect((await here.run(['check', '--error-on-no-transfer', ...ends])).code).toBe(2);
  // What is set for all commands does not concern it.
  const env = { SEALIFT_ERROR_ON_NO_TRANSFER: 'true' };
  expect(await here.run(['check', ...ends], { env })).toMatchObject({ code: 0 });
});
