import { randomBytes, X509Certificate } from 'node:crypto';
import { appendFileSync, existsSync, readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { SealiftError } from '../../src/errors.ts';
import { MAX_CONTENT_BYTES } from '../../src/protocol/limits.ts';
import { systemRandom } from '../../src/random.ts';
import { helloAnswer } from '../../src/server/hello.ts';
import { unlimitedGrant } from '../../src/trust/grant.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import type { Faults } from '../../src/transport/fault-settings.ts';
import { startFaultProxy } from '../../src/transport/fault-proxy.ts';
import { certificatePin } from '../../src/trust/pins.ts';
import { inThisProcess } from '../cli/run-here.ts';
import { loopbackCertificate } from '../support/certificates.ts';
import { CliHome, SEALIFT, type ServeProcess } from '../support/cli.ts';
import { REFUSING_PORT } from '../support/refusing-port.ts';
import { listening, tcpServer } from '../support/listening.ts';
import { startTestServer, tokenOf } from '../support/test-server.ts';

const MIB = 2 ** 20;
const ONCE_MORE = ['--retry', '1', '--retry-delay', '1ms'];
const home = new CliHome();
/** For what needs no process. */
const here = inThisProcess(home);
let server: ServeProcess;
let four: string;

beforeAll(async () => {
  server = await home.serve();
  four = home.write('four', randomBytes(4 * MIB));
});
afterAll(() => home.close());

/** A place on the server behind a proxy that damages what it forwards. */
async function behind(faults: Faults, path: string): Promise<string> {
  const { host, port } = server;
  const proxy = await startFaultProxy({
    target: { host, port },
    faults,
    clock: systemClock,
    random: systemRandom,
  });
  onTestFinished(() => proxy.close());
  home.trust(`127.0.0.1:${proxy.port}`, server.pin);
  return `sealift://127.0.0.1:${proxy.port}/${path}`;
}

test('a connection that is refused: 7, after the retries', async () => {
  const put = await here.runJson(['put', ...ONCE_MORE, four, `sealift://127.0.0.1:${REFUSING_PORT}/x`]);
  expect(put.code).toBe(7);
  const { stderr } = await here.run(['ls', ...ONCE_MORE, `sealift://127.0.0.1:${REFUSING_PORT}/`]);
  expect(stderr).toMatch(
    /Trying again in \S+ \(1 of 1\)\.\nsealift: ls: retries-exhausted: 127\.0\.0\.1:\d+ refused .*after 1 retry/,
  );
});

test('a server that cannot have its port, or its directory: 2 and 12', async () => {
  const port = await home.run(['serve', home.at('other'), '--host', '127.0.0.1', '--port', `${server.port}`]);
  expect(port.code).toBe(2);
  expect(port.stderr).toMatch(/^sealift: serve: bad-configuration: .*EADDRINUSE.*\n$/);
  const directory = await home.run(['serve', server.root, '--host', '127.0.0.1', '--port', '0']);
  expect(directory.code).toBe(12);
  expect(directory.stderr).toMatch(/^sealift: serve: locked: .*\n$/);
});

// In /proc, which only Linux has, a directory is missing for the system where it cannot be made.
describe.runIf(process.platform === 'linux')(
  'where no directory can be made although its parent stands',
  () => {
    const nowhere = '/proc/nope';

    test.each<[string, () => string[], Record<string, string>, number, string]>([
      [
        'remote add',
        () => ['remote', 'add', 'q', server.place()],
        { XDG_CONFIG_HOME: nowhere },
        1,
        'local-file',
      ],
      ['get', () => ['get', server.place('f'), `${nowhere}/f`], {}, 1, 'local-file'],
      ['sync', () => ['sync', server.place(), `${nowhere}/tree`], {}, 1, 'local-file'],
      ['serve', () => ['serve', `${nowhere}/root`, '--port', '0'], {}, 2, 'bad-configuration'],
    ])('%s ends, and says so', async (name, args, env, exit, error) => {
      home.write('root/f', 'f');
      // One that goes on for ever hears no other signal.
      const killed = ['timeout', '--signal=KILL', '60', ...SEALIFT, ...args()] as const;
      const { code, stderr } = await home.startCommand(killed, { env }).ended;
      expect(stderr).toContain(`sealift: ${name}: ${error}: `);
      expect(code).toBe(exit);
    });
  },
);

test('a socket that is not there: 7', async () => {
  expect((await here.run(['ls', '--retry', '0', `unix:${home.at('none.sock')}:`])).code).toBe(7);
});

describe('8', () => {
  test('a server that accepts and never speaks', async () => {
    const { port } = await tcpServer(() => undefined);
    const flags = ['--retry', '0', '--connect-timeout', '500ms'];
    const { code, stderr } = await here.run(['ls', ...flags, `sealift://127.0.0.1:${port}/`]);
    expect(code).toBe(8);
    expect(stderr).toMatch(/^sealift: ls: stalled: 127\.0\.0\.1:\d+ /);
  });

  test('a server that goes silent half-way', async () => {
    const place = await behind({ stallAfterBytes: { up: 2 * MIB } }, 'silent');
    const { code, events } = await here.runJson(['put', '--retry', '0', '--timeout', '300ms', four, place]);
    expect(code).toBe(8);
    expect(events).toContainEqual(
      expect.objectContaining({ type: 'error', code: 'stalled', retryable: true }),
    );
  });

  test('a line that is cut before there is progress', async () => {
    const place = await behind({ cut: { afterBytes: MIB / 2, direction: 'up' } }, 'cut');
    const { code, events } = await home.runJson(['put', '--retry', '2', '--retry-delay', '1ms', four, place]);
    expect(code).toBe(8);
    expect(events.map(({ type }) => type)).toEqual(['start', 'retry', 'retry', 'error', 'summary']);
    expect(events[1]).toMatchObject({
      path: four,
      code: 'connection-lost',
      retry: 1,
      delayMs: expect.any(Number),
    });
    expect(events[3]).toMatchObject({ code: 'retries-exhausted' });
    expect(events[4]).toMatchObject({ files: 0, failed: 1, exitCode: 8 });
  });

  test('but not a line that is cut again and again with progress in between', async () => {
    // A reset would take with it what a busy server has not read yet, which may be all that there was.
    const place = await behind({ cut: { afterBytes: 1.5 * MIB, direction: 'up', mode: 'fin' } }, 'often');
    const ten = home.write('ten', randomBytes(10 * MIB));
    const { code, events } = await here.runJson(['put', '--retry', '4', '--retry-delay', '1ms', ten, place]);
    expect(code).toBe(0);
    expect(events.find(({ type }) => type === 'file')?.['retries']).toBeGreaterThan(4);
    expect(home.read('root/often').equals(home.read('ten'))).toBe(true);
  });
});

test('a server that sends something else than it says: 9', async () => {
  const liar = await listening({
    connection: { clock: systemClock, timeoutCode: 'timeout', maxContentBytes: MAX_CONTENT_BYTES },
  });
  const { port } = liar.listener.address as { port: number };
  const command = ['get', ...ONCE_MORE, '--insecure', `sealift://127.0.0.1:${port}/x`, home.at('lie')];
  const get = here.runJson(command);
  const { connection } = await liar.next();
  const hello = helloAnswer({
    agent: 'liar',
    identity: { principal: null, grant: unlimitedGrant(['read']), endsMs: Infinity },
    joined: undefined,
    digest: 'sha256',
    clock: systemClock,
    features: {
      symlinks: false,
      distinguishesCase: true,
      distinguishesForms: true,
      timeGrainMs: 1,
      versions: false,
    },
    idleTimeoutMs: 60_000,
  });
  const file = { size: 3, 'mtime-ms': 0, mode: 0o644, etag: 'x', digest: `sha256:${'0'.repeat(64)}` };
  for (let message = await connection.receive(); message; message = await connection.receive()) {
    const { id, action } = message.header;
    const answer = action === 'hello' ? { fields: hello } : { fields: file, content: Buffer.from('lie') };
    await connection.send({ ...answer, fields: { id, status: 'ok', ...answer.fields } });
  }
  const { code, events } = await get;
  expect(code).toBe(9);
  expect(events.find(({ type }) => type === 'error')).toMatchObject({ code: 'retries-exhausted' });
  expect(existsSync(home.at('lie'))).toBe(false);
});

test('a server that is full: 11', async () => {
  class FullStore extends MemoryStore {
    override openUpload(): Promise<never> {
      return Promise.reject(new SealiftError('no-space', 'There is no space left.'));
    }
  }
  const { address } = await startTestServer({ store: new FullStore() });
  const place = `sealift://127.0.0.1:${(address as { port: number }).port}/x`;
  const pin = certificatePin(new X509Certificate((await loopbackCertificate()).cert));
  const env = { SEALIFT_TOKEN: tokenOf('tester') };
  const { code, stderr } = await here.run(['put', '--pin', pin, four, place], { env });
  expect(code).toBe(11);
  expect(stderr).toMatch(/^sealift: put: no-space: .*\n$/);
});

test('who may not write: 5, and no further file is tried', async () => {
  const token = home.write('token', `${tokenOf('reader')}\n`);
  const { address } = await startTestServer({ users: { reader: { permissions: ['read', 'list'] } } });
  const place = `sealift://127.0.0.1:${(address as { port: number }).port}/`;
  const flags = ['--insecure', '--token-file', token];
  expect((await here.run(['ls', ...flags, place])).code).toBe(0);
  const put = await here.runJson(['put', ...flags, four, home.write('another', 'x'), place]);
  expect(put.code).toBe(5);
  expect(put.events.map(({ type }) => type).filter((type) => type === 'error')).toHaveLength(1);
  expect(put.events.at(-1)).toMatchObject({ failed: 2, exitCode: 5 });
  const wrong = { env: { SEALIFT_TOKEN: 'wrong-and-secret' } };
  const refused = await home.run(['ls', '--insecure', place], wrong);
  expect(refused.code).toBe(5);
  expect(refused.stderr).not.toContain('wrong-and-secret');
});

describe('while a transfer runs', () => {
  const slowly = ['--json', '--bwlimit', '1M'];

  test('another get of the same to the same place is locked out: 12', async () => {
    home.write('root/large', randomBytes(4 * MIB));
    const get = ['get', ...slowly, server.place('large'), home.at('locked')];
    const first = home.start(get);
    await first.event('progress');
    first.freeze();
    const second = await here.run(get);
    expect(second.code).toBe(12);
    expect(second.stdout).toContain('"locked"');
    await first.kill('SIGKILL');
  });

  test('another put of the same takes it over, and the first ends with 12', async () => {
    const place = server.place('taken');
    const first = home.start(['put', ...slowly, four, place]);
    await first.event('progress');
    first.freeze();
    expect(await here.run(['put', four, place])).toMatchObject({ code: 0 });
    first.thaw();
    expect(await first.ended).toMatchObject({ code: 12, stdout: expect.stringContaining('"superseded"') });
    expect(home.read('root/taken').equals(home.read('four'))).toBe(true);
  });

  test('a source that changes is not published: 16', async () => {
    const source = home.write('growing', home.read('four'));
    const put = home.start(['put', ...slowly, source, server.place('growing')]);
    await put.event('progress');
    appendFileSync(source, 'more');
    expect(await put.ended).toMatchObject({ code: 16, stdout: expect.stringContaining('"source-changed"') });
    expect(readdirSync(server.root)).not.toContain('growing');
  });
});
