import { once } from 'node:events';
import { expect, test } from 'vitest';

import { nextTurn } from '../../src/clock.ts';
import { SealiftError } from '../../src/errors.ts';
import { encodeMessage } from '../../src/protocol/encoder.ts';
import { DISCARD_MS, MAX_CONTENT_BYTES } from '../../src/protocol/limits.ts';
import type { Connection } from '../../src/transport/connection.ts';
import { connectionPair } from '../support/connection-pair.ts';
import { failureOf } from '../support/failure.ts';

/** More than the kernel holds for a connection, however it is set up. */
const MANY = 64;
const BLOCK = Buffer.alloc(MAX_CONTENT_BYTES, 7);

test('messages go both ways, in order', async () => {
  const { connection, raw } = await connectionPair();
  for (const n of [1, 2]) raw.send({ n }, { content: Buffer.from(`up ${n}`) });
  for (const n of [1, 2]) {
    const message = await connection.receive();
    expect([message?.header['n'], message?.content.toString()]).toEqual([n, `up ${n}`]);
  }
  await Promise.all([1, 2].map((n) => connection.send({ fields: { n }, content: Buffer.from(`down ${n}`) })));
  for (const n of [1, 2]) {
    const message = await raw.take();
    expect([message.header['n'], message.content.toString()]).toEqual([n, `down ${n}`]);
  }
});

test('a peer that reads slowly makes send wait', async () => {
  const { connection, raw } = await connectionPair();
  raw.socket.pause();
  let sent = 0;
  const sending = Array.from({ length: MANY }, (_, n) =>
    connection.send({ fields: { n }, content: BLOCK }).then(() => (sent += 1)),
  );
  raw.send({});
  await connection.receive();
  expect(sent).toBeLessThan(MANY);
  raw.socket.resume();
  await Promise.all(sending);
  for (let n = 0; n < MANY; n += 1) expect((await raw.take()).header['n']).toBe(n);
});

test('nothing more is read while received messages wait', async () => {
  const { connection, raw, socket, received } = await connectionPair();
  for (let n = 0; n < MANY; n += 1) raw.send({ n }, { content: BLOCK });
  await received(BLOCK.length + 1);
  const before = connection.receivedBytes;
  expect(socket.isPaused()).toBe(true);
  expect(before).toBeLessThan(3 * BLOCK.length);
  for (let n = 0; n < MANY; n += 1) expect((await connection.receive())?.header['n']).toBe(n);
  expect(connection.receivedBytes).toBeGreaterThan(MANY * BLOCK.length);
});

test('peers that bring much keep nothing else waiting, and have the same share', async () => {
  const pairs = await Promise.all([connectionPair(), connectionPair()]);
  const [one, other] = pairs.map(({ connection }) => connection) as [Connection, Connection];
  for (const { raw } of pairs) for (let n = 0; n < 8; n += 1) raw.send({ n }, { content: BLOCK });
  let isOver = false;
  const all = Promise.all([one, other].map((each) => receiveAll(each, 8))).then(() => (isOver = true));
  let before: [number, number] = [0, 0];
  let mostInTurn = 0;
  while (!isOver) {
    await nextTurn();
    const read = [one.receivedBytes - before[0], other.receivedBytes - before[1]];
    before = [one.receivedBytes, other.receivedBytes];
    // The first to read cannot know that the other one is going to.
    const isBeside = before.every((bytes) => bytes > BLOCK.length) && !read.includes(0);
    if (isBeside) mostInTurn = Math.max(mostInTurn, ...read);
  }
  await all;
  expect(mostInTurn).toBeGreaterThan(0);
  // 128 KiB, and what one read gives.
  expect(mostInTurn).toBeLessThan(BLOCK.length / 4);
});

test('a peer that has ended its side still gets answers', async () => {
  const { connection, raw } = await connectionPair();
  raw.send({ n: 1 });
  raw.end();
  expect((await connection.receive())?.header['n']).toBe(1);
  expect(await connection.receive()).toBeUndefined();
  expect(await connection.receive()).toBeUndefined();
  await connection.send({ fields: { n: 2 } });
  await connection.finish();
  expect((await raw.take()).header['n']).toBe(2);
});

test.each([
  ['inside a length', 1],
  ['inside a header', 10],
  ['inside a content', encodeMessage({ fields: {}, content: Buffer.alloc(9) }).length - 1],
])('a stream that ends %s is a broken frame', async (_, length) => {
  const { connection, raw } = await connectionPair();
  raw.write(encodeMessage({ fields: {}, content: Buffer.alloc(9) }).subarray(0, length));
  raw.end();
  expect((await failureOf(connection.receive())).code).toBe('bad-frame');
});

test('what came whole before a broken frame is received, and an answer to it is still sent', async () => {
  const { connection, raw } = await connectionPair();
  raw.write(Buffer.concat([encodeMessage({ fields: { n: 1 } }), Buffer.from([0, 0])]));
  expect((await connection.receive())?.header['n']).toBe(1);
  const failure = await failureOf(connection.receive());
  expect(failure.code).toBe('bad-frame');
  // The first cause stays, whatever happens afterwards.
  raw.write('more');
  expect(await failureOf(connection.receive())).toBe(failure);
  await connection.send({ fields: { last: 'words' } });
  const finished = connection.finish();
  expect((await raw.take()).header['last']).toBe('words');
  await finished;
  expect(await failureOf(connection.receive())).toBe(failure);
});

test('the longest content can be changed', async () => {
  const { connection, raw } = await connectionPair({ maxContentBytes: 10 });
  raw.send({}, { content: Buffer.alloc(10) });
  await connection.receive();
  connection.maxContentBytes = 20;
  raw.send({}, { content: Buffer.alloc(20) });
  await connection.receive();
  raw.send({}, { content: Buffer.alloc(21) });
  expect((await failureOf(connection.receive())).code).toBe('content-too-large');
});

test('destroying tells its reason to all who wait, and to all who come later', async () => {
  const { connection, raw } = await connectionPair();
  raw.socket.pause();
  const reason = new SealiftError('shutting-down', 'Enough.');
  const waiting = [
    connection.receive(),
    ...Array.from({ length: MANY }, () => connection.send({ fields: {}, content: BLOCK })),
  ].map(failureOf);
  connection.destroy(reason);
  connection.destroy(new SealiftError('internal', 'Too late to be the cause.'));
  await connection.closed;
  for (const failure of await Promise.all(waiting)) expect(failure).toBe(reason);
  expect(await failureOf(connection.receive())).toBe(reason);
  expect(await failureOf(connection.send({ fields: {} }))).toBe(reason);
});

test('a peer that is gone is a lost connection, to the reader and to every writer', async () => {
  const { connection, raw, received } = await connectionPair();
  raw.socket.pause();
  const sending = Array.from({ length: MANY }, () => connection.send({ fields: {}, content: BLOCK }));
  const outcomes = Promise.allSettled([connection.receive(), ...sending]);
  raw.write('x');
  await received(1);
  await raw.destroy();
  await connection.closed;
  const failures = (await outcomes).flatMap((each) =>
    each.status === 'rejected' ? [each.reason as unknown] : [],
  );
  // Some were taken by the kernel before.
  expect(failures.length).toBeGreaterThan(1);
  for (const failure of failures) expect(failure).toMatchObject({ code: 'connection-lost' });
});

test('a message that no peer would take fails alone', async () => {
  const { connection, raw } = await connectionPair();
  const tooLarge = connection.send({ fields: {}, content: Buffer.alloc(MAX_CONTENT_BYTES + 1) });
  expect((await failureOf(tooLarge)).code).toBe('content-too-large');
  await connection.send({ fields: { n: 1 } });
  expect((await raw.take()).header['n']).toBe(1);
});

test('finishing waits for the peer, may be repeated, and discards what still comes', async () => {
  const { connection, raw, socket } = await connectionPair();
  const sent = connection.send({ fields: { last: true } });
  const finished = [connection.finish(), connection.finish()];
  await sent;
  await raw.ended();
  expect(raw.messages.map(({ header }) => header['last'])).toEqual([true]);
  for (let n = 0; n < MANY; n += 1) raw.send({ n }, { content: BLOCK });
  raw.end();
  await Promise.all(finished);
  expect(socket.destroyed).toBe(true);
  await connection.finish();
});

test('finishing does not wait longer than a second for a peer that goes on', async () => {
  const { connection, raw, clock } = await connectionPair();
  raw.socket.on('end', () => raw.write('more'));
  raw.socket.allowHalfOpen = true;
  const finished = connection.finish();
  await raw.ended();
  clock.advance(DISCARD_MS - 1);
  clock.advance(1);
  await finished;
  expect(clock.pendingCount).toBe(0);
});

test('disposing closes at once and leaves no timer', async () => {
  const { connection, raw, clock } = await connectionPair({ idleTimeoutMs: 1_000 });
  expect(clock.pendingCount).toBe(1);
  const ended = once(raw.socket, 'close');
  await connection[Symbol.asyncDispose]();
  await connection[Symbol.asyncDispose]();
  await ended;
  expect(clock.pendingCount).toBe(0);
});

async function receiveAll(connection: Connection, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) expect((await connection.receive())?.header['n']).toBe(n);
}
