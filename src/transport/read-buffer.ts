import type { OnReadOpts } from 'node:net';

/** What one read of TLS gives at most is a record, of 16 KiB. */
const BYTES = 16_384;

/**
 * Memory that a socket reads into again and again. Without it Node hands over memory of its own for each record of TLS,
 * 65,000 pieces a GiB, which cost a third of what receiving does and twice the memory.
 */
export class ReadBuffer {
  /** For the socket that is being made. */
  readonly onread: OnReadOpts;
  #listener: ((chunk: Buffer) => void) | undefined;
  #early: Buffer | undefined;

  constructor() {
    const buffer = Buffer.allocUnsafeSlow(BYTES);
    this.onread = { buffer, callback: (length) => this.#read(buffer.subarray(0, length)) };
  }

  /** Calls `listener` with what is read, which is overwritten as soon as it returns. The socket has to be resumed then. */
  listen(listener: (chunk: Buffer) => void): void {
    this.#listener = listener;
    const early = this.#early;
    this.#early = undefined;
    if (early !== undefined) listener(early);
  }

  /** Answers whether to read on: what comes before anybody listens is kept, and no more of it is taken. */
  #read(chunk: Buffer): boolean {
    if (this.#listener === undefined) this.#early = Buffer.concat([this.#early ?? Buffer.alloc(0), chunk]);
    else this.#listener(chunk);
    return this.#listener !== undefined;
  }
}
