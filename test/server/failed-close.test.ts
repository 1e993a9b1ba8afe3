import { expect, onTestFinished, test } from 'vitest';

import { FileStore } from '../../src/storage/fs/fs-store.ts';
import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { FaultyFiles } from '../support/faulty-files.ts';
import { beginUpload, blocksOf, bytesOf, commit, fetched, heldIn, sendBlock } from '../support/raw-upload.ts';
import { startTestServer, temporaryDirectory } from '../support/test-server.ts';

const KEY = { 'resume-key': '7'.repeat(32) };
const CONTENT = bytesOf(2 * BLOCK_BYTES);
const [FIRST, SECOND] = blocksOf(CONTENT) as [Buffer, Buffer];

test('what a file that could not be closed held is not believed, and is sent again', async () => {
  const files = new FaultyFiles();
  const store = await FileStore.open({ root: await temporaryDirectory(), files });
  onTestFinished(() => store[Symbol.asyncDispose]());
  const { login } = await startTestServer({ store });
  const leaving = await login();
  const before = await beginUpload(leaving, 'file', CONTENT.length, KEY);
  await sendBlock(leaving, before.upload, 0, FIRST);
  files.heal(({ name, path }) => (name === 'file.close' && path.includes('/uploads/') ? 'EIO' : undefined));
  await leaving.destroy();

  const client = await login();
  const begin = () => client.ask('put', { path: 'file', size: CONTENT.length, ...KEY });
  let begun = await begin();
  // Told to whoever takes the upload over, if it is not closed before that.
  while (begun.header['code'] === 'internal') begun = await begin();
  expect(heldIn(begun)).toEqual([]);
  files.heal();
  const upload = begun.header['upload'] as string;
  for (const [index, block] of [FIRST, SECOND].entries()) await sendBlock(client, upload, index, block);
  expect((await commit(client, upload, CONTENT)).header['status']).toBe('ok');
  expect((await fetched(client, 'file'))?.equals(CONTENT)).toBe(true);
});
