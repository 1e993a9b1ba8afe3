import { once } from 'node:events';
import { connect as connectPlain } from 'node:net';
import { join } from 'node:path';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';

import { systemClock } from '../../src/clock.ts';
import {
  startEchoServer,
  type EchoConnection,
  type EchoServerOptions,
  type EchoTls,
} from '../../src/transport/echo-server.ts';
import { tlsVariation, type TlsWishes } from '../../src/transport/tls-variation.ts';
import { issueAuthority, issueCertificate, loopbackCertificate } from '../support/certificates.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { temporaryDirectory } from '../support/test-server.ts';

interface Seen {
  connected: EchoConnection[];
  closed: { connection: EchoConnection; reason: string | undefined }[];
  refused: string[];
  /** From where those came. */
  strangers: string[];
}

/** An echo server, and what it told. */
async function echoServer(options: Partial<EchoServerOptions> = {}) {
  const seen: Seen = { connected: [], closed: [], refused: [], strangers: [] };
  let happened = Promise.withResolvers<void>();
  const tell = <T>(list: T[], item: T) => {
    list.push(item);
    happened.resolve();
    happened = Promise.withResolvers();
  };
  const server = await startEchoServer({
    address: { host: '127.0.0.1', port: 0 },
    idleTimeoutMs: 60_000,
    clock: systemClock,
    observer: {
      onConnected: (connection) => tell(seen.connected, connection),
      onClosed: (connection, reason) => tell(seen.closed, { connection, reason }),
      onRefused: (reason, address) => {
        seen.strangers.push(address);
        tell(seen.refused, reason);
      },
    },
    ...options,
  });
  onTestFinished(() => server.close());
  const until = async (isDone: () => boolean) => {
    while (!isDone()) await happened.promise;
  };
  return { server, seen, until, port: 'port' in server.address ? server.address.port : 0 };
}

async function tlsEchoServer(wishes: TlsWishes = {}, more: Partial<EchoTls> = {}) {
  const identity = { ...(await loopbackCertificate()), clientCertificate: 'none' as const };
  return echoServer({ tls: { ...tlsVariation(wishes), ...identity, ...more } });
}

/** Sends all, ends, and resolves with all that came back. */
async function echoed(socket: ReturnType<typeof connectPlain>, content: Buffer): Promise<Buffer> {
  const parts: Buffer[] = [];
  socket.on('data', (bytes: Buffer) => parts.push(bytes)).end(content);
  await once(socket, 'end');
  return Buffer.concat(parts);
}

function dial(port: number, options: ConnectionOptions = {}): TLSSocket {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options });
  onTestFinished(() => void socket.destroy());
  return socket.on('error', () => undefined);
}

test('sends everything back, to the end, and counts it', async () => {
  const { port, seen, until } = await tlsEchoServer();
  const content = Buffer.alloc(3_000_000, 'echo');
  expect((await echoed(dial(port), content)).equals(content)).toBe(true);
  await until(() => seen.closed.length === 1);
  expect(seen.closed[0]).toMatchObject({ connection: { number: 1, bytes: 3_000_000 }, reason: undefined });
});

test('200 clients at once', async () => {
  const { port, seen, until } = await tlsEchoServer();
  const sockets = Array.from({ length: 200 }, () => dial(port));
  await until(() => seen.connected.length === 200);
  const answers = await Promise.all(
    sockets.map((socket, index) => echoed(socket, Buffer.from(`client ${index}`))),
  );
  expect(answers.map(String)).toEqual(sockets.map((_, index) => `client ${index}`));
  await until(() => seen.closed.length === 200);
});

test('a client that does not read is not read from either', async () => {
  const { port, seen, until } = await echoServer();
  const socket = connectPlain({ host: '127.0.0.1', port }).on('error', () => undefined);
  onTestFinished(() => void socket.destroy());
  const piece = Buffer.alloc(1_048_576);
  const maxBytes = 512 * piece.length;
  let sent = 0;
  // Until the kernel takes no more: it buffers some megabytes on each side.
  while (sent < maxBytes) {
    const isTaken = socket.write(piece);
    sent += piece.length;
    if (isTaken) continue;
    const drained = once(socket, 'drain').then(() => true);
    if (!(await Promise.race([drained, quietTurns(2_000).then(() => false)]))) break;
  }
  expect(sent).toBeLessThan(maxBytes);
  await until(() => seen.connected.length === 1);
  expect(seen.connected[0]?.bytes).toBeLessThan(sent);
});

test('an idle connection is ended, one that moves is not', async () => {
  const clock = new FakeClock();
  const { port, seen, until } = await echoServer({ clock, idleTimeoutMs: 1_000 });
  const socket = connectPlain({ host: '127.0.0.1', port });
  await until(() => seen.connected.length === 1);
  clock.advance(999);
  socket.write('x');
  await once(socket, 'data');
  clock.advance(999);
  expect(seen.closed).toEqual([]);
  clock.advance(1);
  await until(() => seen.closed.length === 1);
  expect(seen.closed[0]?.reason).toBe('idle');
});

test('a Unix socket, also where a killed server has left one', async () => {
  const path = join(await temporaryDirectory(), 'echo.sock');
  await echoServer({ address: { path } });
  expect((await echoed(connectPlain({ path }), Buffer.from('x'))).toString()).toBe('x');
});

describe('tells of TLS', () => {
  test.each<[string, TlsWishes, ConnectionOptions, Record<string, unknown>]>([
    ['post-quantum', {}, {}, { tlsVersion: 'TLSv1.3', group: 'X25519MLKEM768', alpn: undefined }],
    ['the group asked for', { groups: 'P-384' }, {}, { group: 'secp384r1' }],
    ['TLS 1.2', { maxTls: '1.2', groups: 'X25519' }, {}, { tlsVersion: 'TLSv1.2', group: 'X25519' }],
    [
      'TLS 1.0',
      { maxTls: '1.0' },
      { minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' },
      { tlsVersion: 'TLSv1' },
    ],
    [
      'the cipher',
      { maxTls: '1.2', ciphers: 'ECDHE+CHACHA20' },
      {},
      { cipher: 'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256' },
    ],
    ['ALPN', { alpn: ['h2', 'x'] }, { ALPNProtocols: ['x', 'y'] }, { alpn: 'x' }],
    ['SNI', {}, { servername: 'box.example' }, { servername: 'box.example' }],
    ['no SNI', {}, {}, { servername: undefined }],
  ])('%s', async (_, wishes, options, facts) => {
    const { port, seen, until } = await tlsEchoServer(wishes);
    dial(port, options);
    await until(() => seen.connected.length + seen.refused.length > 0);
    expect(seen.refused).toEqual([]);
    expect(seen.connected[0]?.tls).toMatchObject(facts);
  });

  test('a client that speaks nothing of it is refused, and why is told', async () => {
    const { port, seen, until } = await tlsEchoServer({ alpn: ['h2'] });
    dial(port, { ALPNProtocols: ['x'] });
    await until(() => seen.refused.length === 1);
    expect(seen.refused).toEqual(['ERR_SSL_NO_APPLICATION_PROTOCOL']);
  });

  test('a client that is gone again is told with its address', async () => {
    const { port, seen, until } = await tlsEchoServer();
    connectPlain(port, '127.0.0.1').end();
    await until(() => seen.refused.length === 1);
    expect(seen.strangers).toEqual(['127.0.0.1']);
  });
});

describe('client certificates', () => {
  test.each<['requested' | 'required', 'none' | 'good' | 'foreign', string]>([
    ['requested', 'none', 'connected without'],
    ['requested', 'good', 'connected, accepted'],
    ['requested', 'foreign', 'connected, not accepted'],
    ['required', 'none', 'refused: ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE'],
    ['required', 'good', 'connected, accepted'],
    ['required', 'foreign', 'refused: DEPTH_ZERO_SELF_SIGNED_CERT'],
  ])('%s, and the client has %s: %s', async (clientCertificate, which, outcome) => {
    const ca = await issueAuthority();
    const presented =
      which === 'none' ? {} : await issueCertificate(which === 'good' ? { ca } : { commonName: 'foreign' });
    const { port, seen, until } = await tlsEchoServer({}, { clientCertificate, clientCa: ca.cert });
    dial(port, presented);
    await until(() => seen.connected.length + seen.refused.length > 0);
    const [connection] = seen.connected;
    const { certificate, certificateProblem } = connection?.tls ?? {};
    const judged = certificateProblem === undefined ? 'connected, accepted' : 'connected, not accepted';
    const told = certificate === undefined ? 'connected without' : judged;
    expect(connection === undefined ? `refused: ${seen.refused[0]}` : told).toBe(outcome);
  });
});

/** Resolves after so many turns of the event loop, in which whatever can happen does. */
async function quietTurns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
