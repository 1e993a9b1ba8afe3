import type { X509Certificate } from 'node:crypto';
import { connect as connectTcp } from 'node:net';
import { connect, DEFAULT_CIPHERS, type SecureVersion, type TLSSocket } from 'node:tls';

import { abortedError, throwIfAborted, type Clock } from '../clock.ts';
import { isSealiftError, SealiftError, systemCode, toSealiftError } from '../errors.ts';
import { formatAddress, type Address } from './address.ts';
import { connectError, secured } from './dial.ts';
import { chainOf, peerOf, type Peer } from './peer.ts';

/** Where to look, and for how long. */
export interface ProbeOptions {
  address: Address;
  clock: Clock;
  /** For TCP, for TLS and for an answer, each, in milliseconds. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

/** How to look at the TLS of a server. PEM texts. */
export interface TlsProbeOptions extends ProbeOptions {
  /** The name to ask for; empty for none. */
  servername: string;
  /** Protocols to offer, by ALPN; none are offered where there are none. */
  alpn: readonly string[];
  ca?: string | undefined;
  cert?: string | undefined;
  key?: string | undefined;
  passphrase?: string | undefined;
  /** Default 1.0. */
  minVersion?: SecureVersion | undefined;
  /** Default 1.3. */
  maxVersion?: SecureVersion | undefined;
  /** Cipher suites, as OpenSSL lists them. Default: those of Node. */
  ciphers?: string | undefined;
  /** A session to be resumed. */
  session?: Buffer | undefined;
  /** What to say when TLS stands; the answer is kept. */
  say?: string | undefined;
}

/** What was seen of the TLS of a server. */
export interface TlsSight {
  /** Whether the handshake came to its end. */
  isComplete: boolean;
  /** What is known of it; where the handshake failed, as far as that went behind its certificate. */
  peer: Peer | undefined;
  /** The certificates in the order in which they were sent, the leaf first. */
  chain: X509Certificate[];
  /** TLS alone, in milliseconds. */
  handshakeMs: number;
  /** What a later connection could be begun with. */
  session: Buffer | undefined;
  /** Whether no session came although the server has said all that it says unasked. */
  isSessionless: boolean;
  /** Whether the server has shown that it took the whole handshake, our certificate too (in TLS 1.3 it may refuse that afterwards). */
  isAccepted: boolean;
  /** Whether it then ended the connection, having said nothing. */
  hasEnded: boolean;
  /** The first bytes that it said. */
  answer: Buffer;
  /** What kept us from connecting, or what the server ended the connection with, in the handshake or right behind it. */
  failure: SealiftError | undefined;
}

/** Milliseconds that TCP to an address takes. Rejects as `dial` does. */
export async function probeTcp({ address, clock, timeoutMs, signal }: ProbeOptions): Promise<number> {
  throwIfAborted(signal);
  const place = formatAddress(address);
  const startMs = clock.monotonicMs();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connectTcp('path' in address ? { path: address.path } : address);
  const late = () =>
    reject(new SealiftError('connect-timeout', `${place} did not answer within ${timeoutMs / 1_000} s.`));
  const cancel = clock.schedule(timeoutMs, late);
  const onAbort = () => reject(abortedError(signal));
  signal?.addEventListener('abort', onAbort, { once: true });
  socket.once('connect', resolve).on('error', (error) => reject(connectError(error, place, false)));
  try {
    await promise;
    return clock.monotonicMs() - startMs;
  } finally {
    cancel();
    signal?.removeEventListener('abort', onAbort);
    socket.destroy();
  }
}

/**
 * Sets TLS up with any server, also a weak one, and tells what was seen; nothing is believed. Old versions and short
 * keys are put up with, so that they can be told of. A failure, also of TCP, is part of what was seen; rejects only with
 * `aborted`, and with `bad-configuration` for a certificate or key of ours that cannot be used.
 */
export async function probeTls(options: TlsProbeOptions): Promise<TlsSight> {
  const { clock, timeoutMs, signal } = options;
  throwIfAborted(signal);
  const socket = probingSocket(options);
  const sight = new Sight(socket);
  let connectedMs = clock.monotonicMs();
  try {
    await secured(socket, {
      ...options,
      connectTimeoutMs: timeoutMs,
      handshakeTimeoutMs: timeoutMs,
      onConnected: () => (connectedMs = clock.monotonicMs()),
    });
    const handshakeMs = clock.monotonicMs() - connectedMs;
    await sight.settled(options, handshakeMs);
    return sight.seen(handshakeMs);
  } catch (error) {
    if (isSealiftError(error, 'aborted')) throw error;
    return { ...sight.seen(clock.monotonicMs() - connectedMs), failure: toSealiftError(error) };
  } finally {
    socket.destroy();
  }
}

function probingSocket(options: TlsProbeOptions): TLSSocket {
  const { address, servername, alpn, session, minVersion, maxVersion, ca, cert, key, passphrase } = options;
  const { ciphers = DEFAULT_CIPHERS } = options;
  try {
    return connect({
      ...address,
      ...(servername === '' ? {} : { servername }),
      ...(alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
      ...(session === undefined ? {} : { session }),
      ca,
      cert,
      key,
      passphrase,
      minVersion: minVersion ?? 'TLSv1',
      maxVersion: maxVersion ?? 'TLSv1.3',
      // At level 0 OpenSSL accepts what it would turn down without a word on what that was.
      ciphers: `${ciphers}:@SECLEVEL=0`,
      rejectUnauthorized: false,
    });
  } catch (cause) {
    throw new SealiftError(
      'bad-configuration',
      `The certificate or key for ${formatAddress(address)} cannot be used: ${systemCode(cause) ?? String(cause)}.`,
      { cause },
    );
  }
}

/** More of an answer than this is not waited for. */
const MAX_ANSWER_BYTES = 4_096;
/** Beyond two handshakes, for a server that is slow to think, in milliseconds. */
const PATIENCE_MS = 100;

/** What comes on a socket. */
class Sight {
  readonly #socket: TLSSocket;
  readonly #answer: Buffer[] = [];
  #isComplete = false;
  #peer: Peer | undefined;
  #chain: X509Certificate[] = [];
  #session: Buffer | undefined;
  #failure: SealiftError | undefined;
  #answerBytes = 0;
  #hasEnded = false;
  /** Whether we have said that we are done, so that its end says no more than that it has heard that. */
  #isLeaving = false;
  #isHeardOut = false;
  #changed = () => undefined as void;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket
      .once('secureConnect', () => {
        this.#isComplete = true;
        this.#look();
      })
      .on('session', (session: Buffer) => {
        this.#session = session;
        this.#changed();
      })
      .on('data', (chunk: Buffer) => {
        this.#answer.push(chunk);
        this.#answerBytes += chunk.length;
        this.#changed();
      })
      .on('error', (error: Error) => {
        this.#look();
        const failure = connectError(error, `${socket.remoteAddress ?? 'The server'}`, true);
        if (!this.#isLeaving || failure.code === 'tls-refused') this.#failure = failure;
        this.#changed();
      })
      // Before Node makes an error of it, which takes away what the socket knows.
      .prependListener('end', () => {
        this.#look();
        this.#isHeardOut = true;
        this.#end();
      })
      .on('close', () => this.#end());
  }

  /** Resolves when the server has said something behind the handshake, or the time in which it would have is over. */
  async settled(options: TlsProbeOptions, handshakeMs: number): Promise<void> {
    const { say, timeoutMs } = options;
    const shortMs = 2 * handshakeMs + PATIENCE_MS;
    if (say !== undefined) {
      this.#socket.write(say);
      await this.#until(() => this.#answerBytes >= MAX_ANSWER_BYTES, timeoutMs, options);
    } else if (this.#peer?.tlsVersion === 'TLSv1.3') {
      await this.#until(() => this.#isAccepted, shortMs, options);
      if (this.#isAccepted || this.#hasEnded || this.#failure !== undefined) return;
      // Its answer to our end comes behind all that it had to say before.
      this.#isLeaving = true;
      this.#socket.end();
      await this.#until(() => this.#isAccepted || this.#isHeardOut, shortMs, options);
    } else {
      // Up to TLS 1.2 the server has the last word of the handshake, and there is nothing to wait for.
      this.#isHeardOut = true;
    }
  }

  async #until(isEnough: () => boolean, waitMs: number, { clock, signal }: TlsProbeOptions): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#changed = () => {
      if (this.#hasEnded || this.#failure !== undefined || isEnough()) resolve();
    };
    const cancel = clock.schedule(waitMs, resolve);
    const onAbort = () => reject(abortedError(signal));
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#changed();
    try {
      await promise;
    } finally {
      cancel();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  seen(handshakeMs: number): TlsSight {
    return {
      isComplete: this.#isComplete,
      peer: this.#peer,
      chain: this.#chain,
      handshakeMs,
      session: this.#session,
      isSessionless: this.#isComplete && this.#session === undefined && this.#isHeardOut && !this.#hasEnded,
      isAccepted: this.#isAccepted,
      hasEnded: this.#hasEnded && this.#answerBytes === 0,
      answer: Buffer.concat(this.#answer),
      failure: this.#failure,
    };
  }

  get #isAccepted(): boolean {
    if (this.#failure !== undefined || !this.#isComplete) return false;
    return this.#session !== undefined || this.#answerBytes > 0 || this.#peer?.tlsVersion !== 'TLSv1.3';
  }

  /**
   * Reads what the socket knows of the other side, once: it hands its certificate out once. A server that wants a
   * certificate of ours has shown its own before it ends the handshake.
   */
  #look(): void {
    if (this.#peer !== undefined) return;
    const certificate = this.#socket.getPeerX509Certificate();
    // Where a session is resumed none is shown.
    if (certificate === undefined && !this.#isComplete) return;
    this.#chain = chainOf(certificate);
    this.#peer = peerOf(this.#socket, certificate);
  }

  #end(): void {
    if (!this.#isLeaving) this.#hasEnded = true;
    this.#changed();
  }
}
