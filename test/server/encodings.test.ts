import { randomBytes } from 'node:crypto';
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';

import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import {
  beginUpload,
  blocksOf,
  bytesOf,
  commit,
  digestOf,
  fetched,
  putInline,
} from '../support/raw-upload.ts';
import { startTestServer } from '../support/test-server.ts';
import { zstdFrame } from '../support/zstd-frame.ts';

const FILE = bytesOf(1.5 * BLOCK_BYTES);
const BOMB_BYTES = 64 * BLOCK_BYTES;
const CODERS = { gzip: gzipSync, zstd: zstdCompressSync } as const;
const DECODERS = { gzip: gunzipSync, zstd: zstdDecompressSync } as const;

describe.each(['gzip', 'zstd'] as const)('%s', (contentEncoding) => {
  const encode = CODERS[contentEncoding];
  const put = (block: Buffer) => ({
    fields: { path: 'a', size: block.length, digest: digestOf(block), 'decoded-length': block.length },
    content: { content: encode(block), contentEncoding },
  });

  test('blocks and small files may come compressed; digests are of what they decode to', async () => {
    const client = await (await startTestServer()).login();
    for (const length of [0, 1, 1_000, BLOCK_BYTES]) {
      const block = bytesOf(length);
      const { fields, content } = put(block);
      await client.askOk('put', fields, content);
      expect((await fetched(client, 'a'))?.equals(block)).toBe(true);
    }
    const { upload } = await beginUpload(client, 'b', FILE.length);
    for (const [index, block] of blocksOf(FILE).entries()) {
      const fields = { upload, index, digest: digestOf(block), 'decoded-length': block.length };
      await client.askOk('block', fields, { content: encode(block), contentEncoding });
    }
    expect((await commit(client, upload, FILE)).header['status']).toBe('ok');
    expect((await fetched(client, 'b'))?.equals(FILE)).toBe(true);
  });

  const block = bytesOf(1_000);
  const bomb = encode(Buffer.alloc(BOMB_BYTES));
  test.each<[string, Record<string, unknown>, Buffer]>([
    ['without its length', { 'decoded-length': undefined }, encode(block)],
    ['with a length that is no number', { 'decoded-length': '1000' }, encode(block)],
    ['with a negative length', { 'decoded-length': -1 }, encode(block)],
    ['that is longer than it says', { 'decoded-length': 999 }, encode(block)],
    ['that is shorter than it says', { 'decoded-length': 1_001 }, encode(block)],
    ['that declares more than a block', { 'decoded-length': BLOCK_BYTES + 1 }, encode(block)],
    ['that is cut off', {}, encode(block).subarray(0, 20)],
    ['that is none', {}, Buffer.from('plain text')],
    ['that is a bomb', { 'decoded-length': BLOCK_BYTES }, bomb],
    ['that is a bomb and says it is empty', { 'decoded-length': 0 }, bomb],
  ])('a content %s is refused, and the server lives on', async (_, fields, content) => {
    expect(content.length).toBeLessThan(BLOCK_BYTES);
    const client = await (await startTestServer()).login();
    const answer = await client.ask('put', { ...put(block).fields, ...fields }, { content, contentEncoding });
    expect(answer.header['code']).toBe('bad-request');
    // Nobody may learn how long it would have become: that much memory was never filled.
    expect(answer.header['message']).not.toContain(String(BOMB_BYTES));
    await client.askOk('put', put(block).fields, put(block).content);
  });
});

describe('what a client fetches', () => {
  const noise = randomBytes(BLOCK_BYTES);
  const files = { small: bytesOf(2_000), tiny: bytesOf(1), empty: bytesOf(0), noise, large: FILE };

  /** A client that says `fields` in its hello, and the contents as they come to it. */
  async function fetching(fields: Record<string, unknown>) {
    const client = await (await startTestServer()).login('tester', fields);
    for (const name of ['small', 'tiny', 'empty', 'noise'] as const)
      await putInline(client, name, files[name]);
    const { upload } = await beginUpload(client, 'large', FILE.length);
    for (const [index, block] of blocksOf(FILE).entries())
      await client.askOk('block', { upload, index, digest: digestOf(block) }, { content: block });
    await commit(client, upload, FILE);
    return async (path: keyof typeof files) => {
      const { parts, ...last } = await client.askOk('get', { path });
      return [...parts, last].filter(({ content }) => content.length > 0);
    };
  }

  test.each(['gzip', 'zstd'] as const)(
    'comes in %s where it shrinks, if it decodes that',
    async (encoding) => {
      const contentsOf = await fetching({ encodings: ['br', encoding] });
      for (const path of ['small', 'large'] as const) {
        const contents = await contentsOf(path);
        const decoded = contents.map(({ header, content }) => {
          expect(header['content-encoding']).toBe(encoding);
          expect(content.length).toBeLessThan(Number(header['decoded-length']) / 4);
          return DECODERS[encoding](content);
        });
        expect(decoded.map(({ length }) => length)).toEqual(
          contents.map(({ header }) => header['decoded-length']),
        );
        expect(Buffer.concat(decoded).equals(files[path])).toBe(true);
      }
      for (const path of ['tiny', 'empty', 'noise'] as const) {
        const contents = await contentsOf(path);
        expect(Buffer.concat(contents.map(({ content }) => content)).equals(files[path])).toBe(true);
        for (const { header } of contents) expect(header).not.toHaveProperty('decoded-length');
      }
    },
  );

  test.each([{}, { encodings: [] }, { encodings: ['br', 'identity'] }])(
    'comes as it is, if it says %j',
    async (fields) => {
      const contentsOf = await fetching(fields);
      for (const path of ['small', 'large', 'noise'] as const) {
        const contents = await contentsOf(path);
        expect(contents.map(({ header }) => header['content-encoding'])).toEqual(
          contents.map(() => 'binary'),
        );
        expect(Buffer.concat(contents.map(({ content }) => content)).equals(files[path])).toBe(true);
      }
    },
  );
});

test('a frame that asks for a window of 128 MiB is refused, one of 8 MiB is not', async () => {
  const client = await (await startTestServer()).login();
  const block = Buffer.alloc(BLOCK_BYTES, 'x');
  const fields = { path: 'a', size: block.length, digest: digestOf(block), 'decoded-length': block.length };
  const sent = async (windowLog: number) => {
    const content = zstdFrame(windowLog, 8);
    return (await client.ask('put', fields, { content, contentEncoding: 'zstd' })).header;
  };
  expect(await sent(23)).toMatchObject({ status: 'ok' });
  expect(await sent(27)).toMatchObject({ code: 'bad-request' });
});

test('an encoding that was not offered is refused', async () => {
  const client = await (await startTestServer()).login();
  const fields = { path: 'a', size: 3, digest: digestOf(Buffer.from('abc')), 'decoded-length': 3 };
  const sent = { content: Buffer.from('abc'), contentEncoding: 'br' };
  expect((await client.ask('put', fields, sent)).header['code']).toBe('bad-request');
});
