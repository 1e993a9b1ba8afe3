import { anySignal, throwIfAborted } from '../clock.ts';
import { SealiftError, toSealiftError } from '../errors.ts';
import { Budget } from '../transport/budget.ts';
import type { Peer } from '../transport/peer.ts';
import { abortable } from './abortable.ts';
import type { Client } from './client.ts';
import { connect, type ConnectOptions } from './connect.ts';
import { USUAL_REQUESTS } from './requests.ts';

/** Blocks of uploads in memory at once, over all files and connections: as many as eight connections of 20 MB/s have on a way of 400 ms. */
const MAX_BLOCKS = 128;

/** Servers that do as well as the first one, each with its own pins and token. */
export interface Alternatives {
  /** Tried in this order while those before are down. */
  others: readonly ConnectOptions[];
  /** Called when a server is down and another one is tried. */
  onMovingOn?: ((error: SealiftError, next: ConnectOptions) => void) | undefined;
}

/**
 * Keeps a connection to one server: the one that stands, or a new one when it is gone. With several to choose from, it
 * stays with the first that lets it in: an upload lives on one server, and half a tree on each would be no copy.
 */
export class Connector implements AsyncDisposable {
  /** How the first server is reached. */
  readonly options: ConnectOptions;
  readonly #alternatives: Alternatives;
  /** The one that let us in. */
  #chosen: ConnectOptions | undefined;
  #client: Promise<Client> | undefined;
  /** The last one that came about. */
  #present: Client | undefined;
  #hasConnected = false;
  #waiting = 0;
  #connecting = new AbortController();
  readonly #disposed = new AbortController();
  readonly #endings = new WeakMap<AbortSignal, AbortSignal>();
  /** @internal Room for blocks that are read and not held yet; one unit a block. */
  readonly blocks = new Budget(MAX_BLOCKS);
  readonly #others: Connector[] = [];
  readonly #dropped = new Set<Connector>();

  constructor(options: ConnectOptions, alternatives: Alternatives = { others: [] }) {
    this.options = options;
    this.#alternatives = alternatives;
  }

  /** Whether TCP ever stood: tells "cannot connect" from "connected, then gave up". */
  get hasConnected(): boolean {
    return this.#hasConnected;
  }

  /** The server of the last connection on which the hello was finished. */
  get peer(): Peer | undefined {
    return this.#present?.peer;
  }

  /** @internal What the server of the last connection offers, of that which is optional. */
  get features(): readonly string[] {
    return this.#present?.hello.features ?? [];
  }

  /** @internal As `Client.atOnce`, of the last connection. */
  atOnce(wanted?: number): number {
    return this.#present?.atOnce(wanted) ?? wanted ?? USUAL_REQUESTS;
  }

  /** A client whose connection stands, the same for all who ask at once. Throws what `connect` throws, and `aborted`, also once this was disposed of. */
  use(signal?: AbortSignal): Promise<Client> {
    // The usual case, for each of many small files.
    const present = this.#present;
    const isEnded = signal?.aborted === true || this.#disposed.signal.aborted;
    if (present?.isAlive === true && !isEnded) return Promise.resolve(present);
    return this.#whenConnected(this.endedBy(signal));
  }

  /** @internal Fires when `signal` does, and when this is disposed of; the same for all of many files that have the same signal. */
  endedBy(signal: AbortSignal | undefined): AbortSignal {
    const disposed = this.#disposed.signal;
    if (signal === undefined) return disposed;
    const known = this.#endings.get(signal);
    if (known !== undefined) return known;
    const ending = anySignal(signal, disposed);
    // What fires for it already needs no other.
    this.#endings.set(signal, ending).set(ending, ending);
    return ending;
  }

  async #whenConnected(signal: AbortSignal): Promise<Client> {
    this.#waiting += 1;
    try {
      return await abortable(this.#use(), signal);
    } finally {
      this.#waiting -= 1;
      // A connection that nobody waits for any more need not come about.
      if (this.#waiting === 0) this.#connecting.abort();
    }
  }

  /** @internal Another one to the same server. It is the caller's to end. */
  beside(): Connector {
    return new Connector(this.#chosen ?? this.options);
  }

  /**
   * This one and others to the same server, `count` at most, for connections that work on one file at once. The others
   * are the same ones every time, less those that were dropped, and end with this one.
   */
  streams(count: number): Connector[] {
    throwIfAborted(this.#disposed.signal);
    while (this.#others.length < count - 1) this.#others.push(this.beside());
    const others = this.#others.slice(0, Math.max(0, count - 1));
    return [this, ...others.filter((other) => !this.#dropped.has(other))];
  }

  /** Does without one of the others from now on. */
  dropStream(stream: Connector): void {
    this.#dropped.add(stream);
  }

  async #use(): Promise<Client> {
    const known = this.#client;
    const present = await known?.catch(() => undefined);
    // What is made after that would belong to nobody.
    throwIfAborted(this.#disposed.signal);
    if (present?.isAlive === true) return present;
    // Somebody else has begun to connect meanwhile: a second connection would belong to nobody.
    if (this.#client !== known) return this.#use();
    const { signal } = this.options;
    this.#connecting = new AbortController();
    this.#client = this.#connect(this.endedBy(anySignal(this.#connecting.signal, signal)));
    const client = await this.#client;
    this.#present = client;
    return client;
  }

  async #connect(signal: AbortSignal): Promise<Client> {
    const chosen = this.#chosen;
    if (chosen !== undefined) return this.#connectTo(chosen, [], signal);
    return this.#connectTo(this.options, this.#alternatives.others, signal);
  }

  async #connectTo(
    server: ConnectOptions,
    [next, ...later]: readonly ConnectOptions[],
    signal: AbortSignal,
  ): Promise<Client> {
    try {
      const onConnected = () => {
        this.#hasConnected = true;
        server.onConnected?.();
      };
      const client = await connect({ ...server, onConnected, signal });
      this.#chosen = server;
      return client;
    } catch (error) {
      const failure = toSealiftError(error);
      // A server that is not who it should be, or does not let us in, is not down: that has to be known.
      if (next === undefined || !failure.retryable || signal.aborted) throw error;
      this.#alternatives.onMovingOn?.(failure, next);
      return this.#connectTo(next, later, signal);
    }
  }

  /** Ends its connections for good: whatever is under way fails with `aborted`, and so does what is asked for later. May be called again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.abort(new SealiftError('aborted', 'The connector was disposed of.'));
    const present = await this.#client?.catch(() => undefined);
    await Promise.all([present?.close(), ...this.#others.map((other) => other[Symbol.asyncDispose]())]);
  }
}
