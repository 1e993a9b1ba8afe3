import { expect, test } from 'vitest';

import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { GatedStore } from '../support/gated-store.ts';
import {
  beginUpload,
  blocksOf,
  bytesOf,
  commit,
  digestOf,
  fetched,
  putInline,
  sendBlock,
} from '../support/raw-upload.ts';
import { startTestServer } from '../support/test-server.ts';

const CONTENT = bytesOf(100);

test('requests under way end, new ones are told to come back, and nobody else is let in', async () => {
  const store = new GatedStore();
  const { server, login, connect } = await startTestServer({ store });
  const client = await login();
  const idle = await login();
  const gate = store.hold('put a');
  const putting = putInline(client, 'a', CONTENT);
  await gate.reached();
  const closing = server.close();
  await idle.ended();
  expect((await client.ask('ping')).header).toMatchObject({
    code: 'shutting-down',
    retryable: true,
    'retry-after-ms': expect.any(Number),
  });
  await expect(connect()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  gate.open();
  expect((await putting).header['status']).toBe('ok');
  await closing;
  await client.closed;
  expect(client.error).toBeUndefined();
  expect((await store.stat('a')).size).toBe(CONTENT.length);
  await server.close();
});

test('what takes longer than the grace is cut', async () => {
  const clock = new FakeClock();
  const store = new GatedStore();
  const { server, login } = await startTestServer({ store, clock });
  const client = await login();
  const gate = store.hold('put a');
  client.begin('put', { path: 'a', size: 0, digest: digestOf(Buffer.alloc(0)) });
  await gate.reached();
  const closing = server.close({ graceMs: 5_000 });
  clock.advance(4_999);
  expect((await client.ask('ping')).header['code']).toBe('shutting-down');
  clock.advance(1);
  await client.closed;
  gate.open();
  await closing;
});

test('ending all connections at once does not wait for requests to be answered', async () => {
  const { server, login } = await startTestServer();
  const clients = [await login(), await login()];
  expect(server.connectionCount).toBe(2);
  server.destroyConnections();
  await Promise.all(clients.map(({ closed }) => closed));
  await server.close();
  expect(server.connectionCount).toBe(0);
});

test('an upload goes on after a restart', async () => {
  const file = bytesOf(2 * BLOCK_BYTES);
  const [first, second] = blocksOf(file) as [Buffer, Buffer];
  const key = { 'resume-key': 'a'.repeat(32) };
  const before = await startTestServer();
  const client = await before.login();
  const begun = await beginUpload(client, 'a', file.length, key);
  await sendBlock(client, begun.upload, 0, first);
  await before.server.close();
  const after = await startTestServer({ store: before.store });
  const again = await after.login();
  const { upload, held } = await beginUpload(again, 'a', file.length, key);
  expect(held).toEqual([digestOf(first)]);
  await sendBlock(again, upload, 1, second);
  await commit(again, upload, file);
  expect((await fetched(again, 'a'))?.equals(file)).toBe(true);
});
