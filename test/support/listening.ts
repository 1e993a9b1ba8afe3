import { once } from 'node:events';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { onTestFinished } from 'vitest';

import { MAX_CONTENT_BYTES } from '../../src/protocol/limits.ts';
import type { Connection } from '../../src/transport/connection.ts';
import { listen, type Listener, type ListenOptions } from '../../src/transport/listen.ts';
import type { Peer } from '../../src/transport/peer.ts';
import { loopbackCertificate } from './certificates.ts';
import { FakeClock } from './fake-clock.ts';

/** Where something listens on the loopback. */
export type Port = { host: string; port: number };

/** A listener of the project, and what happened to it. */
export interface Listening {
  listener: Listener;
  secured: { connection: Connection; peer: Peer }[];
  refused: string[];
  /** Addresses of connections that came and of those that went. */
  accepted: string[];
  closed: string[];
  /** Resolves to the next connection that is secured. */
  next(): Promise<{ connection: Connection; peer: Peer }>;
  /** Resolves when `isDone`, which is asked after each event. */
  until(isDone: () => boolean): Promise<void>;
}

/** Listens until the end of the test, on a port of the loopback unless told otherwise. */
export async function listening(
  options: Partial<Omit<ListenOptions, 'tls'>> & { tls?: Partial<ListenOptions['tls']> } = {},
): Promise<Listening> {
  const seen: Pick<Listening, 'secured' | 'refused' | 'accepted' | 'closed'> = {
    secured: [],
    refused: [],
    accepted: [],
    closed: [],
  };
  let happened = Promise.withResolvers<void>();
  const tell = () => {
    happened.resolve();
    happened = Promise.withResolvers();
  };
  const until = async (isDone: () => boolean) => {
    while (!isDone()) await happened.promise;
  };
  const listener = await listen({
    address: { host: '127.0.0.1', port: 0 },
    requestClientCertificate: true,
    allowNoAlpn: false,
    connection: { clock: new FakeClock(), timeoutCode: 'timeout', maxContentBytes: MAX_CONTENT_BYTES },
    onClosed: (address) => {
      seen.closed.push(address);
      tell();
    },
    onSecured: (connection, peer) => {
      seen.secured.push({ connection, peer });
      tell();
    },
    onHandshakeFailed: (reason) => {
      seen.refused.push(reason);
      tell();
    },
    ...options,
    onAccepted: (address) => {
      seen.accepted.push(address);
      tell();
      return options.onAccepted?.(address) ?? true;
    },
    tls: { ...(await loopbackCertificate()), ...options.tls },
  });
  onTestFinished(async () => {
    for (const { connection } of seen.secured) connection.destroy();
    await listener.close();
  });
  const next = async () => {
    const nth = seen.secured.length;
    await until(() => seen.secured.length > nth);
    return seen.secured[nth] as { connection: Connection; peer: Peer };
  };
  return { listener, ...seen, next, until };
}

/** Another kind of TCP server, which does `serve` with each connection; ended with the test. */
export function tcpServer(serve: (socket: Socket) => void, host?: string, port?: number): Promise<Port> {
  return bound(createTcpServer(serve), host, port);
}

/** Another kind of TLS server, which says nothing. */
export async function tlsServer(options: TlsOptions, onSecured?: (socket: Socket) => void): Promise<Port> {
  return bound(createTlsServer({ ...(await loopbackCertificate()), ...options }, onSecured));
}

/** A port where nobody listens any more. */
export async function closedPort(): Promise<Port> {
  const server = createTcpServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return { host: '127.0.0.1', port };
}

async function bound(server: Server, host = '127.0.0.1', port = 0): Promise<Port> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket.on('error', () => undefined).once('close', () => sockets.delete(socket)));
  });
  server.on('tlsClientError', () => undefined);
  server.listen(port, host);
  await once(server, 'listening');
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return { host, port: (server.address() as AddressInfo).port };
}
