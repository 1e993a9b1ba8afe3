import type { ConnectOptions } from '../client/connect.ts';
import { systemClock, type Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import { systemRandom } from '../random.ts';
import type { Probe } from './ping.ts';
import { connectTimed, type TimedConnection } from './timed-connect.ts';

/** The connection that round trips are measured on: a new one when the last broke. */
export class RoundTrips implements AsyncDisposable {
  readonly #options: ConnectOptions;
  readonly #content: Buffer;
  readonly #clock: Clock;
  #connection: TimedConnection | undefined;

  /** `bytes` are sent each time, and come back: at most 1 MiB. */
  constructor(options: ConnectOptions, bytes: number) {
    this.#options = options;
    this.#content = systemRandom.bytes(bytes);
    this.#clock = options.clock ?? systemClock;
  }

  /** The connection that stands, or a new one. Throws what `connect` throws. */
  async connection(signal?: AbortSignal): Promise<TimedConnection> {
    if (this.#connection?.client.isAlive !== true)
      this.#connection = await connectTimed({
        ...this.#options,
        ...(signal === undefined ? {} : { signal }),
      });
    return this.#connection;
  }

  /** How long it takes until the bytes are back, in milliseconds. */
  readonly probe: Probe<{ ms: number }> = async (signal) => {
    const { client } = await this.connection(signal);
    const startMs = this.#clock.monotonicMs();
    const answer = await client.echo(this.#content, { signal });
    const ms = this.#clock.monotonicMs() - startMs;
    if (answer.equals(this.#content)) return { ms };
    throw new SealiftError('protocol-violation', 'The server answered an echo with other bytes.');
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection?.client.close();
  }
}
