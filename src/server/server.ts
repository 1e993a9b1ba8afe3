import { sleep, systemClock, type Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import { silentLogger, type Logger } from '../logger.ts';
import { IDLE_TIMEOUT_MS, MAX_CONTENT_BYTES_BEFORE_HELLO } from '../protocol/limits.ts';
import { systemRandom, type Random } from '../random.ts';
import { DEFAULT_ABANDONED_UPLOAD_CAPS, type AbandonedUploadCaps } from '../storage/abandoned.ts';
import type { Store } from '../storage/store.ts';
import type { Address } from '../transport/address.ts';
import { Intake } from '../transport/intake.ts';
import type { Connection } from '../transport/connection.ts';
import { listen, type Listener, type ListenOptions } from '../transport/listen.ts';
import { networkOf, type Peer } from '../transport/peer.ts';
import type { ClientTrust } from '../trust/client-trust.ts';
import type { AuditLog } from './audit.ts';
import type { AnonymousAccess, AuthenticationOptions } from './authentication.ts';
import { ConnectionCounts } from './connection-counts.ts';
import { FailedLogins } from './failed-logins.ts';
import type { ServerMetrics } from './metrics.ts';
import { PlainSinks } from './plain-sinks.ts';
import { PrincipalConnections } from './principal-connections.ts';
import { ServedRoots, type RootDirectories } from './served-roots.ts';
import { Session, type SessionParts } from './session.ts';

/** How a server is to behave. Times are in milliseconds. */
export interface ServerOptions {
  store: Store;
  /** Where to listen; port 0 picks one. */
  address: Address;
  /** The server's certificate and key, and the CA of clients' certificates; PEM texts. */
  tls: ListenOptions['tls'];
  /** What clients are judged by now; `judgeAgain` has to be called when that changes. */
  clientTrust: () => ClientTrust;
  /** Where the roots of principals are. Default: nobody has one of their own. */
  directories?: RootDirectories | undefined;
  /** See `AuthenticationOptions.join`. */
  join?: AuthenticationOptions['join'];
  /** What clients may do that say nothing of who they are. Default `none`. */
  anonymous?: AnonymousAccess;
  /** Nobody may change anything. Default false. */
  readOnly?: boolean;
  /** Serve peers that offer no ALPN, and the tutorial dialect to anonymous ones. Default false. */
  allowNoAlpn?: boolean;
  /** Connections at once. Default 4,096. */
  maxConnections?: number;
  /** Connections at once from one address. Default 1,024. */
  maxConnectionsPerAddress?: number;
  /** Connections at once whose hello is not finished. Default 2,048. */
  maxUnauthenticated?: number;
  /** The same, from one address. Default 512. */
  maxUnauthenticatedPerAddress?: number;
  /** Open a TCP port without TLS for a moment, where a client with the permission `write` measures the network. Default false. */
  plainBench?: boolean;
  /** Is told who did what. Default: nobody is. */
  audit?: AuditLog | undefined;
  /** Is told how much happens. Default: nobody is. */
  metrics?: ServerMetrics | undefined;
  /** What is kept of uploads that nobody goes on with. */
  abandonedUploads?: Partial<AbandonedUploadCaps>;
  /** Data files of uploads that are open at once, of all clients; beyond it idle ones are closed until they are needed. Default 512. */
  maxOpenUploadFiles?: number;
  /** A connection with nothing in flight. Default 5 min. */
  idleTimeoutMs?: number;
  /** TLS, from the accepted connection. Default 10 s. */
  handshakeTimeoutMs?: number;
  /** The hello, after TLS. Default 10 s. */
  helloTimeoutMs?: number;
  /** A header, from its first byte. Default 10 s. */
  headerTimeoutMs?: number;
  /** Silence inside a content, and a peer that accepts nothing. Default 60 s. */
  stallTimeoutMs?: number;
  /** The name by which the server introduces itself. Default `sealift`. */
  agent?: string;
  clock?: Clock | undefined;
  random?: Random | undefined;
  logger?: Logger | undefined;
}

/** Serves a store over TLS. */
export class Server implements AsyncDisposable {
  readonly #options: ServerOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #parts: SessionParts;
  readonly #counts: ConnectionCounts;
  readonly #sessions = new Map<Session, Promise<void>>();
  #connectionsSoFar = 0;
  #listener: Listener | undefined;
  #closing: Promise<void> | undefined;

  private constructor(options: ServerOptions) {
    const { store, clock = systemClock, random = systemRandom, logger = silentLogger } = options;
    this.#options = options;
    this.#clock = clock;
    this.#logger = logger;
    this.#counts = new ConnectionCounts({
      total: options.maxConnections ?? 4_096,
      perAddress: options.maxConnectionsPerAddress ?? 1_024,
      // Of one client's burst all may be at their handshake at once; four addresses are needed to fill the rest.
      unauthenticated: options.maxUnauthenticated ?? 2_048,
      unauthenticatedPerAddress: options.maxUnauthenticatedPerAddress ?? 512,
    });
    this.#parts = {
      counts: this.#counts,
      principals: new PrincipalConnections(clock),
      audit: options.audit,
      plainSinks: new PlainSinks(plainHost(options), { clock, random }),
      metrics: options.metrics,
      roots: new ServedRoots({
        store,
        clock,
        random,
        logger,
        caps: { ...DEFAULT_ABANDONED_UPLOAD_CAPS, ...options.abandonedUploads },
        maxOpenFiles: options.maxOpenUploadFiles,
        directories: options.directories,
      }),
      clock,
      logger,
      authentication: {
        trust: options.clientTrust,
        anonymous: options.anonymous ?? 'none',
        readOnly: options.readOnly ?? false,
        join: options.join,
        failedLogins: new FailedLogins(clock),
        clock,
        logger,
      },
      agent: options.agent ?? 'sealift',
      speaksTutorial:
        options.allowNoAlpn === true && options.anonymous !== undefined && options.anonymous !== 'none',
      idleTimeoutMs: options.idleTimeoutMs ?? IDLE_TIMEOUT_MS,
      helloTimeoutMs: options.helloTimeoutMs,
    };
  }

  /** Removes what earlier runs left behind, and listens. Throws `bad-configuration` if it cannot. */
  static async start(options: ServerOptions): Promise<Server> {
    const server = new Server(options);
    await server.#parts.roots.main.uploads.sweep();
    server.#listener = await listen({
      address: options.address,
      tls: options.tls,
      requestClientCertificate: true,
      allowNoAlpn: options.allowNoAlpn ?? false,
      handshakeTimeoutMs: options.handshakeTimeoutMs,
      connection: {
        clock: server.#clock,
        timeoutCode: 'timeout',
        maxContentBytes: MAX_CONTENT_BYTES_BEFORE_HELLO,
        idleTimeoutMs: server.#parts.idleTimeoutMs,
        headerTimeoutMs: options.headerTimeoutMs,
        stallTimeoutMs: options.stallTimeoutMs,
        intake: new Intake(server.#clock),
      },
      onAccepted: (address) => server.#admit(address),
      onClosed: (address) => server.#counts.leave(networkOf(address)),
      onSecured: (connection, peer) => server.#serve(connection, peer),
      onHandshakeFailed: (reason, address) => {
        server.#options.metrics?.handshake({ reason });
        server.#logger.warn({ address, reason }, 'handshake failed');
      },
    });
    server.#parts.roots.beginExpiry();
    return server;
  }

  /** Where it listens. */
  get address(): Address {
    return this.#listener?.address ?? this.#options.address;
  }

  /** How many clients are connected. */
  get connectionCount(): number {
    return this.#sessions.size;
  }

  /** How many uploads clients work on. */
  get openUploadCount(): number {
    return this.#parts.roots.openUploadCount;
  }

  /** Whether it listens, and its store answers; never rejects. */
  async isReady(): Promise<boolean> {
    if (this.#listener === undefined || this.#closing !== undefined) return false;
    const { store } = this.#parts.roots.main;
    return store.stat('').then(
      () => this.#closing === undefined,
      () => false,
    );
  }

  /** Judges those who are connected as if they came now: who would not be let in any more is cut off, and what the others may do changes at once. */
  judgeAgain(): void {
    for (const session of this.#sessions.keys()) session.judgeAgain();
  }

  /** Shows another certificate from now on. Connections that stand go on. Throws `bad-configuration`, and nothing has changed then. */
  setTls(tls: ServerOptions['tls']): void {
    this.#listener?.setTls(tls);
  }

  /**
   * Stops accepting, lets the requests under way end for at most `graceMs` (default 10 s), and closes. Uploads
   * stay on the disk and are resumed after the next start. May be called again.
   */
  close({ graceMs = 10_000 }: { graceMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  /** Ends all connections at once; `close` then has nothing to wait for. */
  destroyConnections(): void {
    for (const session of this.#sessions.keys())
      session.destroy(new SealiftError('shutting-down', 'The server is shutting down.'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroyConnections();
    await this.close({ graceMs: 0 });
  }

  async #close(graceMs: number): Promise<void> {
    const listenerClosed = this.#listener?.close();
    for (const session of this.#sessions.keys()) session.drain();
    const graceEnded = new AbortController();
    const drained = Promise.all(this.#sessions.values()).finally(() => graceEnded.abort());
    // The sleep is ended by the abort once all are gone, which is no failure.
    await Promise.race([drained, sleep(this.#clock, graceMs, graceEnded.signal).catch(() => undefined)]);
    this.destroyConnections();
    await drained;
    await listenerClosed;
    await this.#parts.plainSinks.close();
    await this.#parts.roots.close();
  }

  #admit(address: string): boolean {
    if (this.#counts.enter(networkOf(address))) return true;
    this.#options.metrics?.refusal();
    this.#logger.warn({ address }, 'too many connections');
    return false;
  }

  #serve(connection: Connection, peer: Peer): void {
    this.#options.metrics?.handshake({ version: peer.tlsVersion });
    this.#connectionsSoFar += 1;
    const session = new Session(this.#parts, connection, peer, this.#connectionsSoFar);
    const running = session.run().finally(() => this.#sessions.delete(session));
    this.#sessions.set(session, running);
    // A handshake that ended while the server was closing.
    if (this.#closing !== undefined) session.drain();
  }
}

/** Where ports without TLS may be opened: as the server itself listens, but not beside a Unix socket. */
function plainHost({ plainBench = false, address }: ServerOptions): string | undefined {
  return plainBench && 'host' in address ? address.host : undefined;
}
