import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { statePaths } from '../../src/server/state-paths.ts';
import { CliHome, SEALIFT, type ServeProcess } from '../support/cli.ts';
import type { RunningProcess } from '../support/running-process.ts';
import { startScriptedServer, type ScriptedRequest } from '../support/scripted-server.ts';

const MIB = 2 ** 20;
const home = new CliHome();
let server: ServeProcess;

beforeEach(async () => {
  server = await home.serve(['--grace', '1h']);
});
afterEach(() => server.process.kill('SIGKILL'));
afterAll(() => home.close());

/** A get whose answer the server cannot finish sending, because the client takes it at a trickle. */
async function endlessGet(): Promise<RunningProcess> {
  home.write('root/large', randomBytes(64 * MIB));
  const get = home.start(['get', '--json', '--bwlimit', '2M', server.place('large'), home.at('large')]);
  await get.event('progress');
  return get;
}

const stopping = (line: string) => line.includes('"msg":"stopping');

describe('serve', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('ends well at %s', async (signal) => {
    expect(await server.process.kill(signal)).toMatchObject({ code: 0, signal: null });
  });

  test('lets a request under way end, takes no new connection, and ends with 0', async () => {
    home.write('root/eight', randomBytes(8 * MIB));
    const get = home.start(['get', '--json', '--bwlimit', '4M', server.place('eight'), home.at('eight')]);
    await get.event('progress');
    server.process.child.kill('SIGTERM');
    await server.process.line(stopping);
    expect((await home.run(['ls', '--retry', '0', server.place()])).code).toBe(7);
    expect(await get.ended).toMatchObject({ code: 0 });
    expect(await server.process.ended).toMatchObject({ code: 0, signal: null });
  });

  test('ends, and says so, where the disk lets it put nothing in order any more', async () => {
    const other = await home.serve(['--metrics', '127.0.0.1:0'], home.at('stuck'));
    // A directory can no more be removed there than a file on a disk that has become read-only.
    const { listening, lock } = statePaths(other.root);
    rmSync(listening);
    mkdirSync(listening);
    const { code, signal, stderr } = await other.process.kill('SIGTERM');
    expect({ code, signal }).toEqual({ code: 1, signal: null });
    expect(stderr).toContain(listening);
    expect(existsSync(lock)).toBe(false);
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('at a second %s ends at once, with %i', async (signal, exit) => {
    const get = await endlessGet();
    server.process.child.kill(signal);
    await server.process.line(stopping);
    expect(await server.process.kill(signal)).toMatchObject({ code: exit, signal: null });
    await get.kill('SIGKILL');
  });
});

test('a client that waits to try again ends at once when told to', async () => {
  const get = await endlessGet();
  await server.process.kill('SIGKILL');
  await get.event('retry');
  expect(await get.kill('SIGINT')).toMatchObject({ code: 130, signal: null, stderr: '' });
});

test('a client whose server stops to answer ends at once when told to', async () => {
  const get = await endlessGet();
  server.process.child.kill('SIGSTOP');
  expect(await get.kill('SIGINT')).toMatchObject({ code: 130, signal: null, stderr: '' });
});

describe('a client of whom the server leaves a question open', () => {
  const TOO_FEW_RIGHTS = { status: 'error', code: 'forbidden', message: 'You may not.', retryable: false };

  /** Answers the first questions that what stands is gone, and then leaves one open. */
  async function silentServer(answered: number, code = 'not-found') {
    const open = Promise.withResolvers<void>();
    let asked = 0;
    const stat = ({ answer }: ScriptedRequest) => {
      if ((asked += 1) > answered) return open.resolve();
      // The first is what the target is.
      const says = asked === 1 ? 'not-found' : code;
      return answer({ status: 'error', code: says, message: 'Nothing is there.', retryable: false });
    };
    const refuse = ({ answer }: ScriptedRequest) => answer(TOO_FEW_RIGHTS);
    const { address, pin } = await startScriptedServer({ stat, mkdir: refuse, put: refuse });
    const place = `127.0.0.1:${(address as { port: number }).port}`;
    home.trust(place, pin);
    return { place: (path: string) => `sealift://${place}/${path}`, isOpen: open.promise };
  }

  test.each([
    ['--dry-run', 'new'],
    ['--update', 'old'],
  ])('in get %s ends at once when told to', async (option, target) => {
    home.write('work/old', 'x');
    const { place, isOpen } = await silentServer(0);
    const get = home.start(['get', option, place('file'), target]);
    await isOpen;
    expect(await get.kill('SIGINT')).toMatchObject({ code: 130, signal: null });
  });

  test('after a tree failed ends at once when told to', async () => {
    home.write('work/tree/file', 'x');
    const { place, isOpen } = await silentServer(2);
    const put = home.start(['put', '-r', '--retry', '0', 'tree', place('new')]);
    await isOpen;
    expect(await put.kill('SIGINT')).toMatchObject({ code: 130, signal: null });
  });

  test('is not asked whether a tree stands of which nothing was begun', async () => {
    home.write('work/tree/file', 'x');
    const { place } = await silentServer(2, 'quota-exceeded');
    const { code, stdout } = await home.run(['put', '-r', '--json', '--retry', '0', 'tree', place('new')]);
    expect([code, stdout]).toEqual([11, expect.stringContaining('quota-exceeded')]);
  });
});

test.each([
  ['a file: the same command goes on', 'slow', /goes on where it was/],
  ['a stream: it does not', '-', /"Interrupted\."/],
])('what is said when a put is interrupted, of %s', async (_, source, said) => {
  const content = home.write('work/slow', randomBytes(2 * MIB));
  const args = ['put', '--json', '--bwlimit', '1', source, server.place('slow')];
  const put = home.start(args, { input: readFileSync(content) });
  await put.event('start');
  expect(await put.kill('SIGINT')).toMatchObject({ code: 130, stdout: expect.stringMatching(said) });
});

test('a working directory that has been removed is told as that', async () => {
  home.write('root/some', 'x');
  const [program, main] = SEALIFT;
  const script = `mkdir gone && cd gone && rmdir ../gone && exec "${program}" "${main}" get "${server.place('some')}" x`;
  const { code, stderr } = await home.startCommand(['bash', '-c', script]).ended;
  expect({ code, stderr }).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('local-file: The working'),
  });
});

describe('standard output', () => {
  test.each<[string, string[], string[], NodeJS.Signals | undefined, number]>([
    ['a signal', ['cat'], [], 'SIGTERM', 143],
    ['--max-duration', ['get', '--max-duration', '1s'], ['-'], undefined, 8],
  ])(
    'of which nobody reads on does not keep up a run that %s ends',
    async (_, command, target, signal, exit) => {
      home.write('root/large', Buffer.alloc(8 * MIB));
      const get = home.start([...command, server.place('large'), ...target]);
      const exited = once(get.child, 'exit');
      await once(get.child.stdout as Readable, 'data');
      get.child.stdout?.pause();
      if (signal !== undefined) get.child.kill(signal);
      expect(await exited).toEqual([exit, null]);
      get.child.stdout?.resume();
    },
  );

  test('closed before the end, as by head, ends the program without a word', async () => {
    home.write('root/large', randomBytes(8 * MIB));
    const pipe = `"${SEALIFT.join('" "')}" cat "${server.place('large')}" | head --bytes 10`;
    const { bytes, stderr } = await home.startCommand(['bash', '-c', pipe]).ended;
    expect(bytes).toHaveLength(10);
    expect(stderr).toBe('');
  });

  test('closed after a signal or a failure leaves the exit code to them', async () => {
    const get = await endlessGet();
    get.child.kill('SIGINT');
    get.child.stdout?.destroy();
    expect(await get.ended).toMatchObject({ code: 130, stderr: '' });
    const ls = home.start(['ls', '--json', server.place('missing')]);
    ls.child.stdout?.destroy();
    expect(await ls.ended).toMatchObject({ code: 4, stderr: '' });
  });

  test.each([
    ['data', ['cat']],
    ['a listing', ['ls']],
  ])('that takes no more (%s): exit code 11, and one sentence', async (_, command) => {
    home.write('root/file', 'content');
    const full = openSync('/dev/full', 'w');
    const { code, stderr } = await home.run([...command, server.place('file')], { stdout: full });
    closeSync(full);
    expect(stderr).toBe('sealift: The output cannot be written (ENOSPC).\n');
    expect(code).toBe(11);
  });
});

describe('standard error', () => {
  const full = openSync('/dev/full', 'w');
  afterAll(() => closeSync(full));

  test('that takes no more costs a server its log, and nobody a transfer', async () => {
    const mute = await home.serve([], home.at('mute'), { stderr: full });
    const put = ['put', '--retry', '0', home.write('small', 'x'), mute.place('small')];
    for (let times = 0; times < 2; times += 1) expect(await home.run(put)).toMatchObject({ code: 0 });
    expect(await mute.process.kill('SIGTERM')).toMatchObject({ code: 0, signal: null });
  });
});

describe('a home', () => {
  const none = { HOME: undefined, XDG_CONFIG_HOME: undefined, XDG_STATE_HOME: undefined };

  test('that is not known does not matter where nothing is kept', async () => {
    const flags = ['--pin', server.pin, '--config', '/dev/null'];
    expect(await home.run(['ls', ...flags, server.place()], { env: none })).toMatchObject({
      code: 0,
      stderr: '',
    });
  });

  // Where even root can write nothing.
  const readOnly = { ...none, HOME: '/sys' };

  test('that cannot be written to is enough for small files', async () => {
    const put = ['put', '-q', '--pin', server.pin, home.write('small', 'x'), server.place('small')];
    expect(await home.run(put, { env: readOnly })).toMatchObject({ code: 0, stderr: '' });
  });

  test('that cannot be written to is enough for large ones, too, and one sentence says what is missing', async () => {
    const put = [
      'put',
      '-q',
      '--pin',
      server.pin,
      home.write('two', randomBytes(2 * MIB)),
      server.place('two'),
    ];
    const { code, stderr } = await home.run(put, { env: readOnly });
    expect(code).toBe(0);
    expect(stderr).toMatch(/^sealift: .*\/sys\/.*\n$/);
  });

  test('that cannot be written to for a pin: one sentence says so', async () => {
    const trust = ['trust', `${server.host}:${server.port}`, '--pin', server.pin];
    const { code, stderr } = await home.run(trust, { env: readOnly });
    expect(code).toBe(1);
    expect(stderr).toMatch(/local-file: .*\/sys\/.*\n$/);
    expect(stderr).not.toContain('    at ');
  });
});
