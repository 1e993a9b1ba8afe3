import { timingSafeEqual } from 'node:crypto';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

import type { Clock } from '../clock.ts';
import { SealiftError, systemCode } from '../errors.ts';
import { BLOCK_BYTES, MAX_PLAIN_BYTES, PLAIN_LIFETIME_MS } from '../protocol/limits.ts';

/** Connections that have not sent the key yet, at once. */
const MAX_STRANGERS = 4;

/** A TCP port without TLS that takes bytes and drops them: see SPEC.md, "Measuring". */
export interface PlainSink {
  readonly port: number;
  /** Resolves when port and connections are closed; never rejects. */
  readonly closed: Promise<void>;
  /** May be called again. */
  close(): void;
}

export interface PlainSinkOptions {
  /** Empty: all addresses. */
  host: string;
  key: Buffer;
  /** Default `MAX_PLAIN_BYTES`. */
  maxBytes?: number;
  clock: Clock;
}

/** Opens a sink on any free port of `host` for the one connection that begins with `key`. Throws `unsupported` where no port can be had. */
export async function openPlainSink(options: {
  host: string;
  key: Buffer;
  clock: Clock;
}): Promise<PlainSink> {
  const server = createServer({ noDelay: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('listening', resolve).once('error', reject);
  server.listen({ port: 0, ...(options.host === '' ? {} : { host: options.host }) });
  try {
    await promise;
  } catch (cause) {
    throw new SealiftError('unsupported', `No port can be opened (${systemCode(cause) ?? String(cause)}).`, {
      cause,
    });
  }
  return new ListeningSink(server, options);
}

class ListeningSink implements PlainSink {
  readonly port: number;
  readonly closed: Promise<void>;
  readonly #server: Server;
  readonly #key: Buffer;
  readonly #maxBytes: number;
  readonly #sockets = new Set<Socket>();
  readonly #cancelEnd: () => void;

  constructor(server: Server, { key, maxBytes = MAX_PLAIN_BYTES, clock }: PlainSinkOptions) {
    this.#server = server;
    this.#key = key;
    this.#maxBytes = maxBytes;
    this.port = (server.address() as AddressInfo).port;
    this.closed = new Promise((resolve) => void server.once('close', resolve));
    this.#cancelEnd = clock.schedule(PLAIN_LIFETIME_MS, () => this.close());
    server.maxConnections = MAX_STRANGERS;
    server.on('connection', (socket) => this.#accept(socket));
    // One that cannot be accepted is its client's loss.
    server.on('error', () => undefined);
  }

  close(): void {
    this.#cancelEnd();
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined).once('close', () => this.#sockets.delete(socket));
    let head = Buffer.alloc(0);
    const onHead = (chunk: Buffer) => {
      head = Buffer.concat([head, chunk]);
      if (head.length < this.#key.length) return;
      socket.off('data', onHead);
      if (!timingSafeEqual(head.subarray(0, this.#key.length), this.#key)) return void socket.destroy();
      this.#serveOnly(socket, head.length - this.#key.length);
    };
    socket.on('data', onHead);
  }

  /** The key was good for this one connection: nobody else is let in, and its end is that of the sink. */
  #serveOnly(socket: Socket, receivedBytes: number): void {
    this.#server.close();
    for (const other of this.#sockets) if (other !== socket) other.destroy();
    socket.once('close', () => this.close());
    let bytes = 0;
    const take = (count: number) => {
      const before = Math.floor(bytes / BLOCK_BYTES);
      bytes += count;
      if (bytes > this.#maxBytes) return void socket.destroy();
      const blocks = Math.floor(bytes / BLOCK_BYTES) - before;
      // At most one byte for each block is ever waiting to be read: no more memory than that.
      if (blocks > 0) socket.write(Buffer.alloc(blocks));
    };
    take(receivedBytes);
    socket.on('data', (chunk: Buffer) => take(chunk.length));
  }
}
