import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp, createServer, type AddressInfo, type Socket } from 'node:net';
import { connect as connectTls, createSecureContext, TLSSocket, type SecureContext } from 'node:tls';

import { ALPN_ID, LENGTH_BYTES } from '../../src/protocol/limits.ts';
import type { Address } from '../../src/transport/address.ts';
import { certificatePin } from '../../src/trust/pins.ts';
import { loopbackCertificate } from './certificates.ts';

/** `up` is from the client to the server. */
export type Way = 'up' | 'down';

/** One message on its way, as it came. */
export interface Frame {
  way: Way;
  /** Length, header and content. */
  bytes: Buffer;
  /** Where the content begins. */
  contentStart: number;
}

/**
 * How a connection ends, on both sides at once: `close` says so in TLS and `fin` does not, `rst` throws away what is
 * under way, and after `silence` nothing comes any more, while both sides stay open.
 */
export const CUT_KINDS = ['close', 'fin', 'rst', 'silence'] as const;
export type CutKind = (typeof CUT_KINDS)[number];

/** What becomes of a message: these bytes are forwarded, and perhaps they are the last. */
export interface Fate {
  forward: Uint8Array;
  cut?: CutKind | undefined;
}

export interface MessageProxy extends AsyncDisposable {
  readonly address: Address;
  /** Of the certificate that it shows. */
  readonly pin: string;
  /** Decides about each message; at first all are forwarded. */
  onFrame: (frame: Frame) => Fate;
  /** Connections that came so far. */
  readonly connections: number;
}

/**
 * A man in the middle that clients trust: it ends TLS on both sides, and so sees where each message begins. What does
 * not end (half a message, and silence) is ended with it.
 */
export async function startMessageProxy(target: Address): Promise<MessageProxy> {
  const pair = await loopbackCertificate();
  const secureContext = createSecureContext({ ...pair, minVersion: 'TLSv1.3' });
  const passages = new Set<Passage>();
  let connections = 0;
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    connections += 1;
    const passage = new Passage(socket, { target, secureContext, onFrame: (frame) => proxy.onFrame(frame) });
    passages.add(passage);
    void passage.closed.then(() => passages.delete(passage));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy: MessageProxy = {
    address: { host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    pin: certificatePin(new X509Certificate(pair.cert)),
    onFrame: ({ bytes }) => ({ forward: bytes }),
    get connections() {
      return connections;
    },
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const passage of passages) passage.destroy();
      await closed;
    },
  };
  return proxy;
}

interface PassageOptions {
  target: Address;
  secureContext: SecureContext;
  onFrame: (frame: Frame) => Fate;
}

/** One connection of a client, and the one to the server that belongs to it. */
class Passage {
  readonly closed: Promise<unknown>;
  readonly #plain: readonly Socket[];
  readonly #secured: readonly TLSSocket[];
  readonly #onFrame: PassageOptions['onFrame'];
  #isCut = false;

  constructor(socket: Socket, { target, secureContext, onFrame }: PassageOptions) {
    this.#onFrame = onFrame;
    const onward = connectTcp({
      ...(target as { host: string; port: number }),
      noDelay: true,
      allowHalfOpen: true,
    });
    const client = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: [ALPN_ID] });
    const server = connectTls({ socket: onward, ALPNProtocols: [ALPN_ID], rejectUnauthorized: false });
    this.#plain = [socket, onward];
    this.#secured = [client, server];
    for (const each of [...this.#plain, ...this.#secured]) each.on('error', () => undefined);
    client.allowHalfOpen = true;
    server.allowHalfOpen = true;
    this.closed = Promise.all(
      this.#plain.map((each) => new Promise((resolve) => each.once('close', resolve))),
    );
    void this.#relay('up', client, server);
    void this.#relay('down', server, client);
  }

  destroy(): void {
    for (const socket of [...this.#secured, ...this.#plain]) socket.destroy();
  }

  // What follows a cut is read and thrown away, but for silence, after which nothing is read either.
  async #relay(way: Way, from: TLSSocket, to: TLSSocket): Promise<void> {
    const waiting = new WaitingBytes();
    try {
      for await (const chunk of from.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        if (this.#isCut) continue;
        waiting.add(chunk);
        for (let frame = waiting.frame(way); frame !== undefined; frame = waiting.frame(way))
          if (!(await this.#pass(frame, to))) return;
      }
      if (!this.#isCut) to.end(waiting.whole());
    } catch {
      this.destroy();
    }
  }

  /** False if nothing more is to be read. */
  async #pass(frame: Frame, to: TLSSocket): Promise<boolean> {
    const { forward, cut } = this.#onFrame(frame);
    this.#isCut = cut !== undefined;
    if (forward.length > 0) await new Promise((resolve) => to.write(forward, resolve));
    if (cut !== undefined) this.#cut(cut);
    return cut !== 'silence';
  }

  #cut(kind: CutKind): void {
    if (kind === 'close') for (const socket of this.#secured) socket.end();
    if (kind === 'fin') for (const socket of this.#plain) socket.end();
    if (kind === 'rst') for (const socket of this.#plain) socket.resetAndDestroy();
    if (kind === 'silence') for (const socket of this.#secured) socket.pause();
  }
}

/** Bytes that have come, of which no message was made yet. */
class WaitingBytes {
  #chunks: Buffer[] = [];
  #length = 0;
  /** How many there have to be before it is worth looking again. */
  #needed = LENGTH_BYTES;

  add(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  whole(): Buffer {
    const whole = this.#chunks.length === 1 ? this.#chunks[0] : undefined;
    return whole ?? Buffer.concat(this.#chunks);
  }

  /** Takes the first message, if it is there to its end. */
  frame(way: Way): Frame | undefined {
    if (this.#length < this.#needed) return undefined;
    const bytes = this.whole();
    this.#chunks = [bytes];
    const contentStart = LENGTH_BYTES + bytes.readUInt16BE(0);
    const header = bytes.length < contentStart ? undefined : headerOf({ bytes, contentStart });
    this.#needed = contentStart + Number(header?.['content-length'] ?? 0);
    if (header === undefined || bytes.length < this.#needed) return undefined;
    this.#chunks = [bytes.subarray(this.#needed)];
    this.#length -= this.#needed;
    const frame = { way, bytes: bytes.subarray(0, this.#needed), contentStart };
    this.#needed = LENGTH_BYTES;
    return frame;
  }
}

/** What a message says before its content. */
export function headerOf({
  bytes,
  contentStart,
}: Pick<Frame, 'bytes' | 'contentStart'>): Record<string, unknown> {
  return JSON.parse(bytes.toString('utf8', LENGTH_BYTES, contentStart)) as Record<string, unknown>;
}
