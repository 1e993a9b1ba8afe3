import { describe, expect, test } from 'vitest';

import { encodeMessage } from '../../src/protocol/encoder.ts';
import { FakeClock } from '../support/fake-clock.ts';
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
