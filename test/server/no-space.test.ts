import { expect, test } from 'vitest';

import { SealiftError } from '../../src/errors.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import type { Publication, PublishedRecord, StoredUpload } from '../../src/storage/store.ts';
import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import type { RawClient } from '../support/raw-client.ts';
import { beginUpload, blocksOf, bytesOf, commit, fetched, sendBlock } from '../support/raw-upload.ts';
import { startTestServer, type TestServerOptions } from '../support/test-server.ts';

const FILE = bytesOf(2.5 * BLOCK_BYTES);
const BLOCKS = blocksOf(FILE) as [Buffer, Buffer, Buffer];
const KEY = { 'resume-key': '0123456789abcdef0123456789abcdef' };

/** A disk that is full where a test says so; a write that fails has spoilt the block by then. */
class FullStore extends MemoryStore {
  hasRoom = true;
  canDiscard = true;
  /** Called before each block is written. */
  beforeWrite = async (_index: number): Promise<void> => undefined;

  override async openUpload(...args: Parameters<MemoryStore['openUpload']>): Promise<StoredUpload> {
    const upload = await super.openUpload(...args);
    return {
      base: upload.base,
      held: upload.held,
      write: async (index: number, content: Buffer) => {
        await this.beforeWrite(index);
        if (this.hasRoom) return upload.write(index, content);
        await upload.write(index, Buffer.alloc(content.length));
        throw full();
      },
      publish: async (publication: Publication, size: number, record: PublishedRecord & { id: string }) => {
        if (this.hasRoom) return upload.publish(publication, size, record);
        await upload.close();
        throw full();
      },
      close: () => upload.close(),
      discard: () => upload.discard(),
    };
  }

  override async discardUpload(key: string): Promise<void> {
    if (!this.canDiscard) throw new SealiftError('internal', 'The disk is broken.');
    await super.discardUpload(key);
  }

  async kept(): Promise<number> {
    return (await Array.fromAsync(this.uploads())).length;
  }
}

function full(): SealiftError {
  return new SealiftError('no-space', 'The disk of the server is full.');
}

async function start(options: TestServerOptions = {}) {
  const store = new FullStore();
  const server = await startTestServer({ ...options, store });
  return { ...server, store, client: await server.login(), other: await server.login() };
}

async function sendAll(client: RawClient, upload: string): Promise<void> {
  for (const [index, block] of BLOCKS.entries())
    expect((await sendBlock(client, upload, index, block)).header['status']).toBe('ok');
}

const codeOf = ({ header }: { header: Record<string, unknown> }) => header['code'] ?? header['status'];

test('a block without room takes its upload with it, which then answers nothing else', async () => {
  const { store, client, other } = await start();
  const { upload } = await beginUpload(client, 'a', FILE.length, KEY);
  await sendBlock(client, upload, 0, BLOCKS[0]);
  store.hasRoom = false;
  const { header } = await sendBlock(client, upload, 1, BLOCKS[1]);
  expect(header).toMatchObject({ code: 'no-space', retryable: false, upload, index: 1 });
  expect(await store.kept()).toBe(0);
  store.hasRoom = true;
  for (const each of [client, other]) {
    expect(codeOf(await sendBlock(each, upload, 1, BLOCKS[1]))).toBe('no-space');
    expect(codeOf(await commit(each, upload, FILE))).toBe('no-space');
    expect(codeOf(await each.ask('abort', { upload }))).toBe('no-space');
  }
  expect(await store.kept()).toBe(0);
  // The same again begins anew.
  const again = await beginUpload(client, 'a', FILE.length, KEY);
  expect(again).toMatchObject({ base: 'none', held: [] });
  await sendAll(client, again.upload);
  expect(codeOf(await commit(client, again.upload, FILE))).toBe('ok');
  expect((await fetched(client, 'a'))?.equals(FILE)).toBe(true);
});

test('an upload without room is removed once all its writes have ended, whoever sent them', async () => {
  const { store, client, other } = await start();
  const { upload } = await beginUpload(client, 'a', FILE.length);
  const [reached, opened] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  store.beforeWrite = async (index) => {
    if (index !== 0) return;
    reached.resolve();
    await opened.promise;
  };
  const slow = sendBlock(other, upload, 0, BLOCKS[0]);
  await reached.promise;
  store.hasRoom = false;
  const failing = sendBlock(client, upload, 1, BLOCKS[1]);
  for (let round = 0; round < 10; round += 1) await client.askOk('ping');
  store.hasRoom = true;
  opened.resolve();
  expect(codeOf(await failing)).toBe('no-space');
  expect(codeOf(await slow)).toBe('no-space');
  expect(await store.kept()).toBe(0);
});

test('blocks that all meet a full disk are all answered, and nothing is kept', async () => {
  const { store, client, other } = await start();
  store.hasRoom = false;
  const { upload } = await beginUpload(client, 'a', FILE.length);
  const answers = await Promise.all(
    [client, other].flatMap((each) => BLOCKS.map((block, index) => sendBlock(each, upload, index, block))),
  );
  expect(answers.map(codeOf)).toEqual(answers.map(() => 'no-space'));
  expect(await store.kept()).toBe(0);
  expect(codeOf(await client.ask('ping'))).toBe('ok');
});

test('a publication without room removes the upload, and what stood stands', async () => {
  const { store, client } = await start();
  const { upload } = await beginUpload(client, 'a', FILE.length, KEY);
  await sendAll(client, upload);
  store.hasRoom = false;
  expect(codeOf(await commit(client, upload, FILE))).toBe('no-space');
  expect(await store.kept()).toBe(0);
  expect(codeOf(await commit(client, upload, FILE))).toBe('no-space');
  expect(codeOf(await client.ask('stat', { path: 'a' }))).toBe('not-found');
});

test('whoever has taken an upload over keeps it when a write of the one before finds no room', async () => {
  const { store, client, other } = await start();
  const { upload } = await beginUpload(client, 'a', FILE.length, KEY);
  await sendBlock(client, upload, 0, BLOCKS[0]);
  const [reached, opened] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  store.beforeWrite = () => {
    reached.resolve();
    return opened.promise;
  };
  store.hasRoom = false;
  const failing = sendBlock(client, upload, 1, BLOCKS[1]);
  await reached.promise;
  const taking = beginUpload(other, 'a', FILE.length, KEY);
  for (let round = 0; round < 10; round += 1) await client.askOk('ping');
  opened.resolve();
  expect(codeOf(await failing)).toBe('no-space');
  const taken = await taking;
  expect(taken.base).toBe('partial');
  expect(await store.kept()).toBe(1);
  store.hasRoom = true;
  await sendAll(other, taken.upload);
  expect(codeOf(await commit(other, taken.upload, FILE))).toBe('ok');
});

test('what cannot be removed is told as no-space all the same', async () => {
  const { store, client } = await start();
  const { upload } = await beginUpload(client, 'a', FILE.length, KEY);
  store.hasRoom = false;
  store.canDiscard = false;
  expect(codeOf(await sendBlock(client, upload, 0, BLOCKS[0]))).toBe('no-space');
  expect(codeOf(await sendBlock(client, upload, 0, BLOCKS[0]))).toBe('no-space');
  store.hasRoom = true;
  const again = await beginUpload(client, 'a', FILE.length, KEY);
  await sendAll(client, again.upload);
  expect(codeOf(await commit(client, again.upload, FILE))).toBe('ok');
});

test('the quota of a principal counts nothing of what was removed; what does not fit into it stays', async () => {
  const users = { small: { limits: `quota = ${3 * BLOCK_BYTES}` } };
  const { store, client } = await start({ users });
  const first = await beginUpload(client, 'a', null);
  await sendBlock(client, first.upload, 0, BLOCKS[0]);
  await sendBlock(client, first.upload, 1, BLOCKS[1]);
  store.hasRoom = false;
  expect(codeOf(await sendBlock(client, first.upload, 2, BLOCKS[0]))).toBe('no-space');
  store.hasRoom = true;
  const second = await beginUpload(client, 'b', null, KEY);
  for (const index of [0, 1, 2]) await sendBlock(client, second.upload, index, BLOCKS[0]);
  expect(codeOf(await sendBlock(client, second.upload, 3, BLOCKS[0]))).toBe('quota-exceeded');
  expect(await store.kept()).toBe(1);
  expect((await beginUpload(client, 'b', null, KEY)).base).toBe('partial');
});
