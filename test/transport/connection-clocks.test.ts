import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { describe, expect, onTestFinished, test } from 'vitest';

import { nextTurn } from '../../src/clock.ts';
import { encodeMessage } from '../../src/protocol/encoder.ts';
import { MAX_CONTENT_BYTES, MIN_CONTENT_RATE } from '../../src/protocol/limits.ts';
import { Connection } from '../../src/transport/connection.ts';
import { connectionPair, type ConnectionPair } from '../support/connection-pair.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { failureOf } from '../support/failure.ts';

/** A message of which a test sends one piece after the other. */
const MESSAGE = encodeMessage({ fields: { n: 1 }, content: Buffer.alloc(1_000_000, 1) });
const HEAD_BYTES = MESSAGE.length - 1_000_000;

/** Sends the next bytes of the message, and waits until they are there. */
function sender({ raw, received }: ConnectionPair) {
  let sent = 0;
  return async (bytes: number) => {
    raw.write(MESSAGE.subarray(sent, sent + bytes));
    sent += bytes;
    await received(sent);
  };
}

/** How the connection fails, once it does. */
function watched({ connection }: ConnectionPair) {
  const seen: { message?: string; code?: string } = {};
  const failing = failureOf(connection.receive()).then(({ code, message }) =>
    Object.assign(seen, { code, message }),
  );
  failing.catch(() => undefined);
  return { seen, failing };
}

/** Lets everything be told that is decided already. */
async function told(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

test('a header has 10 s from its first byte, whatever bytes come meanwhile', async () => {
  const pair = await connectionPair();
  const send = sender(pair);
  const { seen, failing } = watched(pair);
  await send(1);
  pair.clock.advance(5_000);
  await send(1);
  pair.clock.advance(4_999);
  await send(1);
  await told();
  expect(seen).toEqual({});
  pair.clock.advance(1);
  expect(await failing).toEqual({ code: 'timeout', message: 'A header took longer than 10 s.' });
});

test('the clock of a header ends with the header, and each message has its own', async () => {
  const pair = await connectionPair();
  const { raw, connection, clock, received } = pair;
  const small = encodeMessage({ fields: { n: 1 } });
  raw.write(small.subarray(0, 5));
  await received(5);
  clock.advance(9_999);
  // The rest of the first, and the beginning of another.
  raw.write(Buffer.concat([small.subarray(5), small.subarray(0, 5)]));
  expect((await connection.receive())?.header['n']).toBe(1);
  const { seen, failing } = watched(pair);
  clock.advance(9_999);
  raw.write(small.subarray(5, 6));
  await received(small.length + 6);
  await told();
  expect(seen).toEqual({});
  clock.advance(1);
  expect((await failing).message).toContain('A header');
});

test('inside a content, 60 s without a byte are too many', async () => {
  const pair = await connectionPair();
  const send = sender(pair);
  const { seen, failing } = watched(pair);
  await send(HEAD_BYTES + 1);
  pair.clock.advance(30_000);
  await send(100_000);
  pair.clock.advance(59_999);
  await send(100_000);
  pair.clock.advance(59_999);
  await send(100_000);
  await told();
  expect(seen).toEqual({});
  pair.clock.advance(60_000);
  expect(await failing).toEqual({
    code: 'timeout',
    message: 'No byte came for 60 s in the middle of a content.',
  });
});

test('a content that drips is too slow, though it is never silent', async () => {
  const pair = await connectionPair();
  const send = sender(pair);
  const { seen, failing } = watched(pair);
  await send(HEAD_BYTES + 1);
  for (let span = 0; span < 2; span += 1) {
    pair.clock.advance(30_000);
    await send((MIN_CONTENT_RATE * 60) / 2);
    pair.clock.advance(29_999);
    await send((MIN_CONTENT_RATE * 60) / 2);
    pair.clock.advance(1);
    await send(1);
    await told();
    expect(seen).toEqual({});
  }
  pair.clock.advance(30_000);
  await send((MIN_CONTENT_RATE * 60) / 2 - 2);
  pair.clock.advance(30_000);
  expect(await failing).toEqual({
    code: 'timeout',
    message: 'A content came at less than 1024 bytes per second.',
  });
});

test('a peer that accepts nothing for 60 s is cut', async () => {
  const { connection, raw, clock } = await connectionPair();
  raw.socket.pause();
  const sending = Array.from({ length: 64 }, () =>
    failureOf(connection.send({ fields: {}, content: Buffer.alloc(1_000_000) })),
  );
  const last = sending.at(-1);
  clock.advance(59_999);
  expect(clock.nextDelayMs).toBe(1);
  clock.advance(1);
  expect((await last)?.message).toBe('The peer accepted nothing for 60 s.');
  await connection.closed;
});

test('what was sent whole has no clock', async () => {
  const { connection, clock } = await connectionPair();
  await connection.send({ fields: {}, content: Buffer.alloc(1_000) });
  clock.advance(3_600_000);
  await connection.send({ fields: {} });
});

test('the clocks of reading stand still while nothing is read', async () => {
  const pair = await connectionPair();
  const { raw, connection, clock, received } = pair;
  const small = encodeMessage({ fields: { n: 1 } });
  // A message that nobody takes, and the beginning of one that therefore is not waited for.
  raw.write(Buffer.concat([small, small.subarray(0, 5)]));
  await received(small.length + 5);
  clock.advance(3_600_000);
  expect((await connection.receive())?.header['n']).toBe(1);
  const { seen, failing } = watched(pair);
  clock.advance(9_999);
  await told();
  expect(seen).toEqual({});
  clock.advance(1);
  expect((await failing).message).toBe('A header took longer than 10 s.');
});

describe('idle', () => {
  const idleTimeoutMs = 300_000;

  test('is a connection that is asked nothing', async () => {
    const pair = await connectionPair({ idleTimeoutMs });
    const { failing } = watched(pair);
    pair.clock.advance(idleTimeoutMs);
    expect(await failing).toEqual({ code: 'timeout', message: 'Nothing was asked for 300 s.' });
  });

  test('is not one with something in flight', async () => {
    const pair = await connectionPair({ idleTimeoutMs });
    const { seen, failing } = watched(pair);
    pair.connection.inFlight = 2;
    pair.clock.advance(10 * idleTimeoutMs);
    pair.connection.inFlight = 1;
    pair.clock.advance(10 * idleTimeoutMs);
    pair.connection.inFlight = 0;
    pair.clock.advance(idleTimeoutMs - 1);
    await told();
    expect(seen).toEqual({});
    pair.clock.advance(1);
    await failing;
  });

  test('is not one with a message that waits to be taken', async () => {
    const pair = await connectionPair({ idleTimeoutMs });
    pair.raw.send({ n: 1 });
    await pair.received(1);
    pair.clock.advance(10 * idleTimeoutMs);
    expect((await pair.connection.receive())?.header['n']).toBe(1);
    await pair.connection.send({ fields: {} });
    const { failing } = watched(pair);
    pair.clock.advance(idleTimeoutMs);
    await failing;
  });
});

describe('an answer', () => {
  const options = { answerTimeoutMs: 60_000, timeoutCode: 'stalled' } as const;

  test('that does not come while something is in flight is a stall', async () => {
    const pair = await connectionPair(options);
    const { failing } = watched(pair);
    pair.clock.advance(3_600_000);
    pair.connection.inFlight = 1;
    pair.clock.advance(60_000);
    expect(await failing).toEqual({ code: 'stalled', message: 'The peer was silent for 60 s.' });
  });

  test('is still awaited as long as any byte moves, either way', async () => {
    const pair = await connectionPair(options);
    pair.connection.inFlight = 1;
    pair.clock.advance(59_999);
    pair.raw.send({ n: 1 });
    await pair.connection.receive();
    const { seen, failing } = watched(pair);
    pair.clock.advance(59_999);
    await pair.connection.send({ fields: {} });
    pair.clock.advance(59_999);
    await told();
    expect(seen).toEqual({});
    pair.clock.advance(1);
    await failing;
  });
});

describe('a deadline', () => {
  test('is moved by nothing', async () => {
    const pair = await connectionPair();
    pair.connection.setDeadline(10_000, 'The hello');
    pair.raw.send({ n: 1 });
    await pair.connection.receive();
    const { failing } = watched(pair);
    pair.clock.advance(10_000);
    expect(await failing).toEqual({ code: 'timeout', message: 'The hello took longer than 10 s.' });
  });

  test('that was taken back is none', async () => {
    const { connection, clock, raw } = await connectionPair();
    connection.setDeadline(10_000, 'The hello');
    connection.clearDeadline();
    clock.advance(3_600_000);
    raw.send({ n: 1 });
    expect((await connection.receive())?.header['n']).toBe(1);
  });
});

test('who was too slow can still be told', async () => {
  const pair = await connectionPair();
  pair.connection.setDeadline(10_000, 'The hello');
  const { failing } = watched(pair);
  pair.clock.advance(10_000);
  await failing;
  await pair.connection.send({ fields: { code: 'timeout' } });
  const finished = pair.connection.finish();
  expect((await pair.raw.take()).header['code']).toBe('timeout');
  await finished;
});

test('finishing what is closed already sets no clock', async () => {
  const { connection, clock } = await connectionPair();
  connection.destroy();
  await connection.closed;
  await connection.finish();
  expect(clock.pendingCount).toBe(0);
});

test('no clock runs for what a connection leaves unread for the others, while a message waits here', async () => {
  const clock = new FakeClock();
  // How much comes in one piece is up to the system where it comes from a socket.
  const [busy, other] = [0, 1].map(() => {
    const stream = new Duplex({ read: () => undefined, write: (_bytes, _encoding, taken) => taken() });
    const options = { clock, timeoutCode: 'timeout', maxContentBytes: MAX_CONTENT_BYTES } as const;
    const connection = new Connection(stream as Socket, options);
    onTestFinished(() => connection[Symbol.asyncDispose]());
    return { stream, connection };
  }) as [{ stream: Duplex; connection: Connection }, { stream: Duplex; connection: Connection }];
  await nextTurn();
  other.stream.push(MESSAGE.subarray(0, 100));
  // One message, with which it has had its share of this turn, and the beginning of the next.
  busy.stream.push(Buffer.concat([MESSAGE, MESSAGE.subarray(0, 50_000)]));
  await nextTurn();
  clock.advance(61_000);
  expect((await busy.connection.receive())?.header['n']).toBe(1);
  busy.stream.push(MESSAGE.subarray(50_000));
  expect((await busy.connection.receive())?.content.length).toBe(1_000_000);
});
