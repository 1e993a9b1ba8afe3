import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

import { nextTurn } from '../../../src/clock.ts';
import { ALPN_ID } from '../../../src/protocol/limits.ts';
import type { Random } from '../../../src/random.ts';
import { between, pick } from '../seeded.ts';
import { FuzzedServer } from './fuzzed-server.ts';
import { chance, damaged } from './mutations.ts';
import type { Script, Target } from './target.ts';

interface Handshake extends Script<Buffer> {
  end: 'end' | 'destroy' | 'reset';
}

/** A port for TLS at which bytes arrive that are no handshake, or begin as one. */
export async function startHandshakeTarget(): Promise<Target<Handshake>> {
  const hello = await clientHello();
  const fuzzed = await FuzzedServer.start();
  return {
    invent: (random) => ({
      steps: Array.from({ length: between(random, 1, 4) }, () => inventBytes(hello, random)),
      end: pick(random, ['end', 'destroy', 'reset']),
    }),
    perform: (script) => perform(fuzzed, script),
    describe: ({ steps, end }) => [...steps.map((bytes) => `  ${bytes.toString('hex')}`), `  then ${end}`],
    [Symbol.asyncDispose]: () => fuzzed[Symbol.asyncDispose](),
  };
}

async function perform(fuzzed: FuzzedServer, { steps, end }: Handshake): Promise<void> {
  const socket = connect(fuzzed.server.address as { host: string; port: number });
  socket.on('error', () => undefined).resume();
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await once(socket, 'connect');
  for (const bytes of steps) {
    if (socket.writable) socket.write(bytes);
    await nextTurn();
  }
  finish(socket, end);
  await fuzzed.passUntil(closed, 'the connection is not closed');
  await fuzzed.assertServes();
  await fuzzed.assertLeft();
}

function finish(socket: Socket, end: Handshake['end']): void {
  if (end === 'end') socket.end();
  else if (end === 'destroy') socket.destroy();
  else socket.resetAndDestroy();
}

function inventBytes(hello: Buffer, random: Random): Buffer {
  if (chance(random, 0.6)) return damaged(hello, random);
  const begun = pick(random, [
    hello,
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.from([22, 3, 1, 255, 255]),
    Buffer.alloc(0),
  ]);
  return Buffer.concat([begun, random.bytes(between(random, 0, 300))]);
}

/** What a client says first. */
async function clientHello(): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connectTls({
    port: (server.address() as AddressInfo).port,
    host: '127.0.0.1',
    ALPNProtocols: [ALPN_ID],
  });
  client.on('error', () => undefined);
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return bytes;
}
