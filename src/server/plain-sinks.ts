import type { Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import { PLAIN_KEY_BYTES, PLAIN_LIFETIME_MS } from '../protocol/limits.ts';
import type { Random } from '../random.ts';
import { openPlainSink, type PlainSink } from '../transport/plain-sink.ts';

/** Ports without TLS for measurements: one at a time, and none unless the operator wants it. */
export class PlainSinks {
  readonly #host: string | undefined;
  readonly #clock: Clock;
  readonly #random: Random;
  #open: Promise<PlainSink> | undefined;

  /** `host`: where to open them; undefined: nowhere. */
  constructor(host: string | undefined, { clock, random }: { clock: Clock; random: Random }) {
    this.#host = host;
    this.#clock = clock;
    this.#random = random;
  }

  /** Opens a port, and makes the key to it. Throws `unsupported` where none is to be opened, `busy` while another is. */
  async open(): Promise<{ port: number; key: string }> {
    const [host, clock] = [this.#host, this.#clock];
    if (host === undefined) throw new SealiftError('unsupported', 'This needs a server with --bench.');
    if (this.#open !== undefined) {
      throw new SealiftError('busy', 'Another measurement is going on.', { retryAfterMs: PLAIN_LIFETIME_MS });
    }
    const key = this.#random.bytes(PLAIN_KEY_BYTES);
    this.#open = openPlainSink({ host, key, clock });
    try {
      const sink = await this.#open;
      void sink.closed.then(() => (this.#open = undefined));
      return { port: sink.port, key: key.toString('hex') };
    } catch (error) {
      this.#open = undefined;
      throw error;
    }
  }

  /** Closes the port that is open, if any. */
  async close(): Promise<void> {
    const sink = await this.#open?.catch(() => undefined);
    sink?.close();
    await sink?.closed;
  }
}
