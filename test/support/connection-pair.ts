import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { onTestFinished } from 'vitest';

import { ALPN_ID, MAX_CONTENT_BYTES } from '../../src/protocol/limits.ts';
import { Connection, type ConnectionOptions } from '../../src/transport/connection.ts';
import { loopbackCertificate } from './certificates.ts';
import { FakeClock } from './fake-clock.ts';
import { RawClient } from './raw-client.ts';

/** A connection over real TLS whose time stands still, and the bare peer at its other end. */
export interface ConnectionPair {
  connection: Connection;
  raw: RawClient;
  clock: FakeClock;
  /** What the connection rests on. */
  socket: TLSSocket;
  /** Resolves when the connection has seen so many bytes in all. */
  received(bytes: number): Promise<void>;
}

export async function connectionPair(
  options: Partial<Omit<ConnectionOptions, 'clock'>> = {},
): Promise<ConnectionPair> {
  const clock = new FakeClock();
  const server = createServer({ ...(await loopbackCertificate()), ALPNProtocols: [ALPN_ID] });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'secureConnection') as Promise<[TLSSocket]>;
  const { port } = server.address() as AddressInfo;
  const raw = await RawClient.connect({ address: { host: '127.0.0.1', port } });
  const [socket] = await accepted;
  server.close();
  socket.allowHalfOpen = true;
  const connection = new Connection(socket, {
    clock,
    timeoutCode: 'timeout',
    maxContentBytes: MAX_CONTENT_BYTES,
    ...options,
  });
  onTestFinished(async () => {
    await connection[Symbol.asyncDispose]();
    await raw.destroy();
  });
  const received = async (bytes: number) => {
    while (connection.receivedBytes < bytes) await once(socket, 'data');
  };
  return { connection, raw, clock, socket, received };
}
