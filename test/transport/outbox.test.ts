import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';

import { Outbox } from '../../src/transport/outbox.ts';
import { FakeClock } from '../support/fake-clock.ts';

/** An outbox on one end of a connection, the other end, and what the outbox told of its progress. */
async function outboxed(onProgress?: (clock: FakeClock, isWaiting: boolean) => void) {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => undefined);
  const [peer] = await accepted;
  server.close();
  peer.on('error', () => undefined);
  onTestFinished(() => {
    socket.destroy();
    peer.destroy();
  });
  const progress: boolean[] = [];
  const clock = new FakeClock();
  const outbox = new Outbox(socket, clock, {
    onProgress: (isWaiting) => {
      progress.push(isWaiting);
      onProgress?.(clock, isWaiting);
    },
    explain: (error) => error,
  });
  return { outbox, socket, peer, progress };
}

const bytesFrom = async (peer: Socket, length: number) => {
  const chunks: Buffer[] = [];
  let received = 0;
  while (received < length) {
    const [chunk] = (await once(peer, 'data')) as [Buffer];
    chunks.push(chunk);
    received += chunk.length;
  }
  return Buffer.concat(chunks);
};

test('what is sent leaves in order, small and large, and the parts of one without anything in between', async () => {
  const { outbox, peer } = await outboxed();
  const messages = [1, 70_000, 3, 1_000_000, 5, 300_000, 7, 8].map((length, n) => [
    Buffer.alloc(10, `head ${n}`),
    Buffer.alloc(length, n + 1),
  ]);
  const whole = Buffer.concat(messages.flat());
  const receiving = bytesFrom(peer, whole.length);
  await Promise.all(messages.map((parts) => outbox.send(...parts)));
  expect((await receiving).equals(whole)).toBe(true);
});

test('an empty part is no hindrance', async () => {
  const { outbox, peer } = await outboxed();
  const receiving = bytesFrom(peer, 3);
  await outbox.send(Buffer.from('abc'), Buffer.alloc(0));
  expect((await receiving).toString()).toBe('abc');
});

test('progress is told with each piece, and that nothing waits any more at the end', async () => {
  const { outbox, peer, progress } = await outboxed((clock) => clock.advance(100));
  peer.resume();
  await outbox.send(Buffer.alloc(3 * 262_144));
  expect(progress).toEqual([true, true, true, false]);
  await Promise.all([1, 2, 3].map(() => outbox.send(Buffer.alloc(10))));
  // The first leaves alone, the others were gathered meanwhile.
  expect(progress.slice(4)).toEqual([true, true, false]);
});

test('pieces are larger where they are taken fast', async () => {
  const { outbox, peer, progress } = await outboxed();
  peer.resume();
  await outbox.send(Buffer.alloc(262_144 + 2 * 1_048_576));
  expect(progress).toEqual([true, true, true, false]);
});

test('the stream ends after what waits', async () => {
  const { outbox, peer } = await outboxed();
  const chunks: Buffer[] = [];
  peer.on('data', (chunk: Buffer) => chunks.push(chunk));
  const sending = outbox.send(Buffer.alloc(1_000_000));
  outbox.end();
  outbox.end();
  await Promise.all([sending, once(peer, 'end')]);
  expect(Buffer.concat(chunks)).toHaveLength(1_000_000);
});

test('a failure is told to all who wait, and to all who come later; the first one stays', async () => {
  const { outbox, peer } = await outboxed();
  peer.pause();
  const waiting = Array.from({ length: 64 }, () => outbox.send(Buffer.alloc(1_000_000)));
  const first = new Error('the first');
  outbox.fail(first);
  outbox.fail(new Error('the second'));
  for (const each of waiting) await expect(each).rejects.toBe(first);
  await expect(outbox.send(Buffer.alloc(1))).rejects.toBe(first);
});
