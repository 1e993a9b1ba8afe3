import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { describe, expect, test } from 'vitest';

import { nextTurn } from '../../src/clock.ts';
import { silentLogger } from '../../src/logger.ts';
import { encodeMessage } from '../../src/protocol/encoder.ts';
import { ALPN_ID, DISCARD_MS } from '../../src/protocol/limits.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { GatedStore } from '../support/gated-store.ts';
import { bytesOf, digestOf, putInline } from '../support/raw-upload.ts';
import { startTestServer } from '../support/test-server.ts';

/** A message with a header of our own making. */
function message(header: unknown, content = ''): Buffer {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(2);
  length.writeUInt16BE(text.length);
  return Buffer.concat([length, text, Buffer.from(content)]);
}
const FRAME = {
  byteorder: 'little',
  'content-length': 0,
  'content-type': 'text/json',
  'content-encoding': 'utf-8',
};

test.each<[string, Buffer, string]>([
  ['an empty header', Buffer.from([0, 0]), 'bad-frame'],
  ['a header that is too long', Buffer.from([0xff, 0xff]), 'header-too-large'],
  ['a header that is no JSON', message('{'), 'bad-header'],
  ['a header that is no object', message([]), 'bad-header'],
  ['a forbidden field', message('{"__proto__":{}}'), 'bad-header'],
  ['no byte order', message({ ...FRAME, byteorder: undefined }), 'bad-header'],
  ['a content length that is a text', message({ ...FRAME, 'content-length': '5' }), 'bad-header'],
  ['a content that is too long', message({ ...FRAME, 'content-length': 2 ** 20 + 1 }), 'content-too-large'],
  ['a content of many terabytes', message({ ...FRAME, 'content-length': 2 ** 52 }), 'content-too-large'],
])('%s is answered without id, then the stream ends, and the server lives on', async (_, bytes, code) => {
  const { login } = await startTestServer();
  const [client, other] = [await login(), await login()];
  const before = client.messages.length;
  client.write(bytes);
  await client.ended();
  const last = client.messages.slice(before).map(({ header }) => header);
  expect(last).toMatchObject([{ status: 'error', code, retryable: false }]);
  expect(last[0]).not.toHaveProperty('id');
  await client.closed;
  await other.askOk('ping');
});

test('what was asked before the stream broke is answered', async () => {
  const { login } = await startTestServer();
  const client = await login();
  client.write(Buffer.concat([encodeMessage({ fields: { action: 'ping', id: 50 } }), Buffer.from([0, 0])]));
  expect((await client.answer(50)).header['status']).toBe('ok');
  expect((await client.take()).header['code']).toBe('bad-frame');
});

test('nothing is answered after the stream was ended, and what was done stays done', async () => {
  const store = new GatedStore();
  const paths = ['as it ends', 'just after', 'later'];
  const gates = paths.map((path) => store.hold(`put ${path}`));
  const ended = Promise.withResolvers<void>();
  const warn = (_: object, message: string) => {
    if (message === 'the stream was ended') ended.resolve();
  };
  const { login } = await startTestServer({ store, logger: { ...silentLogger, warn } });
  const [client, other] = [await login(), await login()];
  for (const path of paths) client.begin('put', { path, size: 0, digest: digestOf(Buffer.alloc(0)) });
  for (const gate of gates) await gate.reached();
  const before = client.messages.length;
  client.write(Buffer.from([0, 0]));
  await ended.promise;
  gates[0]?.open();
  await nextTurn();
  gates[1]?.open();
  await client.closed;
  gates[2]?.open();
  for (const path of paths)
    while ((await other.ask('stat', { path })).header['status'] !== 'ok') await nextTurn();
  const told = client.messages.slice(before).map(({ header }) => header);
  expect(told.at(-1)).toMatchObject({ status: 'error', code: 'bad-frame' });
  expect(told.filter(({ id }) => id === undefined)).toHaveLength(1);
  expect(told.length).toBeLessThan(paths.length);
});

test('what is given up because the stream was ended is not told', async () => {
  const { login } = await startTestServer({ users: { slow: { limits: 'rate = 1000' } } });
  const client = await login();
  await putInline(client, 'a', bytesOf(900));
  const before = client.messages.length;
  // It waits for its turn.
  for (let count = 0; count < 3; count += 1) client.begin('get', { path: 'a' });
  client.write(Buffer.from([0, 0]));
  await client.closed;
  const told = client.messages.slice(before).map(({ header }) => header);
  expect(told.map(({ code }) => code).filter(Boolean)).toEqual(['bad-frame']);
  expect(told.at(-1)).toMatchObject({ code: 'bad-frame' });
});

test('whoever resets the connection in the middle of a message takes no place any more', async () => {
  // Its time stands still: nothing waits for a clock.
  const clock = new FakeClock();
  const { server, address } = await startTestServer({ clock });
  for (let attempt = 0; attempt < 10; attempt += 1) {
    const { port } = address as { port: number };
    const tcp = connectTcp(port, '127.0.0.1');
    const tls = connectTls({ socket: tcp, ALPNProtocols: [ALPN_ID], rejectUnauthorized: false });
    tls.on('error', () => undefined);
    await once(tls, 'secureConnect');
    tls.write(Buffer.from([0, 50, 1, 2]), () => tcp.resetAndDestroy());
    await once(tcp, 'close');
  }
  while (server.connectionCount > 0) {
    await nextTurn();
    // The second for which a peer may still read what was said last.
    if (clock.nextDelayMs === DISCARD_MS) clock.advance(DISCARD_MS);
  }
});

describe('time', () => {
  /** A server whose time stands still. */
  const start = async () => {
    const clock = new FakeClock();
    return { clock, ...(await startTestServer({ clock })) };
  };

  test('who does not say hello within 10 s is told, and closed', async () => {
    const { clock, connect, server, login } = await start();
    await login();
    const client = await connect();
    // A refused attempt shows that the server has noticed the connection, and does not prolong it.
    await client.hello({ token: 'wrong' });
    expect(server.connectionCount).toBe(2);
    clock.advance(9_999);
    await client.hello({ token: 'wrong' });
    clock.advance(1);
    await client.ended();
    expect(client.messages.at(-1)?.header).toMatchObject({ status: 'error', code: 'timeout' });
  });

  test('who has said hello may be silent for 5 minutes', async () => {
    const { clock, login } = await start();
    const client = await login();
    clock.advance(299_999);
    await client.askOk('ping');
    clock.advance(299_999);
    await client.askOk('ping');
    clock.advance(300_000);
    await client.ended();
    expect(client.messages.at(-1)?.header).toMatchObject({ status: 'error', code: 'timeout' });
  });
});
