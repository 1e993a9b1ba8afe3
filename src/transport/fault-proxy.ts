import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

import type { Clock } from '../clock.ts';
import { SealiftError, systemCode } from '../errors.ts';
import type { Random } from '../random.ts';
import { FaultConnection } from './fault-connection.ts';
import { CutCounter, type CutMode, type Direction, type Grant } from './fault-cut.ts';
import type { FaultEvent } from './fault-event.ts';
import { checkFaults, DIRECTIONS, type Faults } from './fault-settings.ts';

export interface FaultProxyOptions {
  /** Where to accept connections; port 0 picks a free one, and an empty host is all addresses. Default: 127.0.0.1, port 0. */
  listen?: { host?: string; port?: number };
  /** Where they are forwarded to. */
  target: { host: string; port: number };
  /** What goes wrong. Default: nothing. */
  faults?: Faults;
  clock: Clock;
  /** Where jitter comes from: the same source delays the pieces of the same connection by the same times again. */
  random: Random;
  /** Is told what becomes of each connection. */
  onEvent?: (event: FaultEvent) => void;
}

/** Starts a TCP proxy that damages what it forwards. Throws `invalid-argument`, or `bad-configuration` if it cannot listen. */
export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  checkFaults(options.faults ?? {});
  const { host = '127.0.0.1', port = 0 } = options.listen ?? {};
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // Node takes no host for "all addresses, of both families".
  server.once('error', reject).listen({ port, ...(host === '' ? {} : { host }) }, resolve);
  try {
    await promise;
  } catch (cause) {
    const reason = systemCode(cause) ?? 'unknown';
    throw new SealiftError(
      'bad-configuration',
      `Cannot listen on ${host === '' ? 'all addresses,' : host} port ${port} (${reason}).`,
      {
        cause,
      },
    );
  }
  return new FaultProxy(server, options);
}

/** A running proxy. Faults may be set at any time, and hold for connections that exist too. */
export class FaultProxy implements AsyncDisposable {
  /** Where it listens. */
  readonly host: string;
  readonly port: number;
  /** Connections accepted so far, those refused or never answered included. */
  connections = 0;
  readonly #server: Server;
  readonly #options: FaultProxyOptions;
  readonly #open = new Set<FaultConnection>();
  readonly #unanswered = new Set<Socket>();
  readonly #bytes: Record<Direction, number> = { up: 0, down: 0 };
  #faults: Faults = {};
  #changed = Promise.withResolvers<void>();
  #cutCounter = new CutCounter(undefined);
  #cancelReset = () => {};
  #closed: Promise<void> | undefined;

  /** For `startFaultProxy`: `server` listens already. */
  constructor(server: Server, options: FaultProxyOptions) {
    const { address, port } = server.address() as AddressInfo;
    this.host = address;
    this.port = port;
    this.#server = server;
    this.#options = options;
    this.faults = options.faults ?? {};
    server.on('connection', (socket) => this.#accept(socket));
    // A connection that could not be accepted is not there, that is all.
    server.on('error', () => {});
  }

  get faults(): Faults {
    return this.#faults;
  }

  /** Replaces all faults. What is stalled goes on unless it is stalled again; counting for cuts begins again. */
  set faults(faults: Faults) {
    checkFaults(faults);
    this.#faults = faults;
    this.#cutCounter = new CutCounter(faults.cut);
    this.#cancelReset();
    if (faults.resetEveryMs !== undefined) this.#resetEvery(faults.resetEveryMs);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Connections through the proxy that are open now; silent ones are. */
  get openConnections(): number {
    return this.#open.size;
  }

  /** Bytes forwarded to the target, over all connections. */
  get bytesUp(): number {
    return this.#bytes.up;
  }

  /** Bytes forwarded from the target, over all connections. */
  get bytesDown(): number {
    return this.#bytes.down;
  }

  /** Cuts every open connection now. */
  cutAll(mode: CutMode = 'rst'): void {
    for (const connection of this.#open) connection.cut(mode);
  }

  /** Stops listening, closes every connection and takes back every timer. May be called again. */
  async close(): Promise<void> {
    this.#closed ??= this.#close();
    await this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#cancelReset();
    this.#server.close(() => resolve());
    const closed = [...this.#open].map((connection) => connection.closed);
    for (const connection of this.#open) connection.destroy();
    for (const socket of this.#unanswered) socket.destroy();
    await Promise.all([promise, ...closed]);
  }

  #resetEvery(delayMs: number): void {
    this.#cancelReset = this.#options.clock.schedule(delayMs, () => {
      this.cutAll('rst');
      this.#resetEvery(delayMs);
    });
  }

  #accept(client: Socket): void {
    this.connections += 1;
    if (this.#faults.refuse === true || this.#faults.blackhole === true) {
      this.#leaveUnanswered(client);
      return;
    }
    const { clock, random, target } = this.#options;
    const connection = new FaultConnection({
      number: this.connections,
      client,
      target: connect({ ...target, allowHalfOpen: true, noDelay: true }),
      clock,
      random,
      faults: () => ({ settings: this.#faults, changed: this.#changed.promise }),
      spend: (spender, direction, wanted) => this.#spend(spender, direction, wanted),
      cut: (spender, mode) => this.#cut(spender, mode),
      onClosed: (closed) => this.#open.delete(closed),
      onEvent: (event) => this.#options.onEvent?.(event),
    });
    this.#open.add(connection);
    // Only a cut after 0 bytes asks for one before any byte.
    for (const direction of DIRECTIONS) {
      const { cut } = this.#spend(connection, direction, 0);
      if (cut) this.#cut(connection, cut);
    }
  }

  #leaveUnanswered(socket: Socket): void {
    this.#unanswered.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => this.#unanswered.delete(socket));
    const kind = this.#faults.refuse === true ? 'refused' : 'unanswered';
    this.#options.onEvent?.({ connection: this.connections, kind, bytes: { up: 0, down: 0 } });
    if (kind === 'refused') socket.destroy();
    else socket.pause();
  }

  #spend(connection: FaultConnection, direction: Direction, wanted: number): Grant {
    if (connection.isDoomed) return { granted: 0, cut: undefined };
    const grant = this.#cutCounter.grant(direction, wanted, connection.bytes);
    connection.bytes[direction] += grant.granted;
    this.#bytes[direction] += grant.granted;
    if (grant.cut) for (const doomed of this.#sharing(connection)) doomed.isDoomed = true;
    return grant;
  }

  #cut(connection: FaultConnection, mode: CutMode): void {
    for (const doomed of this.#sharing(connection)) if (doomed.isDoomed) doomed.cut(mode);
  }

  /** Which connections are cut together with this one. */
  #sharing(connection: FaultConnection): Iterable<FaultConnection> {
    return this.#cutCounter.concernsAll ? this.#open : [connection];
  }
}
