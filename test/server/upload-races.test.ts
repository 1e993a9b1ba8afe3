import { connect as connectSocket } from 'node:net';
import { zstdCompressSync } from 'node:zlib';
import { expect, test } from 'vitest';

import { SealiftError } from '../../src/errors.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import type { StoredUpload } from '../../src/storage/store.ts';
import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import type { RawClient } from '../support/raw-client.ts';
import {
  beginUpload,
  blocksOf,
  bytesOf,
  commit,
  digestOf,
  fetched,
  fileDigestOf,
  heldIn,
  sendBlock,
} from '../support/raw-upload.ts';
import { startTestServer, tokenOf, type TestServerOptions } from '../support/test-server.ts';

const FILE = bytesOf(2.5 * BLOCK_BYTES);
const BLOCKS = blocksOf(FILE) as [Buffer, Buffer, Buffer];
const KEY = { 'resume-key': '0123456789abcdef0123456789abcdef' };
const BROKEN = new SealiftError('internal', 'The disk is broken.');

/** A store that says which data files are open, and in which a test steps in before each write and publication. */
class WatchedStore extends MemoryStore {
  readonly opened = new Set<StoredUpload>();
  maxOpened = 0;
  beforeOpen = async (_signal: AbortSignal | undefined): Promise<void> => undefined;
  beforeWrite = async (_index: number): Promise<void> => undefined;
  beforePublish = async (): Promise<void> => undefined;

  override async openUpload(...args: Parameters<MemoryStore['openUpload']>): Promise<StoredUpload> {
    await this.beforeOpen(args[1].signal);
    const upload = await super.openUpload(...args);
    this.opened.add(upload);
    this.maxOpened = Math.max(this.maxOpened, this.opened.size);
    const closed = () => void this.opened.delete(upload);
    return {
      base: upload.base,
      held: upload.held,
      write: async (index, content) => {
        await this.beforeWrite(index);
        await upload.write(index, content);
      },
      publish: async (...publication) => {
        closed();
        await this.beforePublish();
        return upload.publish(...publication);
      },
      close: () => upload.close().finally(closed),
      discard: () => upload.discard().finally(closed),
    };
  }
}

/** A step that a test waits for and lets go on or fail. */
function step() {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  const pass = () => {
    reached.resolve();
    return opened.promise;
  };
  return { reached: reached.promise, open: opened.resolve, fail: opened.reject, pass };
}

async function start(options: TestServerOptions = {}) {
  const store = new WatchedStore();
  const server = await startTestServer({ ...options, store });
  return { ...server, store, client: await server.login(), other: await server.login() };
}

async function sendAll(client: RawClient, upload: string): Promise<void> {
  for (const [index, block] of BLOCKS.entries()) await sendBlock(client, upload, index, block);
}

test('a take-over waits for a commit that came while another one was failing', async () => {
  const { store, client, other } = await start();
  const { upload } = await beginUpload(client, 'a', FILE.length, KEY);
  await sendAll(client, upload);
  const [first, second] = [step(), step()];
  const steps = [first, second];
  store.beforePublish = () => steps.shift()?.pass() ?? Promise.resolve();
  const failing = commit(client, upload, FILE);
  await first.reached;
  const succeeding = commit(client, upload, FILE);
  await other.askOk('ping');
  await client.askOk('ping');
  const beginning = beginUpload(other, 'a', FILE.length, KEY);
  await client.askOk('ping');
  await client.askOk('ping');
  first.fail(BROKEN);
  expect((await failing).header['code']).toBe('internal');
  await second.reached;
  await client.askOk('ping');
  second.open();
  expect((await succeeding).header['status']).toBe('ok');
  // Nothing was left to go on with.
  expect((await beginning).base).toBe('none');
  expect((await fetched(client, 'a'))?.equals(FILE)).toBe(true);
});

test('a take-over waits for data that is being opened though nobody writes any more', async () => {
  const { store, client, other: watcher, address, connect, login } = await start();
  const { upload } = await beginUpload(client, 'a', FILE.length, KEY);
  await client.destroy();
  while (store.opened.size > 0) await watcher.askOk('ping');
  const socket = connectSocket((address as { port: number }).port, '127.0.0.1');
  const other = await connect({ socket });
  await other.hello({ token: tokenOf('tester') });
  const [third, fourth] = [await login(), await login()];
  const [first, second] = [step(), step()];
  const steps = [first, second];
  let isGivenUp = false;
  store.beforeOpen = (signal) => {
    signal?.addEventListener('abort', () => (isGivenUp = true));
    return steps.shift()?.pass() ?? Promise.resolve();
  };
  other.send({ action: 'block', upload, index: 0, digest: digestOf(BLOCKS[0]) }, { content: BLOCKS[0] });
  await first.reached;
  // A client that only ended its side would still wait for its answer.
  socket.resetAndDestroy();
  while (!isGivenUp) await third.askOk('ping');
  const refused = await sendBlock(third, upload, 0, BLOCKS[0], { digest: digestOf(BLOCKS[1]) });
  expect(refused.header['code']).toBe('digest-mismatch');
  // It was given up since its client had gone, and is begun again for the one that has come.
  first.fail(new SealiftError('cancelled', 'Nobody works with the upload any more.'));
  await second.reached;
  const beginning = beginUpload(fourth, 'a', FILE.length, KEY);
  await fourth.askOk('ping');
  await fourth.askOk('ping');
  second.open();
  const { upload: taken } = await beginning;
  await sendAll(fourth, taken);
  expect((await commit(fourth, taken, FILE)).header['status']).toBe('ok');
  expect(store.opened.size).toBe(0);
});

test('of commits said at once each gets the receipt', async () => {
  const { client } = await start();
  const { upload } = await beginUpload(client, 'a', FILE.length);
  await sendAll(client, upload);
  const answers = await Promise.all([1, 2, 3].map(() => commit(client, upload, FILE)));
  for (const { header } of answers)
    expect(header).toMatchObject({ status: 'ok', digest: fileDigestOf(FILE) });
});

test('data that was lost while nobody worked with it is never taken for held', async () => {
  const { store, client, other, server } = await start();
  const { upload } = await beginUpload(client, 'a', FILE.length);
  await sendBlock(client, upload, 0, BLOCKS[0]);
  await client.destroy();
  while (server.connectionCount > 1) await other.askOk('ping');
  for await (const { key } of store.uploads()) await store.discardUpload(key);
  await sendBlock(other, upload, 1, BLOCKS[1]);
  await sendBlock(other, upload, 2, BLOCKS[2]);
  const answer = await commit(other, upload, FILE);
  expect(answer.header['code']).toBe('incomplete');
  expect(heldIn(answer)).toEqual(['', digestOf(BLOCKS[1]), digestOf(BLOCKS[2])]);
  await sendBlock(other, upload, 0, BLOCKS[0]);
  expect((await commit(other, upload, FILE)).header['status']).toBe('ok');
});

test('data that is lost before a commit is asked for again', async () => {
  const { store, client, other, server } = await start();
  const { upload } = await beginUpload(client, 'a', FILE.length);
  await sendAll(client, upload);
  await client.destroy();
  while (server.connectionCount > 1) await other.askOk('ping');
  for await (const { key } of store.uploads()) await store.discardUpload(key);
  expect((await commit(other, upload, FILE)).header['code']).toBe('incomplete');
  await sendAll(other, upload);
  expect((await commit(other, upload, FILE)).header['status']).toBe('ok');
});

test('a write that fails late does not forget the data file that was opened since', async () => {
  const { store, client, server } = await start();
  const { upload } = await beginUpload(client, 'a', FILE.length);
  const [early, late] = [step(), step()];
  const steps = [early, late];
  store.beforeWrite = () => steps.shift()?.pass() ?? Promise.resolve();
  const writing = [0, 1].map((index) => sendBlock(client, upload, index, BLOCKS[index]!));
  await Promise.all([early.reached, late.reached]);
  early.fail(BROKEN);
  // It is answered after those before it only, so that its own answer cannot be waited for here.
  const third = sendBlock(client, upload, 2, BLOCKS[2]);
  await client.askOk('ping');
  late.fail(BROKEN);
  await Promise.all([...writing, third]);
  await sendAll(client, upload);
  expect(store.opened.size).toBe(1);
  expect((await commit(client, upload, FILE)).header['status']).toBe('ok');
  await server.close();
  expect(store.opened.size).toBe(0);
});

test('of many uploads only so many keep their data open, and all can be gone on with', async () => {
  const { store, client } = await start({ maxOpenUploadFiles: 3 });
  const uploads: string[] = [];
  for (let n = 0; n < 10; n += 1) {
    const { upload } = await beginUpload(client, `file ${n}`, n % 2 === 0 ? null : FILE.length);
    uploads.push(upload);
    await sendBlock(client, upload, 0, BLOCKS[0]);
  }
  for (const index of [2, 1])
    for (const upload of uploads) await sendBlock(client, upload, index, BLOCKS[index]!);
  for (const upload of uploads) expect((await commit(client, upload, FILE)).header['status']).toBe('ok');
  // One is opened before another is closed.
  expect(store.maxOpened).toBeLessThanOrEqual(4);
});

test('compressed blocks weigh what they become: no more than four are worked on at once', async () => {
  const { store, client, other } = await start();
  const zeros = Buffer.alloc(BLOCK_BYTES);
  const content = zstdCompressSync(zeros);
  const { upload } = await beginUpload(client, 'a', 20 * BLOCK_BYTES);
  const held = step();
  let writing = 0;
  store.beforeWrite = () => {
    writing += 1;
    return held.pass();
  };
  const ids = Array.from({ length: 20 }, (_, index) => {
    const fields = { upload, index, digest: digestOf(zeros), 'decoded-length': BLOCK_BYTES };
    return client.begin('block', fields, { content, contentEncoding: 'zstd' });
  });
  for (let round = 0; round < 100 || writing < 4; round += 1) await other.askOk('ping');
  expect(writing).toBe(4);
  held.open();
  for (const id of ids) expect((await client.answer(id)).header['status']).toBe('ok');
});

test('what is sent behind a compressed block comes behind it, though that has to be decoded', async () => {
  const { client } = await start();
  for (let round = 0; round < 5; round += 1) {
    const { upload } = await beginUpload(client, `a${round}`, FILE.length);
    const compressed = [0, 1].map((index) => {
      const block = BLOCKS[index]!;
      const fields = { upload, index, digest: digestOf(block), 'decoded-length': block.length };
      return client.begin('block', fields, {
        content: zstdCompressSync(block),
        contentEncoding: 'zstd',
      });
    });
    const plain = client.begin(
      'block',
      { upload, index: 2, digest: digestOf(BLOCKS[2]) },
      { content: BLOCKS[2] },
    );
    const end = client.begin('commit', { upload, size: FILE.length, digest: fileDigestOf(FILE) });
    for (const id of [...compressed, plain, end])
      expect((await client.answer(id)).header).toMatchObject({ status: 'ok' });
  }
});
