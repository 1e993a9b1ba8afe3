import type { Peer } from '../transport/peer.ts';
import { abortable } from './abortable.ts';
import { connect, type Client, type ConnectOptions } from './client.ts';

/** Keeps a connection to one server: the one that stands, or a new one when it is gone. */
export class Connector implements AsyncDisposable {
  readonly options: ConnectOptions;
  #client: Promise<Client> | undefined;
  #hasConnected = false;
  #peer: Peer | undefined;
  #waiting = 0;
  #connecting = new AbortController();

  constructor(options: ConnectOptions) {
    this.options = options;
  }

  /** Whether TCP ever stood: tells "cannot connect" from "connected, then gave up". */
  get hasConnected(): boolean {
    return this.#hasConnected;
  }

  /** The server of the last connection on which the hello was finished. */
  get peer(): Peer | undefined {
    return this.#peer;
  }

  /** A client whose connection stands, the same for all who ask at once. Throws what `connect` throws, and `aborted`. */
  async use(signal?: AbortSignal): Promise<Client> {
    this.#waiting += 1;
    try {
      return await abortable(this.#use(), signal);
    } finally {
      this.#waiting -= 1;
      // A connection that nobody waits for any more need not come about.
      if (this.#waiting === 0) this.#connecting.abort();
    }
  }

  async #use(): Promise<Client> {
    const known = this.#client;
    const present = await known?.catch(() => undefined);
    if (present?.isAlive === true) return present;
    // Somebody else has begun to connect meanwhile: a second connection would belong to nobody.
    if (this.#client !== known) return this.#use();
    const { signal } = this.options;
    this.#connecting = new AbortController();
    this.#client = connect({
      ...this.options,
      onConnected: () => (this.#hasConnected = true),
      signal: AbortSignal.any([this.#connecting.signal, ...(signal === undefined ? [] : [signal])]),
    });
    const client = await this.#client;
    this.#peer = client.peer;
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connecting.abort();
    const present = await this.#client?.catch(() => undefined);
    await present?.close();
  }
}
