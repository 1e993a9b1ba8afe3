import { expect, onTestFinished, test } from 'vitest';

import { systemFiles } from '../../src/storage/fs/file-system.ts';
import { FileStore, type FileStoreOptions } from '../../src/storage/fs/fs-store.ts';
import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import {
  beginUpload,
  blocksOf,
  bytesOf,
  commit,
  fileDigestOf,
  putInline,
  sendBlock,
} from '../support/raw-upload.ts';
import { startTestServer, temporaryDirectory } from '../support/test-server.ts';

/** A server with room for one such file, and none for another version of it. */
async function withQuota(bytes: number, options: Partial<FileStoreOptions> = {}) {
  const store = await FileStore.open({
    root: await temporaryDirectory(),
    keepVersionsMs: 86_400_000,
    ...options,
  });
  onTestFinished(() => store[Symbol.asyncDispose]());
  return startTestServer({ store, users: { tester: { limits: `quota = ${bytes}` } } });
}

test('a put of what must be new is told that it is there, also where there is no room for it twice', async () => {
  const { login } = await withQuota(3_000);
  const content = bytesOf(2_000);
  expect((await putInline(await login(), 'f', content, { if: 'absent' })).header['status']).toBe('ok');
  const { header } = await putInline(await login(), 'f', content, { if: 'absent' });
  expect(header).toMatchObject({ code: 'exists', digest: fileDigestOf(content) });
});

test('a commit that is said again while the first is at work gets the same receipt', async () => {
  const reached = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  let isHeld = false;
  const open: typeof systemFiles.open = async (path, flags, mode) => {
    const file = await systemFiles.open(path, flags, mode);
    const sync = async () => {
      if (isHeld) {
        reached.resolve();
        await gate.promise;
      }
      await file.sync();
    };
    return { ...file, sync };
  };
  const { login } = await withQuota(3 * BLOCK_BYTES, { files: { ...systemFiles, open } });
  const [one, other] = [await login(), await login()];
  const content = bytesOf(2 * BLOCK_BYTES);
  const { upload } = await beginUpload(one, 'f', content.length);
  for (const [index, block] of blocksOf(content).entries()) await sendBlock(one, upload, index, block);
  isHeld = true;
  const first = commit(one, upload, content);
  await reached.promise;
  const second = commit(other, upload, content);
  await other.ask('ping', {});
  isHeld = false;
  gate.resolve();
  const { header } = await first;
  expect(header['status']).toBe('ok');
  expect((await second).header).toMatchObject({ status: 'ok', etag: header['etag'] });
});

test('what broke off counts with all that is there, also where it would replace as much', async () => {
  const { login } = await withQuota(4 * BLOCK_BYTES, { keepVersionsMs: 0 });
  const client = await login();
  const content = bytesOf(2 * BLOCK_BYTES);
  const { upload } = await beginUpload(client, 'f', content.length);
  for (const [index, block] of blocksOf(content).entries()) await sendBlock(client, upload, index, block);
  expect((await commit(client, upload, content)).header['status']).toBe('ok');
  const again = await beginUpload(client, 'f', content.length);
  for (const [index, block] of blocksOf(content).entries())
    await sendBlock(client, again.upload, index, block);
  void client.destroy();
  await client.closed;

  // The file and what is left of its successor: nothing is free once the server has seen the client go.
  const later = await login();
  await expect
    .poll(async () => (await later.ask('put', { path: 'g', size: 2 * BLOCK_BYTES })).header['code'])
    .toBe('quota-exceeded');
});

test('nobody waits until all that was in a removed directory is deleted', async () => {
  const reached = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const removeTree: typeof systemFiles.removeTree = async (path) => {
    reached.resolve();
    await gate.promise;
    await systemFiles.removeTree(path);
  };
  const options = { keepVersionsMs: 0, files: { ...systemFiles, removeTree } };
  const { login } = await withQuota(3_000, options);
  const [one, other] = [await login(), await login()];
  await putInline(one, 'a/file', bytesOf(2_000));
  const removing = one.ask('remove', { path: 'a', recursive: true });
  await reached.promise;
  // Also of the same name.
  for (const path of ['small', 'a'])
    expect((await putInline(other, path, bytesOf(100))).header['status']).toBe('ok');
  // It takes its room until it is gone.
  expect((await putInline(other, 'large', bytesOf(2_000))).header['code']).toBe('quota-exceeded');
  gate.resolve();
  expect((await removing).header['status']).toBe('ok');
  expect((await putInline(other, 'large', bytesOf(2_000))).header['status']).toBe('ok');
});
