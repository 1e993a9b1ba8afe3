import { once } from 'node:events';
import { connect, createServer, Socket, type AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';

import { ReadBuffer } from '../../src/transport/read-buffer.ts';
import { dialling } from '../support/dialling.ts';
import { listening } from '../support/listening.ts';

async function acceptedSocket(): Promise<{ socket: Socket; peer: Socket }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const peer = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [socket] = await accepted;
  server.close();
  onTestFinished(() => {
    peer.destroy();
    socket.destroy();
  });
  return { socket, peer };
}

test('what an accepted socket reads always lies in the same memory', async () => {
  const { socket, peer } = await acceptedSocket();
  const reads = ReadBuffer.givenTo(socket);
  const memory = new Set<ArrayBufferLike>();
  let received = '';
  const came = Promise.withResolvers<void>();
  reads?.listen((chunk) => {
    memory.add(chunk.buffer);
    received += chunk.toString();
    if (received.endsWith('.')) came.resolve();
    else peer.write('more, and the end.');
  });
  socket.resume();
  peer.write('first, ');
  await came.promise;
  expect(received).toBe('first, more, and the end.');
  expect(memory.size).toBe(1);
});

test.each(['accepted', 'dialled'])(
  'what came on a connection that was %s stays as it came, whatever is read next',
  async (which) => {
    const { listener, next } = await listening();
    const accepting = next();
    const { connection: dialled } = await dialling({ address: listener.address });
    const { connection: accepted } = await accepting;
    const [from, to] = which === 'accepted' ? [dialled, accepted] : [accepted, dialled];
    const received = [];
    for (const content of ['first', 'other']) {
      await from.send({ fields: {}, content: Buffer.from(content) });
      received.push(await to.receive());
    }
    expect(received.map((message) => message?.content.toString())).toEqual(['first', 'other']);
  },
);

test('nothing is done to a socket that is not made as expected', () => {
  expect(ReadBuffer.givenTo(new Socket())).toBeUndefined();
  const foreign = Object.assign(new Socket(), { _handle: { useUserBuffer: undefined } });
  for (const symbol of Object.getOwnPropertySymbols(foreign)) Reflect.deleteProperty(foreign, symbol);
  expect(ReadBuffer.givenTo(foreign)).toBeUndefined();
});
