import { afterAll, describe, expect, test } from 'vitest';
import { CliHome } from '../support/cli.ts';
import { startScriptedServer } from '../support/scripted-server.ts';
import { startDirectoryServer } from '../support/test-server.ts';
import { runHere, type RanHere } from './run-here.ts';

const home = new CliHome();
afterAll(() => home.close());

/** Runs `ping` against a server that answers. */
async function pinged(...args: string[]): Promise<RanHere> {
  const { server } = await startDirectoryServer({ anonymous: 'read' });
  const { port } = server.address as { port: number };
  return runHere(home, ['ping', '-i', '1ms', '--pin', server.pin, `127.0.0.1:${port}`, ...args]);
}

const MS = expect.any(Number);

test('tells each round trip and sums up, as ping does', async () => {
  const { code, stdout, stderr } = await pinged('-c', '2', '-s', '1K');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(
    stdout
      .replace(/127\.0\.0\.1:\d+/g, 'PLACE')
      .replace(/\d+\.\d{3}/g, 'T')
      .replace(/\d+ms/, 'Nms'),
  ).toBe(
    'PING PLACE (127.0.0.1) 1024 bytes of data, TLSv1.3, TLS_AES_256_GCM_SHA384\n' +
      '1024 bytes from PLACE: seq=1 time=T ms\n' +
      '1024 bytes from PLACE: seq=2 time=T ms\n' +
      '\n--- PLACE ping statistics ---\n' +
      '2 sent, 2 received, 0% loss, time Nms\n' +
      'rtt min/avg/max/mdev = T/T/T/T ms, p99 = T ms\n',
  );
});

test('with -q only the beginning and the sum', async () => {
  const { stdout } = await pinged('-c', '2', '-q');
  expect(stdout).not.toContain('seq=');
  expect(stdout).toContain('2 sent, 2 received');
});

test('with --json one object a ping, and the sum', async () => {
  const { code, events } = await pinged('-c', '2', '--json');
  expect(code).toBe(0);
  expect(events).toEqual([
    { type: 'ping', seq: 1, ms: MS },
    { type: 'ping', seq: 2, ms: MS },
    {
      type: 'summary',
      sent: 2,
      received: 2,
      lossPercent: 0,
      ...{ min: MS, avg: MS, max: MS, mdev: MS, p50: MS, p95: MS, p99: MS },
      tlsVersion: 'TLSv1.3',
      cipher: expect.stringMatching(/^TLS_/),
      exitCode: 0,
    },
  ]);
});

test('--handshakes makes a connection each time, and tells its steps', async () => {
  const { code, events } = await pinged('-c', '3', '--handshakes', '--json');
  expect(code).toBe(0);
  const step = { type: 'ping', ms: MS, tcpMs: MS, tlsMs: MS, helloMs: MS };
  expect(events).toMatchObject([
    { ...step, seq: 1 },
    { ...step, seq: 2 },
    { ...step, seq: 3 },
    { received: 3 },
  ]);
});

describe('--require', () => {
  test.each<[string[], number]>([
    [['--require', 'rtt<=1h', '--require', 'tls>=1.3', '--require', 'handshake<=1h'], 0],
    [['--require', 'rtt<=0ms'], 15],
    [['--require', 'cert-days>=1', '--require', 'alpn=h2'], 15],
    [['--handshakes', '--require', 'handshake<=1h'], 0],
    [['--handshakes', '--require', 'rtt<=1h'], 15],
    [['--require', 'speed>=1'], 2],
  ])('%j ends with %i', async (args, exitCode) => {
    const { code, events } = await pinged('-c', '1', '--json', ...args);
    expect(code).toBe(exitCode);
    if (exitCode !== 2) expect(events).toContainEqual(expect.objectContaining({ type: 'summary', exitCode }));
    if (exitCode === 15) expect(events.at(-1)).toMatchObject({ type: 'error', code: 'condition-failed' });
  });
});

describe('where nothing comes back', () => {
  test('each is counted as lost, and it fails with 8', async () => {
    const { address, pin } = await startScriptedServer({});
    const place = `127.0.0.1:${(address as { port: number }).port}`;
    const options = ['-c', '2', '-i', '1ms', '-W', '20ms', '--pin', pin];
    const { code, stdout, stderr } = await runHere(home, ['ping', place, ...options]);
    expect(code).toBe(8);
    expect(stdout).toContain(`no answer from ${place}: seq=2 No answer came within 20ms.\n`);
    expect(stdout).toContain('2 sent, 0 received, 100% loss');
    expect(stdout).not.toContain('min/avg/max');
    expect(stderr).toBe('sealift: ping: stalled: No answer came within 20ms.\n');
  });

  test.each([[[]], [['--handshakes', '-c', '2', '-i', '1ms']]])(
    '%j, no server listening: 7',
    async (args) => {
      expect((await runHere(home, ['ping', '127.0.0.1:1', ...args])).code).toBe(7);
    },
  );
});

test('more than a message holds is a usage error', async () => {
  const { code, stderr } = await runHere(home, ['ping', '127.0.0.1:1', '-s', '2M']);
  expect(code).toBe(2);
  expect(stderr).toContain('--size: 2M is more than');
});
