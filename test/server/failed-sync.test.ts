import { beforeEach, expect, onTestFinished, test } from 'vitest';

import { FileStore } from '../../src/storage/fs/fs-store.ts';
import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { FaultyFiles } from '../support/faulty-files.ts';
import type { RawClient } from '../support/raw-client.ts';
import {
  beginUpload,
  blocksOf,
  bytesOf,
  commit,
  fetched,
  fileDigestOf,
  heldIn,
  sendBlock,
} from '../support/raw-upload.ts';
import { startTestServer, temporaryDirectory } from '../support/test-server.ts';

const FILE = bytesOf(1.5 * BLOCK_BYTES);
const BLOCKS = blocksOf(FILE) as [Buffer, Buffer];
const KEY = { 'resume-key': '0123456789abcdef0123456789abcdef' };
// No more than the file: what was lost must not be counted beside what is sent in its place.
const users = { tester: { limits: `quota = ${FILE.length}` } };

let files: FaultyFiles;
let client: RawClient;
beforeEach(async () => {
  files = new FaultyFiles();
  const store = await FileStore.open({ root: await temporaryDirectory(), files });
  onTestFinished(() => store[Symbol.asyncDispose]());
  const server = await startTestServer({ store, users });
  client = await server.login();
});

/** An upload that was sent whole, and whose data did not reach the disk when it was committed, with what it took to write that. */
async function lostUpload(): Promise<{ upload: string; written: string[] }> {
  const { upload } = await beginUpload(client, 'file', FILE.length, KEY);
  await sendAll(upload);
  const written = writtenAndSynced();
  files.failNamed('file.sync', 'EIO');
  expect((await commit(client, upload, FILE)).header).toMatchObject({ code: 'internal', retryable: true });
  files.heal();
  return { upload, written };
}

async function sendAll(upload: string): Promise<void> {
  for (const [index, block] of BLOCKS.entries()) await sendBlock(client, upload, index, block);
}

/** How often data was written, and how often synced, before the file got its name. */
function writtenAndSynced(): string[] {
  const names = files.calls.map(({ name, path }) => `${name} ${path}`);
  const named = names.findIndex((call) => call.startsWith('rename'));
  return names
    .slice(0, named < 0 ? undefined : named)
    .filter((call) => /^file\.(write|sync) .*\/uploads\//.test(call))
    .map((call) => call.split(' ')[0] ?? '');
}

test('a commit whose sync failed gives no receipt until all was sent again and is synced', async () => {
  const { upload, written } = await lostUpload();
  const answer = await commit(client, upload, FILE);
  expect(answer.header['code']).toBe('incomplete');
  expect(heldIn(answer).filter((digest) => digest !== '')).toEqual([]);
  files.heal();
  await sendAll(upload);
  expect((await commit(client, upload, FILE)).header).toMatchObject({
    status: 'ok',
    digest: fileDigestOf(FILE),
    durability: 'disk',
  });
  expect(writtenAndSynced()).toEqual([...written, 'file.sync']);
  expect((await fetched(client, 'file'))?.equals(FILE)).toBe(true);
});

test('a block that comes again after it is written again, and not taken for held', async () => {
  const { upload, written } = await lostUpload();
  await sendAll(upload);
  expect((await commit(client, upload, FILE)).header['status']).toBe('ok');
  expect(writtenAndSynced()).toEqual([...written, 'file.sync']);
});

test('an upload that takes the data over starts from nothing', async () => {
  await lostUpload();
  const { upload, base, held } = await beginUpload(client, 'file', FILE.length, KEY);
  expect({ base, held: held.filter((digest) => digest !== '') }).toEqual({ base: 'none', held: [] });
  await sendAll(upload);
  expect((await commit(client, upload, FILE)).header['status']).toBe('ok');
});
