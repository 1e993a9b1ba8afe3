import { queryObjects } from 'node:v8';

import { expect, it } from 'vitest';

import { Upload } from '../../src/server/upload.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { beginUpload, blocksOf, bytesOf, commit, sendBlock } from '../support/raw-upload.ts';
import { startTestServer } from '../support/test-server.ts';

const TIMES = 20;
/** The last one of each connection may still be known to it. */
const AT_MOST = 3;

const uploadsInMemory = () => queryObjects(Upload, { format: 'count' });

it('leaves nothing of an upload with a connection that only sent a block of it', async () => {
  const { login } = await startTestServer({ store: new MemoryStore() });
  const [one, other] = [await login(), await login()];
  const content = bytesOf(BLOCK_BYTES + 1);
  const [first = content, second = content] = blocksOf(content);
  for (let count = 0; count < TIMES; count += 1) {
    const { upload } = await beginUpload(one, 'f', content.length);
    expect((await sendBlock(one, upload, 0, first)).header['status']).toBe('ok');
    expect((await sendBlock(other, upload, 1, second)).header['status']).toBe('ok');
    expect((await commit(one, upload, content)).header['status']).toBe('ok');
  }
  expect(uploadsInMemory()).toBeLessThanOrEqual(AT_MOST);
});

it('leaves nothing of an upload with the connection that took it over', async () => {
  const { login } = await startTestServer({ store: new MemoryStore() });
  const client = await login();
  for (let count = 0; count < TIMES; count += 1)
    await beginUpload(client, 'f', 5 * BLOCK_BYTES, { 'resume-key': 'a'.repeat(32) });
  expect(uploadsInMemory()).toBeLessThanOrEqual(AT_MOST);
});
