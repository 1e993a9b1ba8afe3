import { lookup } from 'node:dns/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { SealiftError } from '../../src/errors.ts';
import { certificatePin } from '../../src/trust/pins.ts';
import { issueCertificate, loopbackCertificate } from '../support/certificates.ts';
import { dialling } from '../support/dialling.ts';
import { failureOf } from '../support/failure.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { closedPort, listening, tcpServer, tlsServer, type Port } from '../support/listening.ts';
import { temporaryDirectory } from '../support/test-server.ts';

test('a connection carries messages and knows its peer, on both sides', async () => {
  const client = await issueCertificate({ commonName: 'a client' });
  const { listener, next } = await listening();
  const accepting = next();
  const { connection, peer } = await dialling({ address: listener.address, tls: client });
  const accepted = await accepting;
  await connection.send({ fields: { n: 1 } });
  expect((await accepted.connection.receive())?.header['n']).toBe(1);
  const pin = async ({ cert }: { cert: string }) => certificatePin(Buffer.from(cert));
  expect(peer).toMatchObject({
    address: '127.0.0.1',
    tlsVersion: 'TLSv1.3',
    cipher: expect.stringMatching(/^TLS_/),
    alpn: 'sealift/1',
    certificateProblem: expect.any(String),
    isResumed: false,
  });
  expect(certificatePin(peer.certificate!)).toBe(await pin(await loopbackCertificate()));
  expect(certificatePin(accepted.peer.certificate!)).toBe(await pin(client));
});

const impostors: Record<string, () => Promise<Port>> = {
  'TLS with another protocol': () => tlsServer({ ALPNProtocols: ['h2'] }),
  'TLS without ALPN': () => tlsServer({}),
  'no TLS': () => tcpServer((socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
  'TLS 1.2 only': () => tlsServer({ maxVersion: 'TLSv1.2', ALPNProtocols: ['sealift/1'] }),
  'nothing, and hangs up': () => tcpServer((socket) => void socket.once('data', () => socket.destroy())),
};
test.each([
  ['TLS with another protocol', 'alpn-refused'],
  ['TLS without ALPN', 'alpn-refused'],
  ['no TLS', 'not-tls'],
  ['TLS 1.2 only', 'tls-refused'],
  ['nothing, and hangs up', 'connection-lost'],
])('a server that speaks %s is %s', async (what, code) => {
  const address = await impostors[what]!();
  const failure = await failureOf(dialling({ address }));
  expect(failure.code).toBe(code);
  expect(failure.message).toContain(`127.0.0.1:${address.port}`);
});

test.each([
  ['bücher.example', 'xn--bcher-kva.example'],
  ['localhost.', 'localhost'],
])('the server of %s is asked for by the name %s', async (servername, name) => {
  const asked: string[] = [];
  const address = await tlsServer({
    ALPNProtocols: ['sealift/1'],
    SNICallback: (wanted, done) => {
      asked.push(wanted);
      done(null);
    },
  });
  await dialling({ address, tls: { servername } });
  expect(asked).toEqual([name]);
});

test('a port where nobody listens refuses', async () => {
  expect((await failureOf(dialling({ address: await closedPort() }))).code).toBe('connection-refused');
});

test('a Unix socket that is not there refuses', async () => {
  const path = join(await temporaryDirectory(), 'none.sock');
  const failure = await failureOf(dialling({ address: { path } }));
  expect(failure).toMatchObject({
    code: 'connection-refused',
    message: expect.stringContaining(`unix:${path}`),
  });
});

test.each([{ port: NaN }, { port: -1 }, { port: 70_000 }, { port: undefined }, { port: 1, tls: { ca: 5 } }])(
  'what no connection can be made with is refused for good: %o',
  async ({ port, tls }) => {
    const options = { address: { host: '127.0.0.1', port }, ...(tls === undefined ? {} : { tls }) };
    const failure = await failureOf(dialling(options as never));
    expect(failure).toMatchObject({ code: 'bad-configuration', retryable: false });
  },
);

test('a name that nobody has is not resolved', async () => {
  // Longer than a label may be, so that no name server is asked.
  const host = `${'x'.repeat(64)}.invalid`;
  expect((await failureOf(dialling({ address: { host, port: 1 } }))).code).toBe('name-not-resolved');
});

test('a server that accepts and says nothing is a stall', async () => {
  const clock = new FakeClock();
  const connected = Promise.withResolvers<void>();
  const address = await tcpServer(() => undefined);
  const failing = failureOf(dialling({ address, clock, onConnected: connected.resolve }));
  await connected.promise;
  clock.advance(9_999);
  clock.advance(1);
  expect((await failing).code).toBe('stalled');
  expect(clock.pendingCount).toBe(0);
});

test('a server that does not even accept is a connection that takes too long', async () => {
  const clock = new FakeClock();
  const failing = failureOf(dialling({ address: await closedPort(), clock, connectTimeoutMs: 3_000 }));
  // Time passes before any news of the connection can have come.
  clock.advance(3_000);
  expect(await failing).toMatchObject({ code: 'connect-timeout', message: expect.stringContaining('3 s') });
});

test.each([
  ['before it begins', undefined, 'aborted'],
  ['during the handshake', undefined, 'aborted'],
  ['with a reason of ours', new SealiftError('stalled', 'No hello.'), 'stalled'],
])('dialling can be aborted %s', async (when, reason, code) => {
  const controller = new AbortController();
  const clock = new FakeClock();
  if (when === 'before it begins') controller.abort(reason);
  const onConnected = () => controller.abort(reason);
  const address = await tcpServer(() => undefined);
  const failing = failureOf(dialling({ address, clock, onConnected, signal: controller.signal }));
  expect((await failing).code).toBe(code);
  expect(clock.pendingCount).toBe(0);
});

test('what is thrown by who is told that TCP stands ends it, and the connection', async () => {
  const clock = new FakeClock();
  const closed = Promise.withResolvers<void>();
  const address = await tcpServer((socket) => {
    socket.resume().once('close', closed.resolve);
  });
  const thrown = new Error('not now');
  const onConnected = () => {
    throw thrown;
  };
  await expect(dialling({ address, clock, onConnected })).rejects.toBe(thrown);
  await closed.promise;
  expect(clock.pendingCount).toBe(0);
});

test.each([
  ['is no PEM', async () => ({ cert: 'no PEM', key: 'no PEM' })],
  [
    'belongs to another key',
    async () => ({ ...(await issueCertificate()), cert: (await issueCertificate()).cert }),
  ],
])('a certificate of our own that %s is told as such', async (_, tls) => {
  const { listener } = await listening();
  const failing = failureOf(dialling({ address: listener.address, tls: await tls() }));
  expect((await failing).code).toBe('bad-configuration');
});

test('what the judge of the peer throws is thrown, and the connection is closed', async () => {
  const { listener, closed, until } = await listening();
  const refusal = new SealiftError('pin-mismatch', 'Another key.');
  const verify = () => {
    throw refusal;
  };
  expect(await failureOf(dialling({ address: listener.address, verify }))).toBe(refusal);
  await until(() => closed.length === 1);
});

test('a name with several addresses is tried until one answers', async () => {
  const addresses = await lookup('localhost', { all: true });
  for (const { address: host } of addresses) {
    // Only one of them listens.
    const { listener, next } = await listening({ address: { host, port: 0 } });
    const { port } = listener.address as Port;
    const accepting = next();
    const { peer } = await dialling({ address: { host: 'localhost', port } });
    expect(peer.address).toBe(host);
    await accepting;
  }
});

test('a name none of whose addresses answers refuses', async () => {
  const { port } = await closedPort();
  const failure = await failureOf(dialling({ address: { host: 'localhost', port } }));
  expect(failure).toMatchObject({
    code: 'connection-refused',
    message: expect.stringContaining(`localhost:${port}`),
  });
});
