import { expect, test } from 'vitest';

import { nextTurn } from '../../src/clock.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { bytesOf, putInline } from '../support/raw-upload.ts';
import { startTestServer, type TestServerOptions } from '../support/test-server.ts';

const OPEN = { allowNoAlpn: true, anonymous: 'read' } as const;

/** A connection of the classic example's client: no ALPN, and no hello. */
async function classic(options: TestServerOptions) {
  const server = await startTestServer(options);
  const owner = await server.login();
  for (const path of ['ring.txt', 'deep/ringlet', 'other']) await putInline(owner, path, bytesOf(5));
  return { ...server, client: await server.connect({ alpn: [] }) };
}

const search = (request: unknown) => ({
  content: Buffer.from(typeof request === 'string' ? request : JSON.stringify(request)),
  contentType: 'text/json',
});

test.each([
  [{ action: 'search', value: 'ring' }, 'deep/ringlet\nring.txt'],
  [{ action: 'search', value: 'nothing like it' }, "No match for 'nothing like it'."],
  [{ action: 'dance', value: 'x' }, "Error: invalid action 'dance'."],
  [{}, "Error: invalid action 'undefined'."],
])('%j is answered as in the classic example', async (request, result) => {
  const { client } = await classic(OPEN);
  client.send({}, search(request));
  const { header, content } = await client.take();
  expect(header).toEqual({
    byteorder: expect.any(String),
    'content-type': 'text/json',
    'content-encoding': 'utf-8',
    'content-length': content.length,
  });
  const answer = JSON.parse(content.toString()) as { result: string };
  expect(answer.result.split('\n').sort().join('\n')).toBe(result);
});

test('another content is answered by its first ten bytes', async () => {
  const { client } = await classic(OPEN);
  client.send(
    {},
    {
      content: Buffer.from('abcdefghijklm'),
      contentType: 'binary/custom-client-binary-type',
      contentEncoding: 'binary',
    },
  );
  const { header, content } = await client.take();
  expect(header).toMatchObject({
    'content-type': 'binary/custom-server-binary-type',
    'content-encoding': 'binary',
  });
  expect(header).not.toHaveProperty('id');
  expect(header).not.toHaveProperty('status');
  expect(content.toString()).toBe('First 10 bytes of request: abcdefghij');
});

test.each(['no json', '5', 'null'])('%s is no request', async (text) => {
  const { client } = await classic(OPEN);
  client.send({}, search(text));
  expect((await client.take()).header['code']).toBe('bad-request');
});

test.each<[string, TestServerOptions]>([
  ['strangers may do nothing', { allowNoAlpn: true }],
  ['ALPN is asked for', { anonymous: 'read' }],
])('it is not spoken where %s', async (_, options) => {
  const { client, connect } = await classic(options);
  const stranger = options.allowNoAlpn === true ? client : await connect();
  stranger.send({}, search({ action: 'search', value: 'ring' }));
  expect((await stranger.take()).header).toMatchObject({ status: 'error', code: 'unauthenticated' });
});

test('after a hello there is no such dialect', async () => {
  const { client } = await classic(OPEN);
  await client.hello();
  client.send({ id: 9 }, search({ action: 'search', value: 'ring' }));
  expect((await client.take()).header).toMatchObject({ id: 9, code: 'bad-request' });
});

/** A store with more files than anybody could list. */
class EndlessStore extends MemoryStore {
  readonly listing = Promise.withResolvers<void>();
  readonly ended = Promise.withResolvers<void>();

  override async *list(): ReturnType<MemoryStore['list']> {
    try {
      for (let number = 0; ; number += 1) {
        yield {
          path: `file ${number}`,
          type: 'file',
          size: 0,
          mtimeMs: 0,
          mode: 0o644,
          etag: String(number),
        };
        this.listing.resolve();
        await nextTurn();
      }
    } finally {
      this.ended.resolve();
    }
  }
}

test('nothing is searched any more once the connection is closed', async () => {
  const store = new EndlessStore();
  const { server, connect } = await startTestServer({ ...OPEN, store });
  const client = await connect({ alpn: [] });
  client.send({}, search({ action: 'search', value: 'no such name' }));
  await store.listing.promise;
  await server.close({ graceMs: 0 });
  await store.ended.promise;
});
