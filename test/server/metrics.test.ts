import { connect } from 'node:net';
import { once } from 'node:events';
import { expect, test } from 'vitest';

import type { HandshakeOutcome, RequestOutcome, ServerMetrics } from '../../src/server/metrics.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { beginUpload, bytesOf, commit, putInline, sendBlock } from '../support/raw-upload.ts';
import { startTestServer, type TestServerOptions } from '../support/test-server.ts';

/** Takes down what it is told. */
class Tally implements ServerMetrics {
  refusals = 0;
  readonly handshakes: HandshakeOutcome[] = [];
  readonly bytes = { received: 0, sent: 0 };
  readonly requests: RequestOutcome[] = [];
  readonly errors: string[] = [];

  refusal(): void {
    this.refusals += 1;
  }

  handshake(outcome: HandshakeOutcome): void {
    this.handshakes.push(outcome);
  }

  content(direction: 'received' | 'sent', bytes: number): void {
    this.bytes[direction] += bytes;
  }

  request(outcome: RequestOutcome): void {
    this.requests.push(outcome);
  }

  error(code: string): void {
    this.errors.push(code);
  }
}

async function start(options: TestServerOptions = {}) {
  const metrics = new Tally();
  return { metrics, ...(await startTestServer({ ...options, metrics, clock: new FakeClock() })) };
}

test('every request is counted with how it ended, and the file that it moved', async () => {
  const { metrics, login } = await start();
  const client = await login();
  const large = bytesOf(2 * BLOCK_BYTES);
  await putInline(client, 'small', bytesOf(10));
  const { upload } = await beginUpload(client, 'large', large.length);
  for (const index of [0, 1])
    await sendBlock(client, upload, index, large.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES));
  await commit(client, upload, large);
  await client.ask('get', { path: 'large' });
  await client.ask('digests', { path: 'small' });
  await client.ask('stat', { path: 'none' });
  expect(metrics.requests.map(({ action, result, file }) => [action, result, file])).toEqual([
    ['hello', 'ok', undefined],
    ['put', 'ok', 'received'],
    ['put', 'ok', undefined],
    ['block', 'ok', undefined],
    ['block', 'ok', undefined],
    ['commit', 'ok', 'received'],
    ['get', 'ok', 'sent'],
    ['digests', 'ok', undefined],
    ['stat', 'not-found', undefined],
  ]);
  expect(metrics.bytes.received).toBe(10 + large.length);
  // The file, and the list of digests.
  expect(metrics.bytes.sent).toBeGreaterThanOrEqual(large.length);
  expect(metrics.errors).toEqual(['not-found']);
});

test('bytes are counted while a file is on its way, not when it has arrived', async () => {
  const { metrics, login } = await start();
  const client = await login();
  const { upload } = await beginUpload(client, 'large', 2 * BLOCK_BYTES);
  await sendBlock(client, upload, 0, bytesOf(BLOCK_BYTES));
  expect(metrics.bytes.received).toBe(BLOCK_BYTES);
});

test('handshakes, logins that are refused and streams that make no sense are counted', async () => {
  const { metrics, address, connect: connectTls } = await start();
  if ('path' in address) throw new Error('it listens on a port');
  const stranger = connect(address.port, address.host).end('GET / HTTP/1.1\r\n\r\n');
  stranger.on('error', () => undefined).resume();
  await once(stranger, 'close');
  const client = await connectTls();
  await client.hello({ token: 'guessed' });
  client.socket.write(Buffer.from([0, 1, 0x7b]));
  await client.closed;
  expect(metrics.handshakes).toEqual([
    { reason: expect.stringMatching(/^ERR_SSL_/) },
    { version: 'TLSv1.3' },
  ]);
  expect(metrics.requests).toEqual([
    { action: 'hello', result: 'unauthenticated', seconds: 0, file: undefined },
  ]);
  expect(metrics.errors).toEqual(['unauthenticated', 'bad-header']);
});

test('connections that are turned away are counted', async () => {
  const { metrics, login, address } = await start({ maxConnections: 1 });
  if ('path' in address) throw new Error('it listens on a port');
  await login();
  const second = connect(address.port, address.host).on('error', () => undefined);
  await once(second, 'close');
  expect(metrics.refusals).toBe(1);
});

test('a server tells how many uploads are open, and whether it is ready', async () => {
  const store = new MemoryStore();
  const { server, login } = await start({ store });
  const client = await login();
  expect(server.openUploadCount).toBe(0);
  await beginUpload(client, 'large', 2 * BLOCK_BYTES);
  expect(server.openUploadCount).toBe(1);
  expect(await server.isReady()).toBe(true);
  const stat = store.stat.bind(store);
  store.stat = () => Promise.reject(new Error('the disk is gone'));
  expect(await server.isReady()).toBe(false);
  store.stat = stat;
  await server[Symbol.asyncDispose]();
  expect(await server.isReady()).toBe(false);
});
