import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';

import type { Clock } from '../clock.ts';
import { SealiftError, systemCode } from '../errors.ts';
import { HANDSHAKE_TIMEOUT_MS } from '../protocol/limits.ts';
import type { Address } from './address.ts';
import { Deadlines } from './deadlines.ts';
import { listening, removeStaleSocket } from './listen.ts';
import { negotiatedGroup } from './negotiated-group.ts';
import { addressesOf, peerOf, plainAddress, type Peer } from './peer.ts';
import type { TlsVariation } from './tls-variation.ts';

/** More connections at once are closed at the door. */
const MAX_CONNECTIONS = 4_096;

export interface EchoServerOptions {
  /** Port 0 picks one; an empty host is all addresses. */
  address: Address;
  /** Default: no TLS. */
  tls?: EchoTls | undefined;
  /** Ends a connection on which nothing moves, in milliseconds. */
  idleTimeoutMs: number;
  clock: Clock;
  observer: EchoObserver;
}

/** How TLS is served. PEM texts. */
export interface EchoTls extends TlsVariation {
  cert: string;
  key: string;
  /** `required` refuses clients without a certificate that `clientCa` vouches for. */
  clientCertificate: 'none' | 'requested' | 'required';
  clientCa?: string | undefined;
}

/** Is told what happens. */
export interface EchoObserver {
  onConnected(connection: EchoConnection): void;
  /** `reason`: why it did not end well, by the code of the system or of ours; undefined if it did. */
  onClosed(connection: EchoConnection, reason: string | undefined): void;
  /** There was no connection: the handshake failed, or there are too many. The address may be unknown, and empty. */
  onRefused(reason: string, address: string): void;
}

/** One client. */
export interface EchoConnection {
  /** Counted from 1. */
  readonly number: number;
  /** Empty for a Unix socket. */
  readonly address: string;
  readonly port: number;
  /** Undefined without TLS. */
  readonly tls: (Peer & { servername: string | undefined }) | undefined;
  /** Bytes sent back so far. */
  bytes: number;
}

/** A running echo server. */
export interface EchoServer {
  /** Where it really listens. */
  readonly address: Address;
  /** Stops listening and closes every connection. May be called again. */
  close(): Promise<void>;
}

/** Sends back whatever comes, on any number of connections. Throws `bad-configuration` if it cannot listen. */
export async function startEchoServer(options: EchoServerOptions): Promise<EchoServer> {
  const sockets = new Set<Socket>();
  let count = 0;
  const server = serverFor(options, (socket, tls) => {
    count += 1;
    const connection = {
      number: count,
      address: plainAddress(socket.remoteAddress),
      port: socket.remotePort ?? 0,
      tls,
      bytes: 0,
    };
    sendBack(socket, connection, options);
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.on('drop', (dropped) =>
    options.observer.onRefused('too many connections', plainAddress(dropped?.remoteAddress)),
  );
  server.prependListener('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  if ('path' in options.address) await removeStaleSocket(options.address.path);
  await listening(server, options.address);
  return {
    address: boundAddress(server, options.address),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

type Serve = (socket: Socket, tls: EchoConnection['tls']) => void;

function serverFor({ tls, observer }: EchoServerOptions, serve: Serve): Server {
  if (tls === undefined)
    return createServer({ allowHalfOpen: true, noDelay: true }, (socket) => serve(socket, undefined));
  const { clientCertificate, clientCa, ...others } = tls;
  const server = usable(() =>
    createTlsServer({
      ...others,
      ca: clientCa,
      requestCert: clientCertificate !== 'none',
      rejectUnauthorized: clientCertificate === 'required',
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      noDelay: true,
    }),
  );
  server.on('secureConnection', (socket) => {
    // Who has said all still wants the rest back.
    socket.allowHalfOpen = true;
    const servername = (socket as { servername?: string | false }).servername;
    serve(socket, {
      ...peerOf(socket),
      group: negotiatedGroup(socket),
      servername: typeof servername === 'string' && servername !== '' ? servername : undefined,
    });
  });
  const addressOf = addressesOf(server);
  const told = new WeakSet<TLSSocket>();
  server.on('tlsClientError', (error, socket) => {
    socket.destroy();
    // Node tells of some twice.
    if (told.has(socket)) return;
    told.add(socket);
    const verdict = socket.authorizationError as Error | string | null;
    observer.onRefused(String(verdict ?? systemCode(error) ?? error.message), addressOf(socket));
  });
  return server;
}

function sendBack(
  socket: Socket,
  connection: EchoConnection,
  { clock, idleTimeoutMs, observer }: EchoServerOptions,
): void {
  let reason: string | undefined;
  const deadlines = new Deadlines(clock);
  const stayAwake = () =>
    deadlines.set('idle', idleTimeoutMs, () => {
      reason = 'idle';
      socket.destroy();
    });
  stayAwake();
  socket.on('error', (error) => (reason ??= systemCode(error) ?? error.message));
  socket.on('drain', stayAwake);
  socket.on('data', (bytes) => {
    connection.bytes += bytes.length;
    stayAwake();
  });
  socket.once('close', () => {
    deadlines.clearAll();
    observer.onClosed(connection, reason);
  });
  observer.onConnected(connection);
  // Reads no more while the client does not: a pipe pauses its source.
  socket.pipe(socket);
}

function boundAddress(server: Server, address: Address): Address {
  return 'path' in address ? address : { host: address.host, port: (server.address() as AddressInfo).port };
}

function usable<T>(use: () => T): T {
  try {
    return use();
  } catch (cause) {
    const message = `The certificate or key of the server cannot be used: ${(cause as Error).message}.`;
    throw new SealiftError('bad-configuration', message, { cause });
  }
}
