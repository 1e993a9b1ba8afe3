import { describe, expect, onTestFinished, test } from 'vitest';

import { FileStore } from '../../src/storage/fs/fs-store.ts';
import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { foldingFiles, upperCase } from '../support/folding-files.ts';
import type { RawAnswer, RawClient } from '../support/raw-client.ts';
import { beginUpload, bytesOf, digestOf, putBlocks, putInline, sendBlock } from '../support/raw-upload.ts';
import { startTestServer, temporaryDirectory } from '../support/test-server.ts';

/** What was answered: `ok`, or the code of the error. */
async function outcome(answer: Promise<RawAnswer>): Promise<unknown> {
  const { header } = await answer;
  return header['code'] ?? header['status'];
}

function withQuota(bytes: number) {
  return startTestServer({ users: { tester: { limits: `quota = ${bytes}` } } });
}

describe('of several uploads of one path', () => {
  const size = 2 * BLOCK_BYTES;

  test('one alone takes the place of what stands there', async () => {
    const { login } = await withQuota(3 * BLOCK_BYTES);
    const client = await login();
    await putBlocks(client, 'a', bytesOf(size));
    const first = await beginUpload(client, 'a', size);
    expect(await outcome(client.ask('put', { path: 'a', size }))).toBe('quota-exceeded');
    const open = await beginUpload(client, 'a', null);
    expect(await outcome(sendBlock(client, open.upload, 0, bytesOf(BLOCK_BYTES)))).toBe('ok');
    expect(await outcome(sendBlock(client, open.upload, 1, bytesOf(1)))).toBe('quota-exceeded');
    expect(await outcome(client.ask('abort', { upload: first.upload }))).toBe('ok');
    expect(await outcome(sendBlock(client, open.upload, 1, bytesOf(1)))).toBe('ok');
  });

  test('one still does where its directory was to be made again', async () => {
    const { login } = await withQuota(3 * BLOCK_BYTES);
    const client = await login();
    await putBlocks(client, 'd/a', bytesOf(size));
    await beginUpload(client, 'd/a', size);
    expect(await outcome(client.ask('mkdir', { path: 'd' }))).toBe('ok');
    expect(await outcome(client.ask('put', { path: 'c', size: BLOCK_BYTES + 1 }))).toBe('quota-exceeded');
    expect(await outcome(client.ask('put', { path: 'c', size: BLOCK_BYTES }))).toBe('ok');
  });

  test.each([
    ['removed', BLOCK_BYTES + 1, (client: RawClient) => client.ask('remove', { path: 'd', recursive: true })],
    ['moved away', 1, (client: RawClient) => client.ask('move', { path: 'd/a', to: 'd/b' })],
    ['made smaller', BLOCK_BYTES, (client: RawClient) => putInline(client, 'd/a', bytesOf(1))],
  ])('none does once that was %s', async (_, tooMuch, change) => {
    const { login } = await withQuota(3 * BLOCK_BYTES);
    const client = await login();
    await putBlocks(client, 'd/a', bytesOf(size));
    await beginUpload(client, 'd/a', size);
    expect(await outcome(change(client))).toBe('ok');
    expect(await outcome(client.ask('put', { path: 'c', size: tooMuch }))).toBe('quota-exceeded');
    expect(await outcome(client.ask('put', { path: 'c', size: tooMuch - 1 }))).toBe('ok');
  });
});

test.each([
  ['of another digest', { digest: digestOf(bytesOf(2)) }, 'digest-mismatch'],
  ['too far ahead', { index: 5_000 }, 'bad-request'],
])('a block %s takes nothing of the quota', async (_, fields, code) => {
  const { login } = await withQuota(2 * BLOCK_BYTES);
  const client = await login();
  const { upload } = await beginUpload(client, 'a', null);
  expect(await outcome(sendBlock(client, upload, 1, bytesOf(BLOCK_BYTES), fields))).toBe(code);
  expect(await outcome(putInline(client, 'b', bytesOf(BLOCK_BYTES)))).toBe('ok');
  expect(await outcome(putInline(client, 'c', bytesOf(BLOCK_BYTES)))).toBe('ok');
});

test('a move to the own name in other letters makes no room', async () => {
  const root = await temporaryDirectory();
  const store = await FileStore.open({ root, files: foldingFiles(upperCase) });
  onTestFinished(() => store[Symbol.asyncDispose]());
  const { login } = await startTestServer({ store, users: { tester: { limits: 'quota = 100' } } });
  const client = await login();
  expect(await outcome(putInline(client, 'a', bytesOf(60)))).toBe('ok');
  expect(await outcome(client.ask('move', { path: 'a', to: 'A' }))).toBe('ok');
  expect(await outcome(putInline(client, 'b', bytesOf(60)))).toBe('quota-exceeded');
});
