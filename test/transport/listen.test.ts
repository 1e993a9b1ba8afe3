import { once } from 'node:events';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { connect as tlsConnect } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';

import { issueAuthority, issueCertificate, loopbackCertificate } from '../support/certificates.ts';
import { dialling } from '../support/dialling.ts';
import { failureOf } from '../support/failure.ts';
import { listening, type Port } from '../support/listening.ts';
import { RawClient, type RawClientOptions } from '../support/raw-client.ts';

async function rawClient(options: RawClientOptions): Promise<RawClient> {
  const client = await RawClient.connect(options);
  onTestFinished(() => client.destroy());
  return client;
}

describe('ALPN', () => {
  test('a peer that offers only other protocols is refused by an alert', async () => {
    const { listener, refused, until } = await listening();
    const connecting = RawClient.connect({ address: listener.address, alpn: ['h2', 'http/1.1'] });
    await expect(connecting).rejects.toMatchObject({ code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL' });
    await until(() => refused.length === 1);
  });

  test('ours is chosen among others', async () => {
    const { listener, next } = await listening();
    const accepting = next();
    await rawClient({ address: listener.address, alpn: ['h2', 'sealift/1'] });
    expect((await accepting).peer.alpn).toBe('sealift/1');
  });

  test('a peer that offers none is closed without an answer', async () => {
    const { listener, refused, secured } = await listening();
    const client = await rawClient({ address: listener.address, alpn: [] });
    client.send({ action: 'hello', id: 1 });
    await client.closed;
    expect([client.messages, refused, secured]).toEqual([[], ['no ALPN'], []]);
  });

  test('a peer that offers none is served where that is allowed', async () => {
    const { listener, next } = await listening({ allowNoAlpn: true });
    const accepting = next();
    const client = await rawClient({ address: listener.address, alpn: [] });
    client.send({ n: 1 });
    const { connection, peer } = await accepting;
    expect(peer.alpn).toBeUndefined();
    expect((await connection.receive())?.header['n']).toBe(1);
  });
});

describe('TLS', () => {
  const tls12 = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;

  test('1.2 is refused', async () => {
    const { listener, refused, until } = await listening();
    const connecting = RawClient.connect({ address: listener.address, ...tls12 });
    await expect(connecting).rejects.toMatchObject({ code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' });
    await until(() => refused.length === 1);
  });

  test('1.2 is accepted where that is asked for', async () => {
    const { listener, next } = await listening({ tls: { minVersion: 'TLSv1.2' } });
    const accepting = next();
    await rawClient({ address: listener.address, ...tls12 });
    expect((await accepting).peer.tlsVersion).toBe('TLSv1.2');
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'a session of %s that is offered again is not resumed',
    async (version) => {
      const { listener, next } = await listening({ tls: { minVersion: 'TLSv1.2' } });
      const options = { address: listener.address, minVersion: version, maxVersion: version };
      const firstAccepted = next();
      const first = await rawClient(options);
      const { connection } = await firstAccepted;
      // A message back: whatever tickets there are came before it.
      await connection.send({ fields: {} });
      await first.take();
      const session = first.socket.getSession();
      expect(session).toBeInstanceOf(Buffer);
      const secondAccepted = next();
      const second = await rawClient({ ...options, session: session! });
      expect(second.socket.isSessionReused()).toBe(false);
      expect((await secondAccepted).peer.isResumed).toBe(false);
    },
  );

  test.each(['GET / HTTP/1.1\r\n\r\n', '\0\0\0\0\0\0\0\0', 'SSH-2.0-OpenSSH_9.9\r\n'])(
    'another protocol (%j) is refused, and the next client is served',
    async (greeting) => {
      const { listener, refused, until, next, closed } = await listening();
      const stranger = connect(listener.address as Port);
      onTestFinished(() => void stranger.destroy());
      stranger.on('error', () => undefined).write(greeting);
      await until(() => refused.length === 1 && closed.length === 1);
      const accepting = next();
      await rawClient({ address: listener.address });
      await accepting;
    },
  );

  test.each(['ends', 'resets'] as const)(
    'a handshake that its peer %s is told with its address',
    async (how) => {
      const failed = Promise.withResolvers<string[]>();
      const onHandshakeFailed = (...told: string[]) => failed.resolve(told);
      const { listener, accepted, until } = await listening({ onHandshakeFailed });
      const stranger = connect(listener.address as Port);
      onTestFinished(() => void stranger.destroy());
      await until(() => accepted.length === 1);
      if (how === 'ends') stranger.end();
      else stranger.resetAndDestroy();
      expect(await failed.promise).toEqual(['ECONNRESET', '127.0.0.1']);
    },
  );

  test('a key that does not fit the certificate is refused at the start', async () => {
    const { key } = await issueCertificate();
    const failure = await failureOf(listening({ tls: { ...(await loopbackCertificate()), key } }));
    expect(failure.code).toBe('bad-configuration');
  });
});

describe('connections', () => {
  test('one that is not admitted is closed before TLS, and its end is not told', async () => {
    const admitted: string[] = [];
    const { listener, accepted, closed, until } = await listening({
      onAccepted: (address) => admitted.push(address) === 2,
    });
    await expect(RawClient.connect({ address: listener.address })).rejects.toThrow();
    expect(accepted).toEqual(['127.0.0.1']);
    const client = await rawClient({ address: listener.address });
    await client.destroy();
    await until(() => closed.length > 0);
    expect(closed).toEqual(['127.0.0.1']);
  });

  test('closing stops accepting and leaves those that stand alone', async () => {
    const { listener, next } = await listening();
    const accepting = next();
    const client = await rawClient({ address: listener.address });
    const { connection } = await accepting;
    const closing = listener.close();
    expect((await failureOf(dialling({ address: listener.address }))).code).toBe('connection-refused');
    client.send({ n: 1 });
    expect((await connection.receive())?.header['n']).toBe(1);
    connection.destroy();
    await closing;
    await listener.close();
  });

  test('closing does not wait for handshakes that have not ended', async () => {
    const { listener, accepted, until } = await listening({ handshakeTimeoutMs: 3_600_000 });
    const silent = connect(listener.address as Port);
    onTestFinished(() => void silent.destroy());
    const gone = once(silent.on('error', () => undefined).resume(), 'close');
    await until(() => accepted.length === 1);
    await listener.close();
    await gone;
  });

  test('handshakes under way when the client CA changes are ended, which would be judged by the old one', async () => {
    const { listener, accepted, until, next } = await listening({ handshakeTimeoutMs: 3_600_000 });
    const pair = await loopbackCertificate();
    const [first, second] = [await issueAuthority(), await issueAuthority()];
    listener.setTls({ ...pair, clientCa: first.cert });
    const silent = connect(listener.address as Port);
    onTestFinished(() => void silent.destroy());
    const gone = once(silent.on('error', () => undefined).resume(), 'close');
    const accepting = next();
    const client = await rawClient({ address: listener.address });
    const { connection } = await accepting;
    await until(() => accepted.length === 2);
    listener.setTls({ ...pair, clientCa: second.cert });
    await gone;
    client.send({ n: 1 });
    expect((await connection.receive())?.header['n']).toBe(1);
  });

  // Elsewhere than on Linux a machine has no second address without being told.
  test.runIf(process.platform === 'linux')(
    'they are ended also where the client has come to another address from the same port meanwhile',
    async () => {
      const address = { host: '0.0.0.0', port: 0 };
      const { listener, accepted, until, next } = await listening({ address, handshakeTimeoutMs: 3_600_000 });
      const pair = await loopbackCertificate();
      const [first, second] = [await issueAuthority(), await issueAuthority()];
      listener.setTls({ ...pair, clientCa: first.cert });
      const { port } = listener.address as Port;
      const silent = connect({ host: '127.0.0.1', port, localAddress: '127.0.0.1' });
      onTestFinished(() => void silent.destroy());
      const gone = once(silent.on('error', () => undefined).resume(), 'close');
      await until(() => accepted.length === 1);
      const { localPort } = silent;
      const same = { localAddress: '127.0.0.1', ...(localPort === undefined ? {} : { localPort }) };
      const accepting = next();
      const other = connect({ host: '127.0.0.2', port, ...same });
      const secured = tlsConnect({ socket: other, ALPNProtocols: ['sealift/1'], rejectUnauthorized: false });
      onTestFinished(() => void secured.destroy());
      await accepting;

      listener.setTls({ ...pair, clientCa: second.cert });
      await gone;
    },
  );

  test('handshakes under way when only the certificate changes go on', async () => {
    const { listener, accepted, until, next } = await listening();
    const early = connect(listener.address as Port);
    onTestFinished(() => void early.destroy());
    await until(() => accepted.length === 1);
    listener.setTls(await issueCertificate());
    const accepting = next();
    const socket = tlsConnect({ socket: early, ALPNProtocols: ['sealift/1'], rejectUnauthorized: false });
    onTestFinished(() => void socket.destroy());
    await accepting;
  });
});

describe('addresses', () => {
  const hasIpv6 = Object.values(networkInterfaces()).some((all) =>
    all?.some(({ address }) => address === '::1'),
  );

  test.each(['127.0.0.1', '', ...(hasIpv6 ? ['::1'] : [])])('%j: port 0 becomes a port', async (host) => {
    const { listener } = await listening({ address: { host, port: 0 } });
    const { port } = listener.address as Port;
    expect(listener.address).toEqual({ host, port: expect.any(Number) });
    await dialling({ address: { host: host === '' ? 'localhost' : host, port } });
  });

  test('one that is taken is told, with what to do', async () => {
    const { listener } = await listening();
    const { port } = listener.address as Port;
    const failure = await failureOf(listening({ address: listener.address }));
    expect(failure).toMatchObject({
      code: 'bad-configuration',
      message: `Cannot listen on 127.0.0.1:${port} (EADDRINUSE).`,
      hint: expect.stringContaining('another port'),
    });
  });

  test('one that this machine does not have is told', async () => {
    const failure = await failureOf(listening({ address: { host: '192.0.2.1', port: 0 } }));
    expect(failure.code).toBe('bad-configuration');
  });
});
