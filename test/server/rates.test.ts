import { describe, expect, test } from 'vitest';

import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { chunksTaken, passSeconds } from '../support/attacked-server.ts';
import { encodeMessage } from '../../src/protocol/encoder.ts';
import { FakeClock } from '../support/fake-clock.ts';
import type { RawClient } from '../support/raw-client.ts';
import { beginUpload, bytesOf, commit, digestOf, putInline, sendBlock } from '../support/raw-upload.ts';
import { startTestServer } from '../support/test-server.ts';

/** A server on which `tester` may move 1,000 bytes a second, and `free` as many as it likes. */
async function start(limits = 'rate = 1000') {
  const clock = new FakeClock();
  const server = await startTestServer({ clock, users: { tester: { limits }, free: {} } });
  return { clock, ...server };
}

/** Lets time pass until an answer is there; resolves with how much, in milliseconds. */
async function msUntil(clock: FakeClock, witness: RawClient, answer: Promise<unknown>): Promise<number> {
  const beganMs = clock.monotonicMs();
  const state = { isThere: false };
  void answer.then(() => (state.isThere = true));
  for (;;) {
    // What was sent before has been read by then.
    for (let round = 0; round < 3; round += 1) await witness.ask('ping');
    if (state.isThere) return clock.monotonicMs() - beganMs;
    clock.advance(100);
  }
}

describe('a rate', () => {
  test('holds for what is received, on all connections together', async () => {
    const { clock, login } = await start();
    const [one, two, free] = [await login(), await login(), await login('free')];
    expect((await putInline(one, 'a', bytesOf(2_000))).header['status']).toBe('ok');
    expect(await msUntil(clock, free, putInline(two, 'b', bytesOf(500)))).toBe(2_000);
    expect(await msUntil(clock, free, putInline(one, 'c', bytesOf(1)))).toBe(500);
    expect((await putInline(free, 'd', bytesOf(100_000))).header['status']).toBe('ok');
  });

  test('holds for what is sent, which does not count with what is received', async () => {
    const { clock, login } = await start();
    const [one, two, free] = [await login(), await login(), await login('free')];
    await putInline(free, 'a', bytesOf(2_000));
    await putInline(one, 'b', bytesOf(50_000));
    expect((await one.ask('get', { path: 'a' })).content).toEqual(bytesOf(2_000));
    expect(await msUntil(clock, free, two.ask('get', { path: 'a' }))).toBe(2_000);
  });

  test('delays a commit no more than the blocks before it, which it still follows', async () => {
    const { clock, login } = await start('rate = "1M"');
    const [client, free] = [await login(), await login('free')];
    const content = bytesOf(2 * BLOCK_BYTES);
    const { upload } = await beginUpload(client, 'a', content.length);
    for (const index of [0, 1]) {
      const block = content.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES);
      client.send({ action: 'block', upload, index, digest: digestOf(block) }, { content: block });
    }
    const committed = commit(client, upload, content);
    expect(await msUntil(clock, free, committed)).toBe(1_000);
    expect((await committed).header['status']).toBe('ok');
  });

  test('stops the reading, so that nothing gathers in memory', async () => {
    const { login } = await start();
    const [client, witness] = [await login(), await login('free')];
    const { upload } = await beginUpload(client, 'a', null);
    await sendBlock(client, upload, 0, bytesOf(BLOCK_BYTES));
    const block = bytesOf(BLOCK_BYTES, 1);
    const message = encodeMessage({
      fields: { action: 'block', upload, index: 1, digest: digestOf(block) },
      content: block,
    });
    // What the kernel takes for both sides is on top.
    expect(await chunksTaken(client, message, { times: 60, witness })).toBeLessThan(20);
  });

  test('ends with the connection, and leaves nothing to pay for the next', async () => {
    const { clock, login, server } = await start();
    const [client, free] = [await login(), await login('free')];
    await putInline(client, 'a', bytesOf(1_000));
    client.begin('put', { path: 'b', size: 900_000 }, { content: bytesOf(900_000) });
    const timers = clock.pendingCount;
    while (clock.pendingCount === timers) await free.ask('ping');
    await client.destroy();
    // That it is gone shows when it is told that it has to wait.
    while (server.connectionCount > 1) await passSeconds(1, { clock, witness: free });
    const next = await login();
    expect(await msUntil(clock, free, putInline(next, 'c', bytesOf(1)))).toBe(0);
  });
});

describe('connections at once', () => {
  test('beyond what is granted are busy, and let in when one is gone', async () => {
    const { login, connect } = await start('max-connections = 2');
    const [first] = [await login(), await login()];
    const third = await connect();
    const fields = { token: 'token-of-tester' };
    expect((await third.hello(fields)).header).toMatchObject({
      code: 'busy',
      retryable: true,
      'retry-after-ms': 1_000,
    });
    await (await login('free')).askOk('ping');
    await first.destroy();
    for (;;) {
      const { header } = await third.hello(fields);
      if (header['status'] === 'ok') break;
      expect(header['code']).toBe('busy');
    }
    expect((await (await connect()).hello(fields)).header['code']).toBe('busy');
  });
});
