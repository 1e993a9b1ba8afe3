import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { BLOCK_BYTES, PLAIN_LIFETIME_MS } from '../../src/protocol/limits.ts';
import { openPlainSink } from '../../src/transport/plain-sink.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { startTestServer } from '../support/test-server.ts';

describe('hazard 40: a port without TLS', () => {
  const ASKED = { plain: true };

  test.each([
    ['without serve --bench', { plainBench: false }, 'unsupported'],
    [
      'to who may not write',
      { users: { tester: { permissions: ['read', 'list', 'delete'] as const } } },
      'forbidden',
    ],
    ['to who has a rate', { users: { tester: { limits: 'rate = "1M"' } } }, 'forbidden'],
  ])('is not opened %s', async (_, options, code) => {
    const { login } = await startTestServer({ plainBench: true, ...options });
    expect((await (await login()).ask('bench', ASKED)).header['code']).toBe(code);
  });

  test('is opened once at a time, and closed with the server', async () => {
    const { login, server } = await startTestServer({ plainBench: true });
    const [first, second] = [await login(), await login()];
    const { header } = await first.askOk('bench', ASKED);
    expect((await second.ask('bench', ASKED)).header['code']).toBe('busy');
    const stranger = dial(Number(header['port']));
    await once(stranger, 'connect');
    await Promise.all([once(stranger, 'close'), server[Symbol.asyncDispose]()]);
  });

  test('takes only who shows the key, once, and tells each block that it took', async () => {
    const { sink, key } = await open();
    const wrong = dial(sink.port);
    wrong.write(Buffer.alloc(32, 1));
    await once(wrong, 'close');
    const [right, waiting] = [dial(sink.port), dial(sink.port)];
    await once(waiting, 'connect');
    const sentAway = once(waiting, 'close');
    // The key in two pieces, and the block right behind it.
    right.write(key.subarray(0, 5));
    right.write(Buffer.concat([key.subarray(5), Buffer.alloc(BLOCK_BYTES + 1)]));
    const [answer] = (await once(right, 'data')) as [Buffer];
    expect(answer).toHaveLength(1);
    await sentAway;
    const late = dial(sink.port);
    const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNREFUSED');
    right.destroy();
    await sink.closed;
  });

  test('lets few strangers wait', async () => {
    const { sink } = await open();
    const strangers = Array.from({ length: 6 }, () => dial(sink.port));
    await Promise.any(strangers.map((each) => once(each, 'close')));
  });

  test.each(['that nobody came to', 'with somebody'])('%s is closed after its time', async (who) => {
    const { sink, key, clock } = await open();
    const socket = who === 'with somebody' ? dial(sink.port) : undefined;
    if (socket !== undefined) {
      socket.write(Buffer.concat([key, Buffer.alloc(BLOCK_BYTES)]));
      await once(socket, 'data');
    }
    clock.advance(PLAIN_LIFETIME_MS);
    await sink.closed;
    expect(clock.pendingCount).toBe(0);
  });

  test('takes no more bytes than it may', async () => {
    const { sink, key } = await open({ maxBytes: 2 * BLOCK_BYTES });
    const socket = dial(sink.port);
    socket.write(Buffer.concat([key, Buffer.alloc(2 * BLOCK_BYTES + 1)]));
    await sink.closed;
  });
});

async function open(options: { maxBytes?: number } = {}) {
  const clock = new FakeClock();
  const key = Buffer.alloc(32, 7);
  const sink = await openPlainSink({ host: '127.0.0.1', key, clock, ...options });
  onTestFinished(() => sink.close());
  return { sink, key, clock };
}

function dial(port: number): Socket {
  const socket = connect({ host: '127.0.0.1', port });
  onTestFinished(() => void socket.destroy());
  // Which of its events is waited for is up to the test.
  return socket.on('error', () => undefined).resume();
}
