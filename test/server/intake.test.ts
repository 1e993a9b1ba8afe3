import { expect, test } from 'vitest';

import { encodeMessage } from '../../src/protocol/encoder.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import type { Entry } from '../../src/storage/store.ts';
import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { FakeClock } from '../support/fake-clock.ts';
import type { RawClient } from '../support/raw-client.ts';
import { bytesOf, digestOf } from '../support/raw-upload.ts';
import { startTestServer } from '../support/test-server.ts';
import { turnUntil } from '../support/turning.ts';

/** Contents of this size that may come in or be worked on at once: a quarter of a block takes the room of a whole one. */
const AT_ONCE = 32;
const OTHERS = 10;
const CONTENT = bytesOf(BLOCK_BYTES / 4);
const HALF = CONTENT.length / 2;
/** The hello was the first request. */
const PUT_ID = 2;

/** A store that puts nothing until it is told to. */
class WaitingStore extends MemoryStore {
  putting = 0;
  readonly #told = Promise.withResolvers<void>();

  goOn(): void {
    this.#told.resolve();
  }

  override async put(...args: Parameters<MemoryStore['put']>): Promise<Entry> {
    this.putting += 1;
    await this.#told.promise;
    return super.put(...args);
  }
}

/** A server, and clients each of which is to put a file; the first `count` as `user`. */
async function startClients({ count = AT_ONCE, user = 'tester' } = {}) {
  const clock = new FakeClock();
  const store = new WaitingStore({ clock });
  const users = { tester: {}, paced: { limits: 'rate = "1K"' } };
  const { login } = await startTestServer({ store, clock, users });
  const logins = (length: number, name?: string) => Promise.all(Array.from({ length }, () => login(name)));
  const clients = { first: await logins(count, user), others: await logins(OTHERS) };
  const put = (client: RawClient, path: string) =>
    client.begin('put', { path, size: CONTENT.length, digest: digestOf(CONTENT) }, { content: CONTENT });
  const allAnswered = async (asked: readonly RawClient[]) => {
    for (const client of asked) expect((await client.answer(PUT_ID)).header['status']).toBe('ok');
  };
  const putting = (count: number) =>
    turnUntil(() => store.putting === count, `${count} contents are not worked on, but ${store.putting}`);
  /** Resolves when the server has read what was sent, as far as it does. */
  const read = async () => {
    const client = await login();
    for (let turn = 0; turn < 10; turn += 1) await client.askOk('ping');
  };
  return { clock, store, ...clients, put, putting, read, allAnswered };
}

/** The same, with as many contents being worked on as may be, and the others sent. */
async function fullServer() {
  const started = await startClients();
  const { first, others, put, putting, read, store } = started;
  first.forEach((client, number) => put(client, `first ${number}`));
  await putting(AT_ONCE);
  others.forEach((client, number) => put(client, `other ${number}`));
  await read();
  expect(store.putting).toBe(AT_ONCE);
  return started;
}

test('only so many contents are in memory at once; the others come when these are done', async () => {
  const { store, first, others, allAnswered } = await fullServer();
  store.goOn();
  await allAnswered([...first, ...others]);
});

test('what takes long to be worked on keeps nobody waiting', async () => {
  const { clock, store, first, others, putting, allAnswered } = await fullServer();
  clock.advance(50);
  await putting(AT_ONCE + OTHERS);
  store.goOn();
  await allAnswered([...first, ...others]);
});

test('nor does who waits, and goes', async () => {
  const { store, first, others, allAnswered } = await fullServer();
  const [last, ...rest] = others as [RawClient, ...RawClient[]];
  await Promise.all(rest.map((client) => client.destroy()));
  store.goOn();
  await allAnswered([...first, last]);
});

/** As many clients as there is room for have sent half of a content, and one sends a whole one. */
async function halvesSent() {
  const started = await startClients();
  const { first, others, put, read, store } = started;
  const half = encodeMessage({
    fields: { action: 'put', id: PUT_ID, path: 'half', size: CONTENT.length, digest: digestOf(CONTENT) },
    content: CONTENT,
  }).subarray(0, -HALF);
  for (const client of first) client.write(half);
  await read();
  const [other] = others as [RawClient];
  put(other, 'whole');
  await read();
  expect(store.putting).toBe(0);
  return { ...started, other };
}

test('nor does who is slow, and still brings it', async () => {
  const { clock, store, first, other, putting, allAnswered } = await halvesSent();
  // In the first 50 ms it was not.
  clock.advance(100);
  await putting(1);
  store.goOn();
  for (const client of first) client.write(CONTENT.subarray(HALF));
  await allAnswered([other, ...first]);
});

test('nor does who goes in the middle', async () => {
  const { first, other, store, putting, allAnswered } = await halvesSent();
  await (first[0] as RawClient).destroy();
  await putting(1);
  store.goOn();
  await allAnswered([other]);
});

test('nor does who may send only so much in a time', async () => {
  const { store, first, others, put, read, allAnswered } = await startClients({
    count: AT_ONCE + 1,
    user: 'paced',
  });
  store.goOn();
  // The first may send what it has, and all others owe it.
  first.forEach((client, number) => put(client, `paced ${number}`));
  await read();
  const [other] = others as [RawClient];
  put(other, 'other');
  await allAnswered([other]);
});
