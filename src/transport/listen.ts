import { constants, type X509Certificate } from 'node:crypto';
import { lstatSync, unlinkSync } from 'node:fs';
import { connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer, type SecureContextOptions, type Server as TlsServer, type TLSSocket } from 'node:tls';

import { SealiftError, systemCode } from '../errors.ts';
import { ALPN_ID, HANDSHAKE_TIMEOUT_MS } from '../protocol/limits.ts';
import { formatAddress, type Address } from './address.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import { addressesOf, beneath, peerOf, plainAddress, type Peer } from './peer.ts';
import { ReadBuffer } from './read-buffer.ts';

export interface ListenOptions {
  address: Address;
  /** PEM texts. `clientCa` vouches for client certificates. */
  tls: {
    cert: string;
    key: string;
    passphrase?: string | undefined;
    clientCa?: string | undefined;
    minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
  };
  /** Whether clients are asked for a certificate; what it is worth is judged by whoever serves the connection. */
  requestClientCertificate: boolean;
  /** Whether peers that offer no ALPN at all are served. */
  allowNoAlpn: boolean;
  /** In milliseconds, from the accepted connection. Default 10 s. */
  handshakeTimeoutMs?: number | undefined;
  /** Judges a TCP connection before TLS; false closes it, and `onClosed` is then not called. */
  onAccepted: (remoteAddress: string) => boolean;
  /** A TCP connection that was accepted is closed. */
  onClosed: (remoteAddress: string) => void;
  /** How the connections are to behave. */
  connection: ConnectionOptions;
  onSecured: (connection: Connection, peer: Peer) => void;
  /** A handshake failed: somebody else's protocol, a broken line, or a version we do not speak. */
  onHandshakeFailed: (reason: string, remoteAddress: string) => void;
}

/** All of TLS 1.3, and of 1.2 what is as good: a key of its own for each connection, and authenticated encryption. */
const CIPHERS =
  'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:ECDHE+AESGCM:ECDHE+CHACHA20';

/** A listening TLS socket. */
export interface Listener {
  /** Where it really listens: port 0 has become a number. */
  readonly address: Address;
  /** Stops accepting, and ends the handshakes under way; connections that stand go on. May be called again. */
  close(): Promise<void>;
  /**
   * Uses another certificate, key and client CA for connections that are accepted from now on. Where the client CA is
   * another one, the handshakes under way are ended: whoever is secured later was judged by the new one. Throws
   * `bad-configuration`, and nothing has changed then.
   */
  setTls(tls: ListenOptions['tls']): void;
}

/** The sockets whose handshake has not ended, by what tells which one of them is secured then. */
type Handshakes = Map<string | Socket, Socket>;

/** Listens for TLS. Throws `bad-configuration` if the certificate cannot be used or the address cannot be had. */
export async function listen(options: ListenOptions): Promise<Listener> {
  const handshakes: Handshakes = new Map();
  const server = tlsServer(options, handshakes);
  if ('path' in options.address) await removeStaleSocket(options.address.path);
  await listening(server, options.address);
  const bound = server.address();
  const address =
    'path' in options.address
      ? options.address
      : { host: options.address.host, port: (bound as AddressInfo).port };
  let { clientCa } = options.tls;
  const endHandshakes = () => {
    for (const socket of handshakes.values()) socket.destroy();
  };
  let closing: Promise<void> | undefined;
  return {
    address,
    close: () =>
      (closing ??= new Promise((resolve) => {
        server.close(() => resolve());
        // Nobody else knows them, and the last of them would be waited for.
        endHandshakes();
      })),
    setTls: (tls) => {
      usable(() => server.setSecureContext(contextOptions(tls)));
      // What a certificate is judged by was settled when its connection was accepted.
      if (tls.clientCa !== clientCa) endHandshakes();
      ({ clientCa } = tls);
    },
  };
}

function tlsServer(options: ListenOptions, handshakes: Handshakes): TlsServer {
  const server = usable(() =>
    createServer({
      ...contextOptions(options.tls),
      ALPNProtocols: [ALPN_ID],
      requestCert: options.requestClientCertificate,
      rejectUnauthorized: false,
      handshakeTimeout: options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
    }),
  );
  server.prependListener('connection', (socket: Socket) => {
    const address = plainAddress(socket.remoteAddress);
    if (!options.onAccepted(address)) return socket.destroy();
    const end = commonEnd(socket);
    handshakes.set(end, socket);
    socket.once('close', () => {
      if (handshakes.get(end) === socket) handshakes.delete(end);
      options.onClosed(address);
    });
  });
  const leaves = options.requestClientCertificate ? leavesWithChain(server) : undefined;
  server.on('secureConnection', (socket) => {
    handshakes.delete(commonEnd(socket));
    onSecured(socket, options, leaves?.get(socket));
  });
  const addressOf = addressesOf(server);
  server.on('tlsClientError', (error, socket) => {
    options.onHandshakeFailed(systemCode(error) ?? error.message, addressOf(socket));
    socket.destroy();
  });
  return server;
}

/**
 * The certificates of clients, with what was sent behind them. Node looks at a certificate that its authorities vouch
 * for before it tells of the connection, and whoever looks first takes the chain away from all who look later.
 */
function leavesWithChain(server: TlsServer): WeakMap<TLSSocket, X509Certificate | undefined> {
  const leaves = new WeakMap<TLSSocket, X509Certificate | undefined>();
  // Nothing else tells of a socket before its handshake is over; the secrets are not looked at.
  server.on('keylog', (_secret, socket) => {
    if (leaves.has(socket)) return;
    leaves.set(socket, undefined);
    socket.prependOnceListener('secure', () => leaves.set(socket, socket.getPeerX509Certificate()));
  });
  return leaves;
}

function contextOptions(tls: ListenOptions['tls']): SecureContextOptions {
  return {
    cert: tls.cert,
    key: tls.key,
    passphrase: tls.passphrase,
    ca: tls.clientCa,
    minVersion: tls.minVersion ?? 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: CIPHERS,
    // No tickets: a resumed session would skip the client's certificate. A session by id needs a cache, and there is
    // none.
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  };
}

function usable<T>(use: () => T): T {
  try {
    return use();
  } catch (cause) {
    throw new SealiftError(
      'bad-configuration',
      `The certificate or key of the server cannot be used: ${(cause as Error).message}.`,
      { cause },
    );
  }
}

/** What the socket before TLS and the one after it have in common. Without an address it is the former. */
function commonEnd(socket: Socket): string | Socket {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  // With both ends: from one port of theirs a client may connect to each of our addresses.
  if (remoteAddress !== undefined) return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
  return beneath(socket) ?? socket;
}

function onSecured(
  socket: TLSSocket,
  { allowNoAlpn, connection, onSecured: serve, onHandshakeFailed }: ListenOptions,
  certificate: X509Certificate | undefined,
): void {
  const peer = peerOf(socket, certificate);
  // A peer that offers other protocols only was refused by OpenSSL already; one that offers none was not.
  const refusal = peer.isResumed
    ? 'resumed session'
    : peer.alpn === ALPN_ID || allowNoAlpn
      ? undefined
      : 'no ALPN';
  if (refusal === undefined) {
    // Who has asked may end its side and still wants the answer. Set only now: during the handshake a half-open
    // socket that was left by its peer would stay for ever.
    socket.allowHalfOpen = true;
    return serve(new Connection(socket, { ...connection, reads: ReadBuffer.givenTo(socket) }), peer);
  }
  onHandshakeFailed(refusal, peer.address);
  socket.destroy();
}

/** Resolves when `server` listens. Throws `bad-configuration` if the address cannot be had. */
export async function listening(server: Server, address: Address): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('listening', resolve).once('error', reject);
  try {
    // Node takes no host for "all addresses, of both families".
    server.listen(
      'path' in address
        ? { path: address.path }
        : { port: address.port, ...(address.host === '' ? {} : { host: address.host }) },
    );
    await promise;
  } catch (cause) {
    throw new SealiftError(
      'bad-configuration',
      `Cannot listen on ${formatAddress(address)} (${systemCode(cause) ?? String(cause)}).`,
      {
        cause,
        ...(systemCode(cause) === 'EADDRINUSE'
          ? { hint: 'Another program listens there: end it, or choose another port.' }
          : {}),
      },
    );
  } finally {
    server.off('error', reject);
    server.on('error', () => undefined);
  }
}

/** Removes the socket file that a server left behind when it was killed; one that answers belongs to a server that lives, and stays. */
export async function removeStaleSocket(path: string): Promise<void> {
  // Connecting to a file of another kind is refused too, and that one is nobody's to remove.
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const probe = connect({ path });
  probe
    .once('connect', () => resolve(false))
    .once('error', (error) => resolve(systemCode(error) === 'ECONNREFUSED'));
  const isStale = await promise;
  probe.destroy();
  if (isStale) unlinkSync(path);
}
