import { describe, expect, test } from 'vitest';

import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { blockDigest } from '../../src/transfer/digests.ts';
import { bytesOf, digestOf, fetched, fileDigestOf, putInline } from '../support/raw-upload.ts';
import { startTestServer } from '../support/test-server.ts';

const SMALL = bytesOf(1_000);

describe('a put inline', () => {
  test.each([0, 1, BLOCK_BYTES - 1, BLOCK_BYTES])('a file of %i bytes', async (length) => {
    const client = await (await startTestServer()).login();
    const content = bytesOf(length);
    const { header } = await putInline(client, 'deep/down/file', content, { 'mtime-ms': 1_000, mode: 0o640 });
    expect(header).toMatchObject({
      status: 'ok',
      path: 'deep/down/file',
      size: length,
      digest: fileDigestOf(content),
      'mtime-ms': 1_000,
      durability: 'disk',
      etag: expect.any(String),
    });
    expect((await fetched(client, 'deep/down/file'))?.equals(content)).toBe(true);
    const { header: stat } = await client.askOk('stat', { path: 'deep/down/file' });
    expect(stat).toMatchObject({ mode: 0o640, etag: header['etag'] });
  });

  test.each([
    ['another size', { size: 999 }, 'bad-request'],
    ['no size', { size: null }, 'bad-request'],
    ['a wrong digest', { digest: digestOf(Buffer.from('other')) }, 'digest-mismatch'],
    ['a digest of another form', { digest: 'sha256:123' }, 'bad-request'],
    ['no digest', { digest: undefined }, 'bad-request'],
    ['the condition match without etag', { if: 'match' }, 'bad-request'],
    ['a path that climbs', { path: '../a' }, 'bad-name'],
    ["one of the server's own names", { path: '.sealift/x' }, 'bad-name'],
    ['the root as its path', { path: '' }, 'bad-name'],
    ['a size beyond all files', { size: 2 ** 44 + 1 }, 'too-large'],
  ])('with %s is refused and leaves nothing', async (_, fields, code) => {
    const client = await (await startTestServer()).login();
    expect((await putInline(client, 'a', SMALL, fields)).header).toMatchObject({ status: 'error', code });
    const { content } = await client.askOk('list', { path: '', recursive: true });
    expect(content.toString()).toBe('{"entries":[]}');
  });

  test.each(['sha256', 'blake3'] as const)(
    'may be checked by either digest, and the receipt is by that of the connection: %s',
    async (connection) => {
      const client = await (await startTestServer()).login('tester', { digest: connection });
      const receipt = `${connection}-1m:${blockDigest(connection, blockDigest(connection, SMALL)).toString('hex')}`;
      for (const algorithm of ['sha256', 'blake3'] as const) {
        const digest = `${algorithm}:${blockDigest(algorithm, SMALL).toString('hex')}`;
        expect((await putInline(client, 'a', SMALL, { digest })).header).toMatchObject({
          status: 'ok',
          digest: receipt,
        });
      }
      expect((await client.askOk('stat', { path: 'a', digest: true })).header['digest']).toBe(receipt);
    },
  );
});
