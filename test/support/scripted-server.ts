import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { onTestFinished } from 'vitest';

import { MessageDecoder, type Message } from '../../src/protocol/decoder.ts';
import { encodeMessage, type OutgoingMessage } from '../../src/protocol/encoder.ts';
import { ALPN_ID, BLOCK_BYTES } from '../../src/protocol/limits.ts';
import type { Address } from '../../src/transport/address.ts';
import { certificatePin } from '../../src/trust/pins.ts';
import { loopbackCertificate } from './certificates.ts';

/** One request to a scripted server, and ways to answer it. */
export interface ScriptedRequest extends Message {
  readonly socket: TLSSocket;
  /** Sends a message with the request's id and these fields; resolves when there is room for the next. */
  answer(fields: Record<string, unknown>, content?: Omit<OutgoingMessage, 'fields'>): Promise<void>;
}

/** What is done for each action; nothing is answered to others, but the hello is answered properly. */
export type Script = Record<string, (request: ScriptedRequest) => void | Promise<void>>;

export interface ScriptedServer {
  readonly address: Address;
  readonly pin: string;
  /** Every request that came, over all connections, the hello not counted. */
  readonly requests: Message[];
  /** Resolves with the first request for `action`. */
  requested(action: string): Promise<Message>;
  destroyConnections(): void;
}

/** A server over real TLS that does whatever the test says, however wrong. Closed at the end of the test. */
export async function startScriptedServer(script: Script): Promise<ScriptedServer> {
  const pair = await loopbackCertificate();
  const requests: Message[] = [];
  const sockets = new Set<TLSSocket>();
  let arrived = Promise.withResolvers<void>();
  const server = createServer({ ...pair, minVersion: 'TLSv1.3', ALPNProtocols: [ALPN_ID] }, (socket) => {
    sockets.add(socket);
    // A client that has seen enough cuts the connection.
    socket.on('error', () => undefined);
    const decoder = new MessageDecoder();
    socket.on('data', (chunk: Buffer) => {
      decoder.push(chunk, (message) => {
        const action = String(message.header['action']);
        if (action !== 'hello') requests.push(message);
        void (script[action] ?? (action === 'hello' ? answerHello : ignore))(scripted(socket, message));
        arrived.resolve();
        arrived = Promise.withResolvers();
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const destroyConnections = () => {
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(async () => {
    destroyConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    address: { host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    pin: certificatePin(new X509Certificate(pair.cert)),
    requests,
    destroyConnections,
    requested: async (action) => {
      for (;;) {
        const found = requests.find(({ header }) => header['action'] === action);
        if (found) return found;
        await arrived.promise;
      }
    },
  };
}

/** The fields of a proper answer to a hello. */
export const HELLO = {
  status: 'ok',
  protocol: 1,
  agent: 'scripted',
  principal: null,
  permissions: ['read', 'write', 'list', 'delete'],
  digest: 'sha256',
  encodings: [],
  'time-ms': 1,
  'block-size': BLOCK_BYTES,
  'max-requests': 64,
  'idle-timeout-ms': 300_000,
  features: [],
};

function answerHello({ answer }: ScriptedRequest): void {
  void answer(HELLO);
}

function ignore(): void {
  // The client may wait.
}

function scripted(socket: TLSSocket, message: Message): ScriptedRequest {
  return {
    ...message,
    socket,
    answer: async (fields, content) => {
      const bytes = encodeMessage({ fields: { id: message.header['id'], ...fields }, ...content });
      if (!socket.destroyed && !socket.write(bytes))
        await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
    },
  };
}
