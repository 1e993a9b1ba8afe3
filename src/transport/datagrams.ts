import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';

import { abortedError, throwIfAborted, type Clock } from '../clock.ts';
import { SealiftError, systemCode } from '../errors.ts';
import { plainAddress } from './peer.ts';
import { resolveHost } from './resolve-host.ts';

/** Bytes of a datagram that any network carries in one piece: 1,280 of IPv6 (RFC 8200), less the headers. */
export const MAX_DATAGRAM_BYTES = 1_232;
/** Below it are services that answer by themselves: with one of them an echo, once started by a forged sender, would talk for ever. */
export const FIRST_CLIENT_PORT = 1_024;

export interface DatagramEchoOptions {
  host: string;
  /** 0 picks one. */
  port: number;
  /** A datagram came, and was sent back, or not because of who seems to have sent it. */
  onDatagram(from: { address: string; port: number }, bytes: number, isAnswered: boolean): void;
}

/** Sends back whatever datagram comes to a UDP port; an empty host is all addresses. Throws `bad-configuration` if it cannot have the port. */
export async function startDatagramEcho(
  options: DatagramEchoOptions,
): Promise<{ port: number; close(): Promise<void> }> {
  const socket = await bound(options.host, options.port);
  const { port } = socket.address();
  socket.on('message', (bytes: Buffer, from: RemoteInfo) => {
    const isAnswered = from.port >= FIRST_CLIENT_PORT && from.port !== port;
    // What cannot be sent is lost, as datagrams may be.
    if (isAnswered) socket.send(bytes, from.port, from.address, () => undefined);
    options.onDatagram({ address: plainAddress(from.address), port: from.port }, bytes.length, isAnswered);
  });
  return { port, close: () => new Promise((resolve) => socket.close(() => resolve())) };
}

/** Datagrams to one server. */
export interface DatagramLink {
  /** Sends one and resolves when the same came back: after how many milliseconds; undefined: not in time. Throws `connection-refused` if nobody listens there. */
  echo(bytes: Buffer): Promise<number | undefined>;
  close(): void;
}

export interface DatagramLinkOptions {
  host: string;
  port: number;
  /** How long each is waited for, in milliseconds. */
  timeoutMs: number;
  clock: Clock;
  signal: AbortSignal;
}

/** Readies datagrams to a server, of which nothing is known yet. Throws `name-not-resolved`. */
export async function openDatagramLink(options: DatagramLinkOptions): Promise<DatagramLink> {
  const { host, port } = options;
  const [address = host] = await resolveHost(host, options);
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  socket.connect(port, address);
  await once(socket, 'connect');
  socket.on('error', () => undefined);
  return { echo: (bytes) => echoed(socket, bytes, options), close: () => socket.close() };
}

async function echoed(
  socket: Socket,
  bytes: Buffer,
  { host, port, timeoutMs, clock, signal }: DatagramLinkOptions,
): Promise<number | undefined> {
  throwIfAborted(signal);
  const startMs = clock.monotonicMs();
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  // One that comes too late is not taken for the answer to another.
  const onMessage = (answer: Buffer) => {
    if (answer.equals(bytes)) resolve(clock.monotonicMs() - startMs);
  };
  const onError = (cause: Error) =>
    reject(new SealiftError('connection-refused', `${host} takes no datagrams on port ${port}.`, { cause }));
  const onAbort = () => reject(abortedError(signal));
  const cancel = clock.schedule(timeoutMs, () => resolve(undefined));
  signal.addEventListener('abort', onAbort, { once: true });
  socket.on('message', onMessage).on('error', onError);
  try {
    socket.send(bytes, (error) => {
      if (error) onError(error);
    });
    return await promise;
  } finally {
    cancel();
    signal.removeEventListener('abort', onAbort);
    socket.off('message', onMessage).off('error', onError);
  }
}

async function bound(host: string, port: number): Promise<Socket> {
  // Empty, or in an IPv6 address, is both families; what else is a name is one of IPv4.
  const socket = createSocket(host === '' || isIPv6(host) ? 'udp6' : 'udp4');
  try {
    socket.bind({ port, ...(host === '' ? {} : { address: host }) });
    await once(socket, 'listening');
  } catch (cause) {
    socket.close();
    const code = systemCode(cause);
    if (host === '' && code === 'EAFNOSUPPORT') return bound('0.0.0.0', port);
    const place = host === '' ? 'all addresses' : host;
    throw new SealiftError(
      'bad-configuration',
      `Cannot take datagrams on ${place}, port ${port} (${code ?? String(cause)}).`,
      { cause },
    );
  }
  return socket.on('error', () => undefined);
}
