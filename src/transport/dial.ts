import { isIP, type OnReadOpts, type Socket } from 'node:net';
import { connect, type ConnectionOptions as TlsOptions, type TLSSocket } from 'node:tls';

import { abortedError, throwIfAborted, type Clock } from '../clock.ts';
import { SealiftError, systemCode } from '../errors.ts';
import { ALPN_ID, MAX_CONTENT_BYTES, STALL_TIMEOUT_MS } from '../protocol/limits.ts';
import { Connection } from './connection.ts';
import { ReadBuffer } from './read-buffer.ts';
import { peerOf, type Peer } from './peer.ts';
import type { TlsVariation } from './tls-variation.ts';
import { formatAddress, tlsName, type Address } from './address.ts';

/** How to present and judge certificates. PEM texts. */
export interface DialTls {
  ca?: string | undefined;
  cert?: string | undefined;
  key?: string | undefined;
  passphrase?: string | undefined;
  /** The name to ask for and to check; default the host. */
  servername?: string | undefined;
  /** Default 1.3. */
  minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
  /** The cipher suites to offer, as OpenSSL lists them, with colons between them. Default: those of Node. */
  ciphers?: string | undefined;
}

export interface DialOptions {
  address: Address;
  tls: DialTls;
  /** Judges the peer before anything is sent to it; throws to refuse. */
  verify: (peer: Peer) => void;
  clock: Clock;
  /** Name and TCP, in milliseconds. Default 10 s. */
  connectTimeoutMs?: number | undefined;
  /** TLS, after TCP, in milliseconds. Default 10 s. */
  handshakeTimeoutMs?: number | undefined;
  /** A connection on which no byte moves while something is in flight, in milliseconds. Default 60 s. */
  timeoutMs?: number | undefined;
  /** Called when the TCP connection stands, before TLS; what it throws ends the attempt. */
  onConnected?: (() => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** How long an address is waited for before the next one is tried, in milliseconds. Node gives the first up then, and its 250 ms are less than one round trip by satellite. */
const ADDRESS_TIMEOUT_MS = 2_500;

/** Opens a connection to a server: every address of the name is tried, the newer family first (RFC 8305), then TLS, then `verify`. */
export async function dial(options: DialOptions): Promise<{ connection: Connection; peer: Peer }> {
  throwIfAborted(options.signal);
  const reads = new ReadBuffer();
  const socket = unconnected(options, { onread: reads.onread });
  try {
    await secured(socket, options);
    const peer = peerOf(socket);
    options.verify(peer);
    if (peer.isResumed)
      throw new SealiftError('tls-refused', 'The server resumed a TLS session that was never offered.');
    if (peer.alpn !== ALPN_ID) {
      throw new SealiftError(
        'alpn-refused',
        `${formatAddress(options.address)} does not speak ${ALPN_ID} over TLS: it is no Sealift server.`,
      );
    }
    const connection = new Connection(socket, {
      clock: options.clock,
      timeoutCode: 'stalled',
      maxContentBytes: MAX_CONTENT_BYTES,
      stallTimeoutMs: options.timeoutMs,
      answerTimeoutMs: options.timeoutMs ?? STALL_TIMEOUT_MS,
      reads,
    });
    return { connection, peer };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** A socket that begins to connect, by default to a server of ours. A certificate, key or port that cannot be used is noticed at once, before there is a socket. */
export function unconnected(
  options: Pick<DialOptions, 'address' | 'tls'>,
  more: TlsVariation & { onread?: OnReadOpts } = {},
): TLSSocket {
  try {
    return connect({ ...socketOptions(options), ALPNProtocols: [ALPN_ID], ...more });
  } catch (error) {
    const place = formatAddress(options.address);
    const failure = handshakeError(systemCode(error) ?? '', error as Error, place);
    if (failure.code !== 'connection-lost') throw failure;
    // There was none yet: nothing was sent, and nothing but what was given can be the cause.
    throw new SealiftError(
      'bad-configuration',
      `No connection to ${place} can be made with what was given: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

function socketOptions({ address, tls }: Pick<DialOptions, 'address' | 'tls'>): TlsOptions {
  const host = 'host' in address ? address.host : '';
  const servername = tlsName(tls.servername ?? (isIP(host) === 0 ? host : ''));
  return {
    ...('path' in address
      ? { path: address.path }
      : {
          host: address.host,
          port: address.port,
          autoSelectFamily: true,
          autoSelectFamilyAttemptTimeout: ADDRESS_TIMEOUT_MS,
        }),
    // An IP address is not sent as a name (RFC 6066), yet certificates are checked against it: `host` does that.
    ...(servername === '' ? {} : { servername }),
    ca: tls.ca,
    cert: tls.cert,
    key: tls.key,
    passphrase: tls.passphrase,
    ciphers: tls.ciphers,
    minVersion: tls.minVersion ?? 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    // Judged by `verify`, which has the certificate at hand and can say what is wrong with it and how to mend it.
    rejectUnauthorized: false,
    // No session is offered, so none is resumed: every connection proves its identity afresh.
  };
}

/** Resolves when TLS stands on `socket`, or TCP if that is all there is to be; rejects with what kept it from that. */
export async function secured(
  socket: Socket,
  options: Omit<DialOptions, 'tls' | 'verify'>,
  event: 'secureConnect' | 'connect' = 'secureConnect',
): Promise<void> {
  const { clock, connectTimeoutMs = 10_000, handshakeTimeoutMs = 10_000, signal } = options;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const place = formatAddress(options.address);
  let isConnected = false;
  let cancelTimer = clock.schedule(connectTimeoutMs, () =>
    reject(
      new SealiftError('connect-timeout', `${place} did not answer within ${connectTimeoutMs / 1000} s.`),
    ),
  );
  const onConnect = () => {
    isConnected = true;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 30_000);
    try {
      options.onConnected?.();
    } catch (error) {
      return reject(error);
    }
    cancelTimer();
    cancelTimer = clock.schedule(handshakeTimeoutMs, () =>
      reject(
        new SealiftError(
          'stalled',
          `${place} accepted the connection, but TLS was not set up within ${handshakeTimeoutMs / 1000} s.`,
        ),
      ),
    );
  };
  const onError = (error: Error) => reject(connectError(error, place, isConnected));
  const onClose = () => onError(new Error('closed'));
  const onAbort = () => reject(abortedError(signal));
  socket.once('connect', onConnect).once(event, resolve).on('error', onError).once('close', onClose);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    await promise;
  } finally {
    cancelTimer();
    signal?.removeEventListener('abort', onAbort);
    socket.off('connect', onConnect).off(event, resolve).off('close', onClose);
    // An error that comes later belongs to nobody any more, and must not bring the process down.
    socket.off('error', onError).on('error', ignoreLateError);
  }
}

function ignoreLateError(): void {
  // The connection tells its own failure.
}

/** What a failure to connect means. `wasConnected`: TCP stood, and TLS failed. */
export function connectError(error: Error, place: string, wasConnected: boolean): SealiftError {
  const code = systemCode(error instanceof AggregateError ? error.errors[0] : error) ?? '';
  const because = (kind: ConstructorParameters<typeof SealiftError>[0], message: string) =>
    new SealiftError(kind, message, { cause: error });
  if (wasConnected) return handshakeError(code, error, place);
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return because('name-not-resolved', `The name of ${place} could not be resolved.`);
  if (code === 'ECONNREFUSED' || code === 'ENOENT')
    return because('connection-refused', `${place} refused the connection: no server listens there.`);
  if (code === 'EACCES' || code === 'EPERM')
    return because('unreachable', `The connection to ${place} is not permitted on this machine.`);
  return because('unreachable', `${place} cannot be reached (${code || error.message}).`);
}

function handshakeError(code: string, error: Error, place: string): SealiftError {
  if (code === 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL') {
    return new SealiftError(
      'alpn-refused',
      `${place} speaks TLS but not ${ALPN_ID}: it is no Sealift server.`,
      { cause: error },
    );
  }
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG') {
    return new SealiftError('not-tls', `${place} does not speak TLS.`, { cause: error });
  }
  if (code.startsWith('ERR_SSL_') && !code.includes('BAD_RECORD_MAC')) {
    const reason = code.slice('ERR_SSL_'.length).toLowerCase().replaceAll('_', ' ');
    return new SealiftError('tls-refused', `${place} ended the TLS handshake: ${reason}.`, { cause: error });
  }
  if (code.startsWith('ERR_OSSL_') || ['ERR_INVALID_ARG_VALUE', 'ERR_MISSING_PASSPHRASE'].includes(code)) {
    return new SealiftError(
      'bad-configuration',
      `The certificate or key for ${place} cannot be used: ${error.message}.`,
      { cause: error },
    );
  }
  return new SealiftError(
    'connection-lost',
    `${place} ended the connection during the TLS handshake (${code || error.message}).`,
    { cause: error },
  );
}
