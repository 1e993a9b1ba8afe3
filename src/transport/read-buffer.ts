import type { OnReadOpts, Socket } from 'node:net';

/** What one read of TLS gives at most: a record, of 16 KiB. One for all sockets, since what is read is copied before the next is read. */
const memory = Buffer.allocUnsafeSlow(16_384);

/** What Node has of a socket outside of JavaScript, as far as it is of use here. */
interface Handle {
  useUserBuffer(buffer: Buffer): void;
}

/**
 * Memory that sockets read into again and again. Without it Node hands over memory of its own for each record of TLS,
 * 65,000 pieces a GiB, which cost a third of what receiving does and twice the memory.
 */
export class ReadBuffer {
  /** For the socket that is being made. */
  readonly onread: OnReadOpts;
  #listener: ((chunk: Buffer) => void) | undefined;
  #early: Buffer | undefined;

  constructor() {
    this.onread = { buffer: memory, callback: (length) => this.#read(memory.subarray(0, length)) };
  }

  /**
   * For a socket that was accepted, before anything was read from it; undefined where this Node keeps its sockets in
   * another way. Only sockets that connect can be asked for it (https://github.com/nodejs/node/issues/63956), and so this
   * sets what Node itself sets then, under names of its own.
   */
  static givenTo(socket: Socket): ReadBuffer | undefined {
    const { _handle: handle } = socket as { _handle?: Handle | null };
    const own = Object.getOwnPropertySymbols(socket);
    const [buffer, callback] = ['kBuffer', 'kBufferCb'].map((name) =>
      own.find(({ description }) => description === name),
    );
    if (!handle || !('useUserBuffer' in handle) || buffer === undefined || callback === undefined)
      return undefined;
    const reads = new ReadBuffer();
    const { onread } = reads;
    Object.assign(socket, {
      [buffer]: memory,
      [callback]: (length: number) => onread.callback(length, memory),
    });
    handle.useUserBuffer(memory);
    return reads;
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
