import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { CliHome } from '../support/cli.ts';
import { isInstalled } from '../support/installed.ts';
import { events, type Event, type RunningProcess } from '../support/running-process.ts';
import { runHere } from '../cli/run-here.ts';

const home = new CliHome();
let echo: RunningProcess;
let port: number;
let pin: string;

beforeAll(async () => {
  echo = home.start(['echo', '--json', '--listen', '127.0.0.1:0', '--alpn', 'h2,echo']);
  ({ port, pin } = (await echo.event('listening')) as unknown as { port: number; pin: string });
});
afterAll(() => home.close());

test('standard input goes to the server and comes back, and what was negotiated is told', async () => {
  const input = randomBytes(3_000_000);
  const client = await home.run(
    ['echo', '--pin', pin, '--alpn', 'echo', '--servername', 'box', '--json', `127.0.0.1:${port}`],
    {
      input,
    },
  );
  expect(client.code).toBe(0);
  expect(client.bytes.equals(input)).toBe(true);
  const facts = {
    tlsVersion: 'TLSv1.3',
    cipher: 'TLS_AES_256_GCM_SHA384',
    group: 'X25519MLKEM768',
    alpn: 'echo',
  };
  const [connected, summary] = events(client.stderr);
  expect(connected).toMatchObject({ type: 'connected', ...facts, certificate: { pin } });
  expect(summary).toMatchObject({ type: 'summary', bytes: input.length, exitCode: 0 });
  const seen = await echo.event('connected', ({ servername }) => servername === 'box');
  expect(seen).toMatchObject({ ...facts, address: '127.0.0.1', certificate: null });
  const closed = await echo.event('closed', ({ connection }) => connection === seen['connection']);
  expect(closed).toMatchObject({ bytes: input.length });
});

test.each<[string, string[], number, string]>([
  ['a key that nobody knows', [], 6, 'certificate-untrusted'],
  ['another protocol', ['--insecure', '--alpn', 'x'], 6, 'alpn-refused'],
  ['no TLS', ['--plain', '--timeout', '300ms'], 8, ''],
])('%s is a failure', async (_, flags, code, error) => {
  const client = await home.run(['echo', ...flags, `127.0.0.1:${port}`], { input: 'x\n' });
  expect(client).toMatchObject({ code, stdout: expect.any(String) });
  expect(client.stderr).toContain(error);
});

test.each([
  ['echo', [], /To trust it: --pin (\S+), or --ca FILE$/m],
  ['echo', ['--pin', `sha256//${'A'.repeat(43)}=`], /if the key is really new: --pin (\S+)$/m],
  ['doctor', ['-q'], /self-signed: .* then: --pin (\S+), or --ca /m],
])('%s %j says how a server is trusted that sealift trust cannot look at', async (command, flags, remedy) => {
  const { code, stderr } = await home.run([command, ...flags, `127.0.0.1:${port}`], { input: 'x\n' });
  expect(code).toBe(6);
  expect(remedy.exec(stderr)?.[1]).toBe(pin);
  expect(stderr).not.toContain('sealift trust');
});

/** Each sends its standard input, and prints what comes back; ends with the one or the other. */
describe.each<[string, boolean, readonly [string, ...string[]]]>([
  [
    'openssl s_client',
    isInstalled('openssl', 'version'),
    ['openssl', 's_client', '-quiet', '-no_ign_eof', '-alpn', 'h2', '-servername', 's_client', '-connect'],
  ],
  [
    'python3',
    isInstalled('python3', '-c', 'import ssl; ssl.TLSVersion.TLSv1_3'),
    [
      'python3',
      '-c',
      `import socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.set_alpn_protocols(['h2'])
host, port = sys.argv[1].split(':')
with context.wrap_socket(socket.create_connection((host, int(port))), server_hostname='python3') as peer:
    peer.sendall(sys.stdin.buffer.readline())
    print(peer.recv(6).decode(), end='')`,
    ],
  ],
])('answers other clients', (name, isThere, [command, ...args]) => {
  test.skipIf(!isThere)(name, async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const options = { timeout: 10_000 };
    const { stdin, stdout } = execFile(command, [...args, `127.0.0.1:${port}`], options, (_, text) =>
      resolve(text),
    );
    stdin?.write('hello\n');
    stdout?.once('data', () => stdin?.end());
    expect(await promise).toBe('hello\n');
    const servername = name === 'python3' ? 'python3' : 's_client';
    const seen = await echo.event('connected', (event) => event['servername'] === servername);
    expect(seen).toMatchObject({ alpn: 'h2' });
  });
});

test('SIGINT ends the server well, with a summary', async () => {
  const { code, stdout } = await echo.kill('SIGINT');
  expect(code).toBe(0);
  expect(events(stdout).at(-1)).toMatchObject({ type: 'summary', exitCode: 0 });
});

test('datagrams and Unix sockets in clear', async () => {
  const udp = home.start(['echo', '--json', '--udp', '--listen', '127.0.0.1:0']);
  const unix = home.start(['echo', '--unix', home.at('echo.sock'), '--listen']);
  const there = await udp.event('listening');
  await unix.line((line) => line.includes('without TLS'));
  const clients = await Promise.all([
    home.run(['echo', '--udp', `127.0.0.1:${String(there['port'])}`], { input: 'datagram\n' }),
    home.run(['echo', '--unix', home.at('echo.sock')], { input: 'socket\n' }),
  ]);
  expect(clients.map(({ code, stdout }) => [code, stdout])).toEqual([
    [0, 'datagram\n'],
    [0, 'socket\n'],
  ]);
  expect((await Promise.all([udp.kill('SIGINT'), unix.kill('SIGINT')])).map(({ code }) => code)).toEqual([
    0, 0,
  ]);
});

test('chaos tells its seed and every fault, and the command behind it recovers', async () => {
  const server = await home.serve();
  const to = `${server.host}:${server.port}`;
  const chaos = home.start([
    'chaos',
    '--json',
    '--listen',
    '127.0.0.1:0',
    '--to',
    to,
    '--seed',
    '7',
    '--drop-after',
    '1.5M',
  ]);
  const there = await chaos.event('listening');
  expect(there).toMatchObject({ seed: 7, to, faults: { cut: { afterBytes: 1_572_864, mode: 'fin' } } });
  const source = home.write('work/three', randomBytes(3 * 2 ** 20));
  const place = `sealift://127.0.0.1:${String(there['port'])}/three`;
  const flags = ['--pin', server.pin, '--retry-delay', '1ms', '--no-progress'];
  expect((await runHere(home, ['put', ...flags, source, place])).code).toBe(0);
  const { code, stdout } = await chaos.kill('SIGINT');
  expect(code).toBe(0);
  const told = events(stdout);
  const cuts = told.filter((event: Event) => event.type === 'fault');
  expect(cuts.length).toBeGreaterThan(0);
  expect(told.at(-1)).toMatchObject({ type: 'summary', faults: { cut: cuts.length }, exitCode: 0 });
});

test('a server that misbehaves says so, and its clients end as with a full disk', async () => {
  const server = await home.serve(['--chaos', 'no-space,busy'], home.at('full'));
  const source = home.write('work/small', 'x');
  const flags = ['--retry-delay', '1ms', '--retry', '50', '--no-progress'];
  expect((await runHere(home, ['put', ...flags, source, server.place('small')])).code).toBe(11);
  expect(server.process.said.stderr).toContain('MISBEHAVES ON PURPOSE');
});

test.each<[string, string[], string]>([
  ['neither a server nor --listen', ['echo'], 'Either a server is needed'],
  ['both', ['echo', 'box:1', '--listen', ':1'], 'Either a server is needed'],
  ['two kinds at once', ['echo', '--plain', '--udp', 'box:1'], 'Only one of'],
  ['a certificate without its key', ['echo', '--listen', ':0', '--cert', '/dev/null'], 'needs its key'],
  [
    'clients to be refused by nobody',
    ['echo', '--listen', ':0', '--require-client-cert'],
    'needs --client-ca',
  ],
  ['nowhere to forward to', ['chaos', '--listen', ':0'], '--to is missing'],
  ['nowhere to listen', ['chaos', '--to', 'box:1'], '--listen is missing'],
  [
    'a fault that makes no sense',
    ['chaos', '--listen', ':0', '--to', 'box:1', '--rate', '0'],
    '--rate: "0" has to be more',
  ],
  ['a seed that is none', ['chaos', '--listen', ':0', '--to', 'box:1', '--seed', '4294967296'], 'no seed'],
  ['an unknown misbehaviour', ['serve', '--chaos', 'busy,lazy'], '"lazy" is none of'],
])('usage: %s', async (_, args, message) => {
  const { code, stderr } = await runHere(home, args);
  expect(stderr).toContain(message);
  expect(code).toBe(2);
});
