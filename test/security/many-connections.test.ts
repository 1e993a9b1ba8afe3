import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';

import { ALPN_ID } from '../../src/protocol/limits.ts';
import { startAttackedServer } from '../support/attacked-server.ts';
import { tokenOf } from '../support/test-server.ts';
import { inlinePut } from '../support/raw-files.ts';

describe('hazard 26: silent connections', () => {
  test('with 300 of them, half before and half after TLS, others are served', async () => {
    const { address, connect: secure, login, server } = await startAttackedServer();
    const silent = await Promise.all(Array.from({ length: 150 }, () => open(address)));
    await Promise.all(Array.from({ length: 150 }, () => secure()));
    const client = await login();
    expect((await client.ask(...inlinePut('served', 'all the same'))).header['status']).toBe('ok');
    expect(server.connectionCount).toBe(151);
    expect(silent.every((socket) => !socket.destroyed)).toBe(true);
  });
});

describe('hazard 26: strangers that stay silent', () => {
  test.each([
    ['in all', { maxUnauthenticated: 20 }],
    ['from one address', { maxUnauthenticatedPerAddress: 20 }],
  ])(
    'are closed at once beyond their limit %s, and who has logged in takes none of their places',
    async (_, caps) => {
      const { address, connect: secure, login, log } = await startAttackedServer(caps);
      const clients = [];
      for (let count = 0; count < 30; count += 1) clients.push(await login());
      await Promise.all(Array.from({ length: 10 }, () => secure()));
      const silent = await Promise.all(Array.from({ length: 10 }, () => open(address)));
      const refused = await open(address);
      await once(refused.resume(), 'close');
      expect(log().match(/too many connections/g)).toHaveLength(1);
      for (const client of clients) await client.askOk('ping');
      expect(silent.every((socket) => !socket.destroyed)).toBe(true);

      silent[0]?.destroy();
      await eventually(async () => {
        await (await login()).askOk('ping');
      });
    },
  );

  test('are as many as an honest client may send at once, and more', async () => {
    const { connect: secure, server } = await startAttackedServer();
    const burst = await Promise.all(Array.from({ length: 500 }, () => secure()));
    const answers = await Promise.all(burst.map((client) => client.hello({ token: tokenOf('tester') })));
    expect(answers.every(({ header }) => header['status'] === 'ok')).toBe(true);
    expect(server.connectionCount).toBe(500);
  });
});

describe('hazard 27: one address that takes all', () => {
  test('is refused beyond its limit, gets its places back, and takes none from another address', async () => {
    const {
      address,
      connect: secure,
      assertAlive,
      log,
    } = await startAttackedServer({ maxConnectionsPerAddress: 3 });
    const [first] = [await secure(), await secure(), await secure()];
    await expect(secure()).rejects.toThrow();
    await expect(secure()).rejects.toThrow();
    expect(log().match(/too many connections/g)).toHaveLength(2);

    const { host, port } = address as { host: string; port: number };
    const other = connectTls({
      socket: connect({ host, port, localAddress: '127.0.0.2' }),
      ALPNProtocols: [ALPN_ID],
      rejectUnauthorized: false,
    });
    onTestFinished(() => void other.destroy());
    await once(other, 'secureConnect');

    await first.destroy();
    await eventually(assertAlive);
  });

  test('handshakes that fail give their places back too', async () => {
    const { address, assertAlive } = await startAttackedServer({ maxConnections: 2 });
    for (let round = 0; round < 10; round += 1) {
      const socket = await open(address);
      socket.resume().end('GET / HTTP/1.1\r\n\r\n');
      await once(socket, 'close');
    }
    await eventually(assertAlive);
  });
});

async function open(address: object): Promise<Socket> {
  const socket = connect(address as { host: string; port: number });
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** Tries again until the server has noticed what the other side did; the time of the test is the limit. */
async function eventually(task: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await task();
    } catch {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
