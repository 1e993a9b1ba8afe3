import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';

import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { beginUpload, blocksOf, bytesOf, commit, digestOf, fetched } from '../support/raw-upload.ts';
import { startTestServer } from '../support/test-server.ts';

const FILE = bytesOf(1.5 * BLOCK_BYTES);
const BOMB_BYTES = 64 * BLOCK_BYTES;
const CODERS = { gzip: gzipSync, zstd: zstdCompressSync } as const;

describe.each(['gzip', 'zstd'] as const)('%s', (contentEncoding) => {
  const encode = CODERS[contentEncoding];
  const put = (block: Buffer) => ({
    fields: { path: 'a', size: block.length, digest: digestOf(block), 'decoded-length': block.length },
    content: { content: encode(block), contentEncoding },
  });

  test('blocks and small files may come compressed; digests are of what they decode to', async () => {
    const client = await (await startTestServer()).login('tester', { encodings: [contentEncoding] });
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

test('an encoding that was not offered is refused', async () => {
  const client = await (await startTestServer()).login();
  const fields = { path: 'a', size: 3, digest: digestOf(Buffer.from('abc')), 'decoded-length': 3 };
  const sent = { content: Buffer.from('abc'), contentEncoding: 'br' };
  expect((await client.ask('put', fields, sent)).header['code']).toBe('bad-request');
});
