import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { errorCodes, startAttackedServer } from '../support/attacked-server.ts';
import type { RawClient } from '../support/raw-client.ts';
import { blockRequest, blocksOf, inlinePut } from '../support/raw-files.ts';
import { encodeMessage } from '../../src/protocol/encoder.ts';
import { rawMessage } from '../protocol/frames.ts';

interface Malformed {
  name: string;
  bytes: string;
  code: string;
  ends?: boolean;
}
const MALFORMED = JSON.parse(
  readFileSync(join(import.meta.dirname, '../vectors/malformed.json'), 'utf8'),
) as Malformed[];

/** Values of one field of an otherwise sound header. Most are no JSON that `JSON.stringify` would write. */
const LENGTHS = [
  '-1',
  '-0',
  '1.5',
  '1e400',
  '"12"',
  'true',
  'null',
  '[0]',
  '{}',
  '9007199254740993',
  '01',
  '0x1',
];

describe('hazard 3: messages that are none', () => {
  test('every malformed vector is told its code and closed, before the hello and after it', async () => {
    const { connect, login, assertAlive, log } = await startAttackedServer();
    for (const { name, bytes, code, ends } of MALFORMED) {
      const isOfStrangers = name.endsWith('before the hello');
      for (const client of [await connect(), ...(isOfStrangers ? [] : [await login()])]) {
        client.write(Buffer.from(bytes, 'hex'));
        if (ends === true) client.end();
        await client.ended();
        expect([name, ...errorCodes(client)]).toEqual([name, code]);
        expect(client.messages.at(-1)?.header).not.toHaveProperty('id');
      }
    }
    await assertAlive();
    expect(log()).not.toMatch(/"level":50|\\n\s+at /);
  });

  test('what follows a malformed message is not obeyed', async () => {
    const { login, root } = await startAttackedServer();
    const client = await login();
    const [action, fields, content] = inlinePut('after', 'evil');
    client.write(
      Buffer.concat([Buffer.of(0, 0), encodeMessage({ fields: { action, id: 9, ...fields }, ...content })]),
    );
    await client.ended();
    expect(errorCodes(client)).toEqual(['bad-frame']);
    expect(existsSync(join(root, 'after'))).toBe(false);
  });

  test('what has no id, a wrong one, or one that is in flight is answered, and the connection goes on', async () => {
    const { login } = await startAttackedServer();
    const client = await login();
    for (const id of [undefined, 0, -1, 1.5, '7', null, 2 ** 53]) {
      client.send({ action: 'ping', id });
      expect((await client.take()).header).toMatchObject({ status: 'error', code: 'bad-request' });
    }
    client.send({ id: 5 });
    expect((await client.take()).header).toMatchObject({ id: 5, code: 'bad-request' });
    expect((await client.ask('ping')).header['status']).toBe('ok');
    expect((await client.hello()).header['code']).toBe('bad-request');
  });
});

describe('hazard 4: content lengths that are no length', () => {
  test.each(LENGTHS)('%s', async (length) => {
    const { login, assertAlive } = await startAttackedServer();
    const client = await login();
    client.write(
      rawMessage(
        `{"action":"ping","id":1,"byteorder":"little","content-length":${length},"content-type":"a/b","content-encoding":"binary"}`,
      ),
    );
    await client.ended();
    expect(errorCodes(client)).toEqual(['bad-header']);
    await assertAlive();
  });

  test('one that is more than is taken is refused before it comes', async () => {
    const { connect, login } = await startAttackedServer();
    for (const [client, limit] of [[await connect(), 65_536] as const, [await login(), 1_048_576] as const]) {
      const header = {
        byteorder: 'big',
        'content-type': 'a/b',
        'content-encoding': 'binary',
        id: 1,
        action: 'echo',
      };
      client.write(rawMessage(JSON.stringify({ ...header, 'content-length': limit + 1 })));
      await client.ended();
      expect(errorCodes(client)).toEqual(['content-too-large']);
    }
  });
});

describe('hazard 2: messages cut anywhere', () => {
  test('single bytes and many messages in one segment give the same answers', async () => {
    const { connect } = await startAttackedServer({ anonymous: 'write' });
    const session = Buffer.concat([
      encodeMessage({ fields: { action: 'hello', id: 1, protocol: 1, agent: 'cut' } }),
      ...['a', 'b'].map((path, index) => {
        const [action, fields, content] = inlinePut(path, `content of ${path}`);
        return encodeMessage({ fields: { action, id: index + 2, ...fields }, ...content });
      }),
      encodeMessage({ fields: { action: 'echo', id: 4 }, content: Buffer.from('echo') }),
    ]);
    for (const size of [1, 2, 7, session.length]) {
      const client = await connect();
      client.socket.setNoDelay(true);
      for (let start = 0; start < session.length; start += size)
        client.write(session.subarray(start, start + size));
      for (const id of [1, 2, 3, 4]) expect((await client.answer(id)).header['status']).toBe('ok');
      expect(client.messages).toHaveLength(4);
    }
  });
});

describe('hazard 5: a body that ends early', () => {
  const content = Buffer.alloc(1_048_577, 'x');
  const block = blocksOf(content)[0] as Uint8Array;

  test.each([
    ['an orderly close', (client) => client.end()],
    ['a cut', (client) => client.socket.destroy()],
  ] as [string, (client: RawClient) => void][])('%s publishes nothing', async (_, end) => {
    const { login, root, assertAlive } = await startAttackedServer();
    const client = await login();
    const whole = await client.askOk('put', { path: 'in blocks', size: content.length });
    for (const [action, fields, sent] of [
      inlinePut('inline', 'as much as was declared'),
      blockRequest(whole.header['upload'], 0, block),
    ]) {
      const broken = await login();
      const message = encodeMessage({ fields: { action, id: 1, ...fields }, ...sent });
      await new Promise((resolve) => broken.socket.write(message.subarray(0, message.length - 1), resolve));
      end(broken);
      await broken.closed;
    }
    await assertAlive();
    expect((await client.ask('stat', { path: 'inline' })).header['code']).toBe('not-found');
    expect(
      (
        await client.ask('commit', {
          upload: whole.header['upload'],
          size: content.length,
          digest: `sha256-1m:${'0'.repeat(64)}`,
        })
      ).header['code'],
    ).toBe('incomplete');
    expect(existsSync(join(root, 'in blocks'))).toBe(false);
  });
});
