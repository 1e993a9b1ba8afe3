import { once } from 'node:events';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';

import { MessageDecoder, type Message } from '../../src/protocol/decoder.ts';
import { encodeMessage, type OutgoingMessage } from '../../src/protocol/encoder.ts';
import { ALPN_ID } from '../../src/protocol/limits.ts';
import type { Address } from '../../src/transport/address.ts';

/** What a request was answered. */
export interface RawAnswer extends Message {
  /** The parts before the final one. */
  readonly parts: readonly Message[];
}

/** What travels with a request, beside the fields of its header. */
export type RawContent = Omit<OutgoingMessage, 'fields'>;

export interface RawClientOptions extends Pick<
  ConnectionOptions,
  'cert' | 'key' | 'minVersion' | 'maxVersion' | 'session' | 'socket'
> {
  address: Address;
  /** What is offered; default the protocol's own id, `[]` offers nothing. */
  alpn?: string[];
}

/**
 * The other side of a server, with no manners of its own: sends any bytes or messages over real TLS, keeps whatever
 * comes, and judges nothing.
 */
export class RawClient {
  readonly socket: TLSSocket;
  /** Every message that came, in order. */
  readonly messages: Message[] = [];
  /** Resolves when the socket is closed; `hasEnded` and `error` tell how. */
  readonly closed: Promise<void>;
  /** Whether the server has ended its side. */
  hasEnded = false;
  /** What went wrong on the socket, if anything did. */
  error: Error | undefined;
  readonly #untaken: Message[] = [];
  #arrived = Promise.withResolvers<void>();
  #isClosed = false;
  #lastId = 0;

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    const decoder = new MessageDecoder();
    socket.on('data', (chunk: Buffer) => {
      decoder.push(chunk, (message) => {
        this.messages.push(message);
        this.#untaken.push(message);
      });
      this.#tell();
    });
    socket.on('end', () => {
      this.hasEnded = true;
      this.#tell();
    });
    socket.on('error', (error: Error) => (this.error = error));
    this.closed = new Promise<void>((resolve) => {
      socket.once('close', () => {
        this.#isClosed = true;
        this.#tell();
        resolve();
      });
    });
  }

  /** Connects and finishes the handshake; rejects with Node's own error if the server refuses it. */
  static async connect({ address, alpn = [ALPN_ID], ...tls }: RawClientOptions): Promise<RawClient> {
    const socket = connect({
      ...('path' in address
        ? { path: address.path }
        : { host: address.host || '127.0.0.1', port: address.port }),
      ...(alpn.length > 0 ? { ALPNProtocols: alpn } : {}),
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3',
      ...tls,
    });
    const client = new RawClient(socket);
    try {
      await once(socket, 'secureConnect');
      return client;
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  /** Sends bytes as they are. */
  write(bytes: Uint8Array | string): void {
    this.socket.write(bytes);
  }

  /** Sends a message; nothing is added to its fields but what every header has. */
  send(fields: Record<string, unknown>, content: RawContent = {}): void {
    this.write(encodeMessage({ fields, ...content }));
  }

  /** Sends a request with an id of its own, and resolves to that id. */
  begin(action: string, fields: Record<string, unknown> = {}, content?: RawContent): number {
    const id = (this.#lastId += 1);
    this.send({ action, id, ...fields }, content);
    return id;
  }

  /** Sends a request and waits for its final answer, an error too. */
  async ask(action: string, fields?: Record<string, unknown>, content?: RawContent): Promise<RawAnswer> {
    return this.answer(this.begin(action, fields, content));
  }

  /** As `ask`, but only `ok` will do: what else is answered is thrown. */
  async askOk(action: string, fields?: Record<string, unknown>, content?: RawContent): Promise<RawAnswer> {
    const answer = await this.ask(action, fields, content);
    if (answer.header['status'] === 'ok') return answer;
    throw new Error(`${action} was answered ${JSON.stringify(answer.header)}`);
  }

  /** The final answer to the request `id`, with the parts before it. */
  async answer(id: number): Promise<RawAnswer> {
    const parts: Message[] = [];
    for (;;) {
      const message = await this.take(({ header }) => header['id'] === id);
      const { status } = message.header;
      if (status === 'ok' || status === 'error') return { ...message, parts };
      parts.push(message);
    }
  }

  /** The next message that nobody has taken yet and that is `wanted`; rejects if the connection ends without it. */
  async take(wanted: (message: Message) => boolean = () => true): Promise<Message> {
    for (;;) {
      const index = this.#untaken.findIndex(wanted);
      if (index >= 0) return this.#untaken.splice(index, 1)[0] as Message;
      if (this.hasEnded || this.#isClosed) throw new Error('the connection ended without the message');
      await this.#arrived.promise;
    }
  }

  /** Says hello; `fields` replace or add to the usual ones. */
  async hello(fields: Record<string, unknown> = {}): Promise<RawAnswer> {
    return this.ask('hello', { protocol: 1, agent: 'raw', ...fields });
  }

  /** Resolves when the server has ended its side or the socket is gone; what it sent before is in `messages`. */
  async ended(): Promise<void> {
    while (!this.hasEnded && !this.#isClosed) await this.#arrived.promise;
  }

  /** Ends this side in order, and keeps reading. */
  end(): void {
    this.socket.end();
  }

  /** Cuts the connection. */
  async destroy(): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }

  #tell(): void {
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers();
  }
}
