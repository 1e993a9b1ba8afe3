import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { nextTurn } from '../../src/clock.ts';
import { encodeMessage } from '../../src/protocol/encoder.ts';
import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { GatedStore } from '../support/gated-store.ts';
import { bytesOf, digestOf, fetched, putBlocks, putInline } from '../support/raw-upload.ts';
import {
  startTestServer,
  temporaryDirectory,
  tokenOf,
  type TestServerOptions,
} from '../support/test-server.ts';

/** A server on a store that can be held, with a file of three blocks and a small one. */
async function start(options: TestServerOptions = {}) {
  const store = new GatedStore();
  const server = await startTestServer({ ...options, store });
  const client = await server.login();
  await putBlocks(client, 'large', bytesOf(3 * BLOCK_BYTES));
  await putInline(client, 'small', bytesOf(10));
  return { ...server, store, client };
}

test('requests may be sent before the hello is answered', async () => {
  const { connect } = await startTestServer();
  const client = await connect();
  const hello = { action: 'hello', id: 1, protocol: 1, agent: 'raw', token: tokenOf('tester') };
  const messages = [hello, ...[2, 3, 4].map((id) => ({ action: 'ping', id }))];
  client.write(Buffer.concat(messages.map((fields) => encodeMessage({ fields }))));
  for (const id of [1, 2, 3, 4]) expect((await client.answer(id)).header['status']).toBe('ok');
});

test('a message may come byte by byte', async () => {
  const { client } = await start();
  for (const byte of encodeMessage({ fields: { action: 'ping', id: 77 } })) client.write(Buffer.from([byte]));
  expect((await client.answer(77)).header['status']).toBe('ok');
});

test('what is echoed is what was sent, with its type and encoding', async () => {
  const { client } = await start();
  const sent = { content: bytesOf(BLOCK_BYTES), contentType: 'image/png', contentEncoding: 'whatever' };
  const { header, content } = await client.askOk('echo', {}, sent);
  expect(content.equals(sent.content)).toBe(true);
  expect(header).toMatchObject({ 'content-type': 'image/png', 'content-encoding': 'whatever' });
});

test('what is brought to be measured goes nowhere', async () => {
  const { client, store } = await start();
  const before = await Array.fromAsync(store.list('', { recursive: true }));
  const { header, content } = await client.askOk('bench', {}, { content: bytesOf(BLOCK_BYTES) });
  expect([header['content-length'], content.length]).toEqual([0, 0]);
  expect(await Array.fromAsync(store.list('', { recursive: true }))).toEqual(before);
});

test('answers come as they are ready, and the parts of each keep their order', async () => {
  const { client, store } = await start();
  const gate = store.hold('read large 1');
  const slow = client.begin('get', { path: 'large' });
  await gate.reached();
  // The one that came later overtakes the other in the middle.
  expect((await fetched(client, 'small'))?.equals(bytesOf(10))).toBe(true);
  await client.askOk('ping');
  gate.open();
  const { parts } = await client.answer(slow);
  const blocks = parts.filter(({ header }) => header['status'] === 'block');
  expect(blocks.map(({ header }) => header['index'])).toEqual([0, 1, 2]);
});

test('an id that is being worked on may not be used, and may be used again afterwards', async () => {
  const { client, store } = await start();
  const gate = store.hold('open small');
  client.send({ action: 'get', id: 500, path: 'small' });
  await gate.reached();
  client.send({ action: 'ping', id: 500 });
  expect((await client.answer(500)).header).toMatchObject({ code: 'bad-request' });
  gate.open();
  expect((await client.answer(500)).header).toMatchObject({ status: 'ok', size: 10 });
  client.send({ action: 'ping', id: 500 });
  expect((await client.answer(500)).header).toMatchObject({ 'time-ms': expect.any(Number) });
});

test.each([
  ['no action', { id: 7 }, { id: 7, code: 'bad-request' }],
  ['an unknown action', { id: 7, action: 'explode' }, { id: 7, code: 'unsupported' }],
  ['an action that is none', { id: 7, action: 5 }, { id: 7, code: 'bad-request' }],
  ['no id', { action: 'ping' }, { id: undefined, code: 'bad-request' }],
  ['the id 0', { action: 'ping', id: 0 }, { id: undefined, code: 'bad-request' }],
  ['an id that is a text', { action: 'ping', id: '7' }, { id: undefined, code: 'bad-request' }],
  ['a field that is wrong', { action: 'get', id: 7, path: 5 }, { id: 7, code: 'bad-request' }],
  ['a former version', { action: 'get', id: 7, path: 'small', version: '1' }, { id: 7, code: 'unsupported' }],
])('a request with %s is refused, and the connection goes on', async (_, fields, expected) => {
  const { client } = await start();
  client.send(fields);
  const { header } = await client.take();
  expect(header['status']).toBe('error');
  expect({ id: header['id'], code: header['code'] }).toEqual(expected);
  await client.askOk('ping');
});

describe('64 requests at once', () => {
  test('are worked on; the next waits, and a cancel does not', async () => {
    const { client, store, login } = await start();
    const gate = store.hold('open small');
    const ids = Array.from({ length: 64 }, () => client.begin('get', { path: 'small' }));
    await gate.reached(64);
    await client.askOk('cancel', { target: ids[0] });
    const next = client.begin('stat', { path: 'small' });
    const other = await login();
    await other.askOk('ping');
    gate.open();
    await Promise.all([...ids, next].map((id) => client.answer(id)));
    const order = client.messages.map(({ header }) => header['id']);
    expect(order.indexOf(next)).toBeGreaterThan(Math.min(...ids.map((id) => order.indexOf(id))));
  });

  test('that wait are begun in their order, and ended by a cancel before', async () => {
    const { client, store } = await start();
    const gate = store.hold('open small');
    const working = Array.from({ length: 64 }, () => client.begin('get', { path: 'small' }));
    await gate.reached(64);
    const waiting = Array.from({ length: 500 }, () => client.begin('get', { path: 'small' }));
    await client.askOk('cancel', { target: waiting[250] });
    expect((await client.answer(waiting[250] as number)).header).toMatchObject({ code: 'cancelled' });
    // Those before it wait still.
    expect(client.messages.map(({ header }) => header['id'])).not.toContain(waiting[0]);
    gate.open();
    const rest = waiting.filter((_, index) => index !== 250);
    for (const id of [...working, ...rest]) expect((await client.answer(id)).header['status']).toBe('ok');
    const order = client.messages
      .map(({ header }) => header['id'])
      .filter((id) => rest.includes(id as number));
    expect(order).toEqual(rest);
  });

  test('with long headers take several places, and what comes behind them is not read', async () => {
    const { client, store, login } = await start();
    const gate = store.hold('open small');
    const padding = 'x'.repeat(15_000);
    const ids = Array.from({ length: 100 }, () => client.begin('get', { path: 'small', padding }));
    await gate.reached(64);
    const last = ids.at(-1) as number;
    const cancel = client.begin('cancel', { target: last });
    const other = client.begin('cancel', { target: ids[0] });
    // Time enough for what is read.
    for (let n = 0; n < 3; n += 1) await (await login()).askOk('ping');
    expect(client.messages.map(({ header }) => header['id'])).not.toContain(other);
    gate.open();
    for (const id of [...ids.slice(1), cancel, other]) await client.answer(id);
  });

  test('do not keep a lease from being renewed, or a ping from being answered', async () => {
    const { client, store } = await start();
    const gate = store.hold('open small');
    const ids = Array.from({ length: 200 }, () => client.begin('get', { path: 'small' }));
    await gate.reached(64);
    await client.askOk('lock', { name: 'job', 'ttl-ms': 1_000 });
    await client.askOk('ping');
    await client.askOk('unlock', { name: 'job' });
    expect(client.messages.map(({ header }) => header['id'])).not.toContain(ids[0]);
    gate.open();
    await Promise.all(ids.map((id) => client.answer(id)));
  });

  test('that wait are not begun once the connection is closed, with an id and without', async () => {
    const { client, store, server } = await start();
    const { header } = await client.askOk('put', { path: 'upload', size: 2 * BLOCK_BYTES });
    const gate = store.hold('open small');
    for (let n = 0; n < 64; n += 1) client.begin('get', { path: 'small' });
    await gate.reached(64);
    for (let n = 0; n < 100; n += 1) client.begin('mkdir', { path: `never-${n}` });
    const content = bytesOf(BLOCK_BYTES);
    const block = { action: 'block', upload: header['upload'], index: 0, digest: digestOf(content) };
    client.send(block, { content });
    const written = store.count('write 0');
    // What comes before it is read, too.
    await client.askOk('ping');
    server.destroyConnections();
    await client.closed;
    for (let n = 0; n < 10; n += 1) await nextTurn();
    gate.open();
    await server.close();
    expect(await Array.fromAsync(store.list('', { recursive: true }))).toHaveLength(2);
    expect(written()).toBe(0);
  });

  test('that wait are finished when the server drains, and what comes then is not begun', async () => {
    const { client, store, server } = await start();
    const gate = store.hold('open small');
    const ids = Array.from({ length: 100 }, () => client.begin('get', { path: 'small' }));
    await gate.reached(64);
    await client.askOk('ping');
    const closing = server.close({ graceMs: 60_000 });
    const late = client.begin('get', { path: 'small' });
    expect((await client.answer(late)).header).toMatchObject({ code: 'shutting-down' });
    await client.askOk('lock', { name: 'job', 'ttl-ms': 1_000 });
    const givenUp = ids.pop() as number;
    await client.askOk('cancel', { target: givenUp });
    expect((await client.answer(givenUp)).header).toMatchObject({ code: 'cancelled' });
    gate.open();
    for (const id of ids) expect((await client.answer(id)).header['status']).toBe('ok');
    await closing;
  });

  test('have ids of their own, also while they wait', async () => {
    const { client, store } = await start();
    const gate = store.hold('open small');
    const ids = Array.from({ length: 65 }, () => client.begin('get', { path: 'small' }));
    await gate.reached(64);
    const waiting = ids.at(-1) as number;
    client.send({ action: 'get', id: waiting, path: 'small' });
    expect((await client.answer(waiting)).header).toMatchObject({ code: 'bad-request' });
    gate.open();
    for (const id of ids) expect((await client.answer(id)).header['status']).toBe('ok');
  });
});

describe('cancel', () => {
  test('ends a request in the middle, and nothing of it comes afterwards', async () => {
    const { client, store } = await start();
    const gate = store.hold('read large 1');
    const id = client.begin('get', { path: 'large' });
    await gate.reached();
    await client.askOk('cancel', { target: id });
    gate.open();
    const { header, parts } = await client.answer(id);
    expect(header).toMatchObject({ code: 'cancelled', retryable: false });
    expect(parts.length).toBeLessThan(4);
    await client.askOk('ping');
    expect(client.messages.filter((message) => message.header['id'] === id)).toHaveLength(parts.length + 1);
  });

  test.each(['list', 'search'])('ends a %s in the middle', async (action) => {
    const { client, store } = await start();
    const gate = store.hold('entry 1');
    const id = client.begin(action, { path: '', query: 'a' });
    await gate.reached();
    await client.askOk('cancel', { target: id });
    gate.open();
    expect((await client.answer(id)).header['code']).toBe('cancelled');
  });

  test.each([
    ['of a request that is over', 1],
    ['of one that never was', 12_345],
  ])('%s is ok', async (_, target) => {
    const { client } = await start();
    await client.askOk('cancel', { target });
  });

  test('does not reach the requests of another connection', async () => {
    const { client, store, login } = await start();
    const gate = store.hold('read large 1');
    const id = client.begin('get', { path: 'large' });
    await gate.reached();
    await (await login()).askOk('cancel', { target: id });
    gate.open();
    expect((await client.answer(id)).header['status']).toBe('ok');
  });
});

test('long work is told now and then', async () => {
  const clock = new FakeClock();
  const { client, store } = await start({ clock });
  const gate = store.hold('read large 1');
  const id = client.begin('digests', { path: 'large' });
  await gate.reached();
  for (let n = 0; n < 3; n += 1) {
    // By then the block before it is hashed, and the last progress has gone.
    await nextTurn();
    clock.advance(5_000);
    const part = await client.take(({ header }) => header['id'] === id);
    expect(part.header).toMatchObject({ status: 'progress', held: BLOCK_BYTES });
  }
  gate.open();
  const { header, parts } = await client.answer(id);
  expect(header['status']).toBe('ok');
  expect(parts.map((part) => part.header['status'])).toEqual(['more']);
});

test.each<[action: string, fields: Record<string, unknown>, step: string]>([
  ['sync', {}, 'sync'],
  ['search', { query: 'nothing is called so' }, 'entry 1'],
  ['list', { path: '' }, 'entry 1'],
  ['stat', { path: 'large', digest: true }, 'read large 1'],
  ['get', { path: 'small' }, 'open small'],
])('that it goes on is told of any %s', async (action, fields, step) => {
  const clock = new FakeClock();
  const { store, client } = await start({ clock });
  // A server that remembers no digests.
  const asking = await (await startTestServer({ store, clock })).login();
  const gate = store.hold(step);
  const id = asking.begin(action, fields);
  await gate.reached();
  clock.advance(5_000);
  expect((await asking.take(({ header }) => header['id'] === id)).header['status']).toBe('progress');
  gate.open();
  expect((await asking.answer(id)).header['status']).toBe('ok');
  await client.askOk('ping');
});

test('a put that hashes what stands tells so, and is ended by a cancel', async () => {
  const clock = new FakeClock();
  const { store } = await start({ clock });
  const asking = await (await startTestServer({ store, clock })).login();
  const gate = store.hold('read large 0');
  const id = asking.begin(
    'put',
    { path: 'large', if: 'absent', size: 10, digest: digestOf(bytesOf(10)) },
    { content: bytesOf(10) },
  );
  await gate.reached();
  clock.advance(5_000);
  expect((await asking.take(({ header }) => header['id'] === id)).header['status']).toBe('progress');
  await asking.askOk('cancel', { target: id });
  gate.open();
  const { header } = await asking.answer(id);
  expect(header['code']).toBe('exists');
  expect(header).not.toHaveProperty('digest');
});

test('an error about a name that is long and full of quotes is told', async () => {
  const { client } = await start();
  const path = Array.from({ length: 16 }, () => '"'.repeat(250)).join('/');
  for (const [action, fields] of [
    ['get', { path }],
    ['stat', { path }],
    ['remove', { path }],
    ['move', { path, to: path }],
  ] as const) {
    const { header } = await client.ask(action, fields);
    expect(header).toMatchObject({ status: 'error', code: expect.stringMatching(/^not-/) });
    expect((header['message'] as string).length).toBeLessThan(1_000);
  }
});

test('of small files that nobody takes only a few are read', async () => {
  const store = new GatedStore();
  const address = { path: join(await temporaryDirectory(), 'socket') };
  const { login } = await startTestServer({ store, address });
  const [client, witness] = [await login(), await login()];
  await putInline(client, 'file', bytesOf(BLOCK_BYTES));
  const reads = store.count('read file 0');
  client.socket.pause();
  for (let n = 0; n < 60; n += 1) client.begin('get', { path: 'file' });
  for (let round = 0; round < 300; round += 1) await witness.askOk('ping');
  expect(reads()).toBeLessThan(10);
  expect(reads()).toBeGreaterThan(0);
});

test('who has asked and ended its side still gets the answers', async () => {
  const { client, store } = await start();
  const gate = store.hold('read large 1');
  const id = client.begin('get', { path: 'large' });
  await gate.reached();
  client.end();
  gate.open();
  expect((await client.answer(id)).header['status']).toBe('ok');
  await client.closed;
  expect(client.error).toBeUndefined();
});

test('who is gone leaves nothing behind', async () => {
  const { client, store, server, login } = await start();
  const gate = store.hold('read large 1');
  client.begin('get', { path: 'large' });
  await gate.reached();
  await client.destroy();
  gate.open();
  await (await login()).askOk('ping');
  await server.close();
  expect(server.connectionCount).toBe(0);
});
