import { describe, expect, test } from 'vitest';

import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import {
  beginUpload,
  blocksOf,
  bytesOf,
  commit,
  digestOf,
  fetched,
  putBlocks,
  sendBlock,
} from '../support/raw-upload.ts';
import { startTestServer } from '../support/test-server.ts';

const FILE = bytesOf(2.5 * BLOCK_BYTES);
const BLOCKS = blocksOf(FILE) as [Buffer, Buffer, Buffer];
const DIGESTS = BLOCKS.map(digestOf);
const KEY = { 'resume-key': '0123456789abcdef0123456789abcdef' };

describe('the base', () => {
  const changed = Buffer.concat([BLOCKS[0], bytesOf(BLOCK_BYTES, 5), BLOCKS[2]]);

  test('existing: only what differs has to be sent', async () => {
    const { login } = await startTestServer();
    const client = await login();
    await putBlocks(client, 'a', FILE);
    const { upload, base, held } = await beginUpload(client, 'a', changed.length, { base: 'existing' });
    expect({ base, held }).toEqual({ base: 'existing', held: DIGESTS });
    await sendBlock(client, upload, 1, changed.subarray(BLOCK_BYTES, 2 * BLOCK_BYTES));
    expect((await commit(client, upload, changed)).header['status']).toBe('ok');
    expect((await fetched(client, 'a'))?.equals(changed)).toBe(true);
  });

  test('existing without a file to start from is none', async () => {
    const client = await (await startTestServer()).login();
    const begun = await beginUpload(client, 'a', FILE.length, { base: 'existing' });
    expect(begun).toMatchObject({ base: 'none', held: [] });
  });

  test('existing goes on from a partial upload, where there is one', async () => {
    const client = await (await startTestServer()).login();
    await putBlocks(client, 'a', bytesOf(FILE.length, 3));
    const first = await beginUpload(client, 'a', FILE.length, KEY);
    await sendBlock(client, first.upload, 0, BLOCKS[0]);
    const begun = await beginUpload(client, 'a', FILE.length, { ...KEY, base: 'existing' });
    expect(begun).toMatchObject({ base: 'partial', held: [DIGESTS[0]] });
  });

  test('none starts from nothing, whatever is there', async () => {
    const client = await (await startTestServer()).login();
    const first = await beginUpload(client, 'a', FILE.length, KEY);
    await sendBlock(client, first.upload, 0, BLOCKS[0]);
    const begun = await beginUpload(client, 'a', FILE.length, { ...KEY, base: 'none' });
    expect(begun).toMatchObject({ base: 'none', held: [] });
    expect((await commit(client, begun.upload, FILE)).header['code']).toBe('incomplete');
  });
});
