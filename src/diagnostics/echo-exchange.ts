import { createHash } from 'node:crypto';
import type { Duplex, Readable, Writable } from 'node:stream';

import { abortedError, type Clock } from '../clock.ts';
import { SealiftError, systemCode, type ErrorCode } from '../errors.ts';
import { Deadlines } from '../transport/deadlines.ts';

export interface EchoExchangeOptions {
  /** To the server. */
  socket: Duplex;
  /** What is sent. */
  input: Readable;
  /** Where what comes back goes. */
  output: Writable;
  /** Of the server, for messages. */
  place: string;
  /** How long nothing may move while something is still to come back, in milliseconds. */
  timeoutMs: number;
  clock: Clock;
  signal: AbortSignal;
}

/** What came back. */
export interface EchoResult {
  bytes: number;
  /** From the first byte that was sent to the first that came back; undefined if nothing was sent. */
  firstMs: number | undefined;
  /** From the first byte that was sent to the last that came back. */
  elapsedMs: number;
}

/**
 * Sends all of `input` and takes back as much; no more of it is read than the server takes. Throws `digest-mismatch` if
 * something else comes back, `connection-lost` if the server ends before, and `stalled`.
 */
export async function exchangeEcho(options: EchoExchangeOptions): Promise<EchoResult> {
  const exchange = new EchoExchange(options);
  const { socket } = options;
  try {
    const result = await exchange.run();
    socket.end(() => socket.destroy());
    return result;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

class EchoExchange {
  readonly #options: EchoExchangeOptions;
  readonly #deadlines: Deadlines;
  readonly #sent = { bytes: 0, digest: createHash('sha256') };
  readonly #returned = { bytes: 0, digest: createHash('sha256') };
  readonly #outcome = Promise.withResolvers<void>();
  #isAllSaid = false;
  #beginMs: number | undefined;
  #firstMs: number | undefined;
  #lastMs = 0;

  constructor(options: EchoExchangeOptions) {
    this.#options = options;
    this.#deadlines = new Deadlines(options.clock);
  }

  async run(): Promise<EchoResult> {
    const { socket, input, output, signal } = this.#options;
    const lost = (error?: Error) => this.#lost(error);
    const onAbort = () => this.#outcome.reject(abortedError(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', lost).once('end', lost).once('close', lost);
    socket.on('drain', () => input.resume()).on('data', (bytes: Buffer) => this.#onReturned(bytes));
    output.on('drain', () => {
      this.#watch();
      socket.resume();
    });
    input.on('data', (bytes: Buffer) => this.#onInput(bytes)).once('end', () => this.#onAllSaid());
    try {
      await this.#outcome.promise;
    } finally {
      this.#deadlines.clearAll();
      signal.removeEventListener('abort', onAbort);
      input.destroy();
    }
    const beginMs = this.#beginMs ?? 0;
    return {
      bytes: this.#returned.bytes,
      firstMs: this.#firstMs === undefined ? undefined : this.#firstMs - beginMs,
      elapsedMs: this.#lastMs - beginMs,
    };
  }

  #onInput(bytes: Buffer): void {
    const { socket, input, clock } = this.#options;
    this.#beginMs ??= clock.monotonicMs();
    this.#sent.bytes += bytes.length;
    this.#sent.digest.update(bytes);
    this.#watch();
    if (!socket.write(bytes)) input.pause();
  }

  #onReturned(bytes: Buffer): void {
    const { socket, output, clock, place } = this.#options;
    this.#lastMs = clock.monotonicMs();
    this.#firstMs ??= this.#lastMs;
    this.#returned.bytes += bytes.length;
    this.#returned.digest.update(bytes);
    const isTaken = output.write(bytes);
    if (this.#returned.bytes > this.#sent.bytes)
      return this.#fail('digest-mismatch', `${place} said more than it was sent: it is no echo server.`);
    if (isTaken) {
      this.#watch();
    } else {
      // It is not the server that is waited for then.
      this.#deadlines.clear('silence');
      socket.pause();
    }
    this.#finish();
  }

  #onAllSaid(): void {
    this.#isAllSaid = true;
    this.#finish();
  }

  #finish(): void {
    if (!this.#isAllSaid || this.#returned.bytes < this.#sent.bytes) return;
    if (this.#sent.digest.digest('hex') === this.#returned.digest.digest('hex')) this.#outcome.resolve();
    else this.#fail('digest-mismatch', `${this.#options.place} sent back something else than it was sent.`);
  }

  #watch(): void {
    if (this.#returned.bytes === this.#sent.bytes) return this.#deadlines.clear('silence');
    const { timeoutMs, place } = this.#options;
    this.#deadlines.set('silence', timeoutMs, () => {
      const missing = this.#sent.bytes - this.#returned.bytes;
      this.#fail(
        'stalled',
        `${place} sent nothing back for ${timeoutMs / 1000} s; ${missing} bytes are missing.`,
      );
    });
  }

  #lost(error: Error | undefined): void {
    const { place } = this.#options;
    const code = systemCode(error) ?? error?.message;
    // Of TLS 1.3 a client learns only now what the server thinks of its certificate.
    if (code?.startsWith('ERR_SSL_') === true && code.includes('ALERT') && this.#returned.bytes === 0)
      return this.#fail('tls-refused', `${place} refused this client (${code}).`);
    const why = code === undefined ? '' : ` (${code})`;
    this.#fail('connection-lost', `${place} ended the connection${why} before all had come back.`);
  }

  #fail(code: ErrorCode, message: string): void {
    this.#outcome.reject(new SealiftError(code, message));
  }
}
