import { connect, type Socket } from 'node:net';

import type { Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import { PLAIN_LIFETIME_MS } from '../protocol/limits.ts';
import type { Address } from './address.ts';
import { secured } from './dial.ts';

/** What is measured has stood as a connection with TLS a moment ago: TCP beside it is there soon, or a firewall keeps it away. */
const CONNECT_TIMEOUT_MS = 2_000;

/** Sends blocks over TCP without TLS to a sink of the server: see SPEC.md, "Measuring". */
export class PlainSender {
  readonly #socket: Socket;
  readonly #waiting: PromiseWithResolvers<void>[] = [];
  readonly #cancelEnd: () => void;

  private constructor(socket: Socket, clock: Clock) {
    this.#socket = socket;
    socket.on('data', (answers: Buffer) => {
      for (const { resolve } of this.#waiting.splice(0, answers.length)) resolve();
    });
    socket.once('close', () => {
      const lost = new SealiftError('connection-lost', 'The connection without TLS ended.');
      for (const { reject } of this.#waiting.splice(0)) reject(lost);
    });
    // Then the sink has gone, too.
    this.#cancelEnd = clock.schedule(PLAIN_LIFETIME_MS, () => socket.destroy());
  }

  /** Connects and shows the key. Throws what connecting throws. */
  static async connect(
    address: Address & { port: number },
    key: Buffer,
    { clock, signal }: { clock: Clock; signal: AbortSignal },
  ): Promise<PlainSender> {
    const socket = connect(address);
    try {
      await secured(socket, { address, clock, connectTimeoutMs: CONNECT_TIMEOUT_MS, signal }, 'connect');
    } catch (error) {
      socket.destroy();
      throw error;
    }
    const sender = new PlainSender(socket, clock);
    socket.write(key);
    return sender;
  }

  /** Resolves when the other side has taken the block. Rejects with `connection-lost`. */
  send(block: Buffer): Promise<void> {
    const taken = Promise.withResolvers<void>();
    this.#waiting.push(taken);
    if (this.#socket.destroyed) taken.reject(new SealiftError('connection-lost', 'The connection ended.'));
    else this.#socket.write(block);
    return taken.promise;
  }

  close(): void {
    this.#cancelEnd();
    this.#socket.destroy();
  }
}
