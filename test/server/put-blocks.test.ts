import { describe, expect, test } from 'vitest';

import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { blockDigest } from '../../src/transfer/digests.ts';
import { GatedStore } from '../support/gated-store.ts';
import {
  beginUpload,
  blocksOf,
  bytesOf,
  commit,
  digestOf,
  fetched,
  fileDigestOf,
  heldIn,
  putBlocks,
  putInline,
  sendBlock,
} from '../support/raw-upload.ts';
import { startTestServer } from '../support/test-server.ts';

const NOTHING = Buffer.alloc(0);
const SMALL = bytesOf(1_000);
/** Two and a half blocks. */
const LARGE = bytesOf(2.5 * BLOCK_BYTES);

/** A client that has sent the first block of a file, which is being written until the gate is opened. */
async function writingFirstBlock() {
  const store = new GatedStore();
  const client = await (await startTestServer({ store })).login();
  const { upload } = await beginUpload(client, 'a', LARGE.length);
  const gate = store.hold('write 0');
  const [content = NOTHING] = blocksOf(LARGE);
  const id = client.begin('block', { upload, index: 0, digest: digestOf(content) }, { content });
  return { client, upload, content, id, gate };
}

describe('in blocks', () => {
  test.each([0, 1, BLOCK_BYTES, BLOCK_BYTES + 1, LARGE.length])('a file of %i bytes', async (length) => {
    const client = await (await startTestServer()).login();
    const content = bytesOf(length);
    const { header } = await putBlocks(client, 'a', content, { 'mtime-ms': 5 });
    expect(header).toMatchObject({ path: 'a', size: length, digest: fileDigestOf(content), 'mtime-ms': 5 });
    expect((await fetched(client, 'a'))?.equals(content)).toBe(true);
  });

  test('nothing stands under the name before the commit', async () => {
    const client = await (await startTestServer()).login();
    const { upload } = await beginUpload(client, 'a', LARGE.length);
    for (const [index, block] of blocksOf(LARGE).entries()) await sendBlock(client, upload, index, block);
    expect(await fetched(client, 'a')).toBeUndefined();
    await commit(client, upload, LARGE);
    expect((await fetched(client, 'a'))?.equals(LARGE)).toBe(true);
  });

  test('that a block was received is told while it is being written', async () => {
    const { client, upload, content, id, gate } = await writingFirstBlock();
    const { header } = await client.take(({ header }) => header['id'] === id);
    expect(header).toMatchObject({ status: 'progress', received: true });
    gate.open();
    expect((await client.answer(id)).header['status']).toBe('ok');
    const wrong = client.begin('block', { upload, index: 1, digest: digestOf(NOTHING) }, { content });
    expect((await client.take(({ header }) => header['id'] === wrong)).header['status']).toBe('error');
  });

  test('no block is said to be held before it is written', async () => {
    const { client, id, gate } = await writingFirstBlock();
    await gate.reached();
    // Answers to what came later come later.
    await client.askOk('ping');
    const told = client.messages.filter(({ header }) => header['id'] === id);
    expect(told.map(({ header }) => header['status'])).toEqual(['progress']);
    gate.open();
    expect((await client.answer(id)).header).toMatchObject({ status: 'ok', held: BLOCK_BYTES });
  });

  const block = blocksOf(LARGE)[0]!;
  const last = blocksOf(LARGE)[2]!;
  test.each<[string, number, Buffer, Record<string, unknown>, string]>([
    ['beyond the size', 3, block, {}, 'bad-request'],
    ['far beyond the size', 1_000_000, block, {}, 'bad-request'],
    ['beyond all sizes', 2 ** 24, block, {}, 'bad-request'],
    ['before the first', -1, block, {}, 'bad-request'],
    ['that is too short', 0, last, {}, 'bad-request'],
    ['that is empty', 0, Buffer.alloc(0), {}, 'bad-request'],
    ['that is too long for the last', 2, block, {}, 'bad-request'],
    ['with the digest of another', 0, block, { digest: digestOf(last) }, 'digest-mismatch'],
    ['with no digest', 0, block, { digest: undefined }, 'bad-request'],
    ['of an upload that nobody began', 0, block, { upload: 'A'.repeat(22) }, 'unknown-upload'],
    ['of what cannot be an upload', 0, block, { upload: '../../etc' }, 'unknown-upload'],
  ])('a block %s is refused alone', async (_, index, content, fields, code) => {
    const client = await (await startTestServer()).login();
    const { upload } = await beginUpload(client, 'a', LARGE.length);
    const { header } = await sendBlock(client, upload, index, content, fields);
    expect(header).toMatchObject({ status: 'error', code });
    for (const [right, each] of blocksOf(LARGE).entries()) await sendBlock(client, upload, right, each);
    expect((await commit(client, upload, LARGE)).header['status']).toBe('ok');
  });

  test('the refusal of a block names the upload and the block', async () => {
    const client = await (await startTestServer()).login();
    const { upload } = await beginUpload(client, 'a', LARGE.length);
    const digest = digestOf(last);
    const { header } = await sendBlock(client, upload, 1, block, { digest });
    expect(header).toMatchObject({ code: 'digest-mismatch', upload, index: 1, retryable: true });
    // Also when it bears no id.
    client.send({ action: 'block', upload, index: 1, digest }, { content: block });
    expect((await client.take()).header).toMatchObject({ code: 'digest-mismatch', upload, index: 1 });
    const encoded = { content: Buffer.from('no zstd'), contentEncoding: 'zstd' };
    client.send({ action: 'block', upload, index: 2, digest, 'decoded-length': 7 }, encoded);
    expect((await client.take()).header).toMatchObject({ code: 'bad-request', upload, index: 2 });
    const unknown = 'B'.repeat(22);
    client.send({ action: 'block', upload: unknown, index: 4, digest }, { content: block });
    expect((await client.take()).header).toMatchObject({ code: 'unknown-upload', upload: unknown, index: 4 });
  });

  test('a block sent twice is harmless, and the second counts if it differs', async () => {
    const client = await (await startTestServer()).login();
    const { upload } = await beginUpload(client, 'a', LARGE.length);
    const [first, ...others] = blocksOf(LARGE) as [Buffer, ...Buffer[]];
    await sendBlock(client, upload, 0, bytesOf(BLOCK_BYTES, 9));
    for (const [index, each] of [first, first, ...others].entries())
      expect((await sendBlock(client, upload, Math.max(0, index - 1), each)).header['status']).toBe('ok');
    expect((await commit(client, upload, LARGE)).header['status']).toBe('ok');
    expect((await fetched(client, 'a'))?.equals(LARGE)).toBe(true);
  });

  test('a block without id is answered by progress', async () => {
    const client = await (await startTestServer()).login();
    const { upload } = await beginUpload(client, 'a', LARGE.length);
    client.send({ action: 'block', upload, index: 2, digest: digestOf(last) }, { content: last });
    const { header } = await client.take();
    expect(header).toMatchObject({ status: 'progress', upload, held: last.length });
    expect(header).not.toHaveProperty('id');
  });

  test('the answer to a block says that those before it are held too', async () => {
    const client = await (await startTestServer()).login();
    const { upload } = await beginUpload(client, 'a', LARGE.length);
    client.send({ action: 'block', upload, index: 0, digest: digestOf(last) }, { content: block });
    const [, second] = blocksOf(LARGE) as [Buffer, Buffer];
    expect((await sendBlock(client, upload, 1, second)).header).toMatchObject({ code: 'incomplete', upload });
    await sendBlock(client, upload, 0, block);
    expect((await sendBlock(client, upload, 2, last)).header).toMatchObject({
      status: 'ok',
      held: LARGE.length,
    });
  });

  test('a commit that lacks blocks tells which are held, and the upload lives on', async () => {
    const client = await (await startTestServer()).login();
    const { upload } = await beginUpload(client, 'a', LARGE.length);
    const [first, second, third] = blocksOf(LARGE) as [Buffer, Buffer, Buffer];
    await sendBlock(client, upload, 0, first);
    await sendBlock(client, upload, 2, third);
    const answer = await commit(client, upload, LARGE);
    expect(answer.header).toMatchObject({ code: 'incomplete', upload, retryable: true });
    expect(heldIn(answer)).toEqual([digestOf(first), '', digestOf(third)]);
    await sendBlock(client, upload, 1, second);
    expect((await commit(client, upload, LARGE)).header['status']).toBe('ok');
  });

  test.each([
    ['another size', { size: LARGE.length - 1 }, 'bad-request'],
    ['a wrong digest', { digest: fileDigestOf(SMALL) }, 'digest-mismatch'],
    ['a digest of another algorithm', { digest: `blake3-1m:${'0'.repeat(64)}` }, 'digest-mismatch'],
  ])('a commit with %s is refused, and the right one follows', async (_, fields, code) => {
    const client = await (await startTestServer()).login();
    const { upload } = await beginUpload(client, 'a', LARGE.length);
    for (const [index, each] of blocksOf(LARGE).entries()) await sendBlock(client, upload, index, each);
    expect((await commit(client, upload, LARGE, fields)).header).toMatchObject({ code });
    expect(await fetched(client, 'a')).toBeUndefined();
    expect((await commit(client, upload, LARGE)).header['status']).toBe('ok');
  });

  test('an aborted upload is gone', async () => {
    const { login, store } = await startTestServer();
    const client = await login();
    const { upload } = await beginUpload(client, 'a', LARGE.length);
    await sendBlock(client, upload, 0, block);
    await client.askOk('abort', { upload });
    expect(await Array.fromAsync(store.uploads())).toEqual([]);
    for (const answer of [
      await sendBlock(client, upload, 1, block),
      await commit(client, upload, LARGE),
      await client.ask('abort', { upload }),
    ])
      expect(answer.header['code']).toBe('unknown-upload');
  });

  test('so is one that has nowhere to go any more', async () => {
    const { login, store } = await startTestServer();
    const client = await login();
    const { upload } = await beginUpload(client, 'directory/a', SMALL.length);
    await sendBlock(client, upload, 0, SMALL);
    await putInline(client, 'directory', SMALL);
    expect((await commit(client, upload, SMALL)).header['code']).toBe('not-directory');
    await client.askOk('abort', { upload });
    expect(await Array.fromAsync(store.uploads())).toEqual([]);
    expect((await client.ask('abort', { upload })).header['code']).toBe('unknown-upload');
  });

  test('blocks may be checked by one digest and the file by another', async () => {
    const client = await (await startTestServer()).login('tester', { digest: 'blake3' });
    const { upload } = await beginUpload(client, 'a', LARGE.length);
    for (const [index, each] of blocksOf(LARGE).entries()) await sendBlock(client, upload, index, each);
    expect((await commit(client, upload, LARGE)).header['code']).toBe('digest-mismatch');
    const { parts } = await client.ask('commit', {
      upload,
      size: LARGE.length,
      digest: `blake3-1m:${'0'.repeat(64)}`,
    });
    expect(parts).toEqual([]);
    const raw = blocksOf(LARGE).map((each) => blockDigest('blake3', each));
    const digest = `blake3-1m:${blockDigest('blake3', Buffer.concat(raw)).toString('hex')}`;
    await client.askOk('commit', { upload, size: LARGE.length, digest });
  });
});

describe('of unknown size', () => {
  test.each([0, 1, BLOCK_BYTES, LARGE.length])('%i bytes', async (length) => {
    const client = await (await startTestServer()).login();
    const content = bytesOf(length);
    const { upload } = await beginUpload(client, 'a', null);
    for (const [index, each] of blocksOf(content).entries()) await sendBlock(client, upload, index, each);
    expect((await commit(client, upload, content)).header).toMatchObject({ status: 'ok', size: length });
    expect((await fetched(client, 'a'))?.equals(content)).toBe(true);
  });

  test('only the last block may be short, and it ends the file', async () => {
    const client = await (await startTestServer()).login();
    const [first, second, third] = blocksOf(LARGE) as [Buffer, Buffer, Buffer];
    const { upload } = await beginUpload(client, 'a', null);
    await sendBlock(client, upload, 0, first);
    await sendBlock(client, upload, 1, third);
    for (const [index, block] of [
      [0, third],
      [2, third],
      [2, second],
    ] as const)
      expect((await sendBlock(client, upload, index, block)).header).toMatchObject({
        code: 'bad-request',
        upload,
        index,
      });
    expect((await commit(client, upload, LARGE)).header['code']).toBe('incomplete');
    await sendBlock(client, upload, 1, second);
    await sendBlock(client, upload, 2, third);
    const longer = Buffer.concat([LARGE, Buffer.alloc(1)]);
    expect((await commit(client, upload, longer)).header['code']).toBe('incomplete');
    expect((await commit(client, upload, LARGE)).header['status']).toBe('ok');
  });

  test('what is refused because its way is blocked changes nothing of what is held', async () => {
    const client = await (await startTestServer()).login();
    const { upload } = await beginUpload(client, 'a/a', null);
    for (const [index, each] of blocksOf(LARGE).entries()) await sendBlock(client, upload, index, each);
    await putInline(client, 'a', SMALL);
    expect((await commit(client, upload, LARGE)).header['code']).toBe('not-directory');
    const other = bytesOf(BLOCK_BYTES + 1).subarray(1);
    expect((await sendBlock(client, upload, 0, other)).header['code']).toBe('not-directory');
    await client.askOk('remove', { path: 'a' });
    expect((await commit(client, upload, LARGE)).header).toMatchObject({ status: 'ok' });
    expect((await fetched(client, 'a/a'))?.equals(LARGE)).toBe(true);
  });

  test('short blocks that come at once are one', async () => {
    const client = await (await startTestServer()).login();
    const { upload } = await beginUpload(client, 'a', null);
    const answers = await Promise.all([3, 2, 1, 0].map((index) => sendBlock(client, upload, index, SMALL)));
    expect(answers.filter(({ header }) => header['status'] === 'ok')).toHaveLength(1);
  });

  test('a block may be only so far ahead of what is held', async () => {
    const client = await (await startTestServer()).login();
    const { upload } = await beginUpload(client, 'a', null);
    expect((await sendBlock(client, upload, 4_097, SMALL)).header['code']).toBe('bad-request');
    expect((await sendBlock(client, upload, 4_096, SMALL)).header['status']).toBe('ok');
  });

  test('a last block that is longer than the size says is not cut to it', async () => {
    const client = await (await startTestServer()).login();
    const whole = bytesOf(3 * BLOCK_BYTES);
    const { upload } = await beginUpload(client, 'a', null);
    for (const [index, each] of blocksOf(whole).entries()) await sendBlock(client, upload, index, each);
    const answer = await commit(client, upload, whole, { size: LARGE.length });
    expect(answer.header['code']).toBe('incomplete');
    expect((await commit(client, upload, whole)).header['status']).toBe('ok');
  });
});
