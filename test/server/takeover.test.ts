import { readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';

import { FileStore } from '../../src/storage/fs/fs-store.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import type { Store } from '../../src/storage/store.ts';
import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { GatedStore } from '../support/gated-store.ts';
import {
  beginUpload,
  blocksOf,
  bytesOf,
  commit,
  digestOf,
  fetched,
  fileDigestOf,
  putBlocks,
  putInline,
  sendBlock,
} from '../support/raw-upload.ts';
import { startTestServer, temporaryDirectory, type TestServerOptions } from '../support/test-server.ts';

const FILE = bytesOf(2.5 * BLOCK_BYTES);
const BLOCKS = blocksOf(FILE) as [Buffer, Buffer, Buffer];
const DIGESTS = BLOCKS.map(digestOf);
const KEY = { 'resume-key': '0123456789abcdef0123456789abcdef' };
const OTHER_KEY = { 'resume-key': 'f'.repeat(32) };

/** A server on a store, and the same again after a restart. */
async function restartable(open: () => Promise<Store>, options: TestServerOptions = {}) {
  let store = await open();
  let isOpen = true;
  onTestFinished(async () => {
    if (isOpen) await store[Symbol.asyncDispose]();
  });
  let present = await startTestServer({ ...options, store });
  return {
    login: (user?: string) => present.login(user),
    restart: async () => {
      await present.server.close();
      isOpen = false;
      await store[Symbol.asyncDispose]();
      store = await open();
      isOpen = true;
      present = await startTestServer({ ...options, store });
    },
  };
}

const stores: Record<string, () => Promise<() => Promise<Store>>> = {
  memory: async () => {
    const store = new MemoryStore();
    return async () => store;
  },
  directory: async () => {
    const root = await temporaryDirectory();
    return () => FileStore.open({ root });
  },
};

describe.each(Object.keys(stores))('with a store in %s', (kind) => {
  const start = async (options?: TestServerOptions) => restartable(await stores[kind]!(), options);

  test.each([false, true])(
    'a put with the same key goes on from what is held (restart: %s)',
    async (restarts) => {
      const server = await start();
      const before = await server.login();
      const first = await beginUpload(before, 'a', FILE.length, KEY);
      expect(first).toMatchObject({ base: 'none', held: [] });
      await sendBlock(before, first.upload, 0, BLOCKS[0]);
      await sendBlock(before, first.upload, 2, BLOCKS[2]);
      await before.destroy();
      if (restarts) await server.restart();
      const client = await server.login();
      const second = await beginUpload(client, 'a', FILE.length, KEY);
      expect(second.base).toBe('partial');
      expect(second.upload).not.toBe(first.upload);
      expect([second.held[0], second.held[2]]).toEqual([DIGESTS[0], DIGESTS[2]]);
      expect(second.held[1]).not.toBe(DIGESTS[1]);
      await sendBlock(client, second.upload, 1, BLOCKS[1]);
      expect((await commit(client, second.upload, FILE)).header['status']).toBe('ok');
      expect((await fetched(client, 'a'))?.equals(FILE)).toBe(true);
    },
  );

  test('a commit said again gives the same receipt, also over another connection and after a restart', async () => {
    const server = await start();
    const client = await server.login();
    const { upload } = await beginUpload(client, 'a', FILE.length);
    for (const [index, block] of BLOCKS.entries()) await sendBlock(client, upload, index, block);
    const receiptOf = async (each: typeof client) => {
      const { id: _, ...receipt } = (await commit(each, upload, FILE)).header;
      return receipt;
    };
    const receipt = await receiptOf(client);
    expect(receipt).toMatchObject({ status: 'ok', digest: fileDigestOf(FILE) });
    expect(await receiptOf(client)).toEqual(receipt);
    expect(await receiptOf(await server.login())).toEqual(receipt);
    await server.restart();
    const later = await server.login();
    expect(await receiptOf(later)).toEqual(receipt);
    const other = { digest: fileDigestOf(Buffer.from('other')) };
    expect((await commit(later, upload, FILE, other)).header['code']).toBe('unknown-upload');
  });

  test('the receipt of an upload is told to its owner only', async () => {
    const server = await start({ users: { alice: {}, bob: {} } });
    const alice = await server.login('alice');
    const { upload } = await beginUpload(alice, 'a', FILE.length);
    for (const [index, block] of BLOCKS.entries()) await sendBlock(alice, upload, index, block);
    await commit(alice, upload, FILE);
    await server.restart();
    expect((await commit(await server.login('bob'), upload, FILE)).header['code']).toBe('unknown-upload');
    expect((await commit(await server.login('alice'), upload, FILE)).header['status']).toBe('ok');
  });

  test('the ids of uploads that were not committed are unknown after a restart', async () => {
    const server = await start();
    const client = await server.login();
    const { upload } = await beginUpload(client, 'a', FILE.length, KEY);
    await server.restart();
    const later = await server.login();
    expect((await sendBlock(later, upload, 0, BLOCKS[0])).header['code']).toBe('unknown-upload');
  });
});

test('a commit that was answered by a server that kept no owner with the id is known to the next one', async () => {
  const root = await temporaryDirectory();
  const server = await restartable(() => FileStore.open({ root }), { users: { alice: {}, bob: {} } });
  const alice = await server.login('alice');
  const { upload } = await beginUpload(alice, 'a', FILE.length);
  for (const [index, block] of BLOCKS.entries()) await sendBlock(alice, upload, index, block);
  await commit(alice, upload, FILE);
  const published = join(root, '.sealift/published');
  for (const name of readdirSync(published)) renameSync(join(published, name), join(published, upload));
  await server.restart();
  expect((await commit(await server.login('bob'), upload, FILE)).header['code']).toBe('unknown-upload');
  expect((await commit(await server.login('alice'), upload, FILE)).header['status']).toBe('ok');
});

describe('a put with the same key, while the former connection lives', () => {
  test('takes the upload over: the former id changes nothing any more', async () => {
    const { login } = await startTestServer();
    const [former, client] = [await login(), await login()];
    const first = await beginUpload(former, 'a', FILE.length, KEY);
    await sendBlock(former, first.upload, 0, BLOCKS[0]);
    const second = await beginUpload(client, 'a', FILE.length, { ...KEY, 'mtime-ms': 7 });
    expect(second).toMatchObject({ base: 'partial', held: [DIGESTS[0]] });
    const answers = [
      await sendBlock(former, first.upload, 1, bytesOf(BLOCK_BYTES, 9)),
      await commit(former, first.upload, FILE),
      await former.ask('abort', { upload: first.upload }),
    ];
    for (const { header } of answers)
      expect(header).toMatchObject({ code: 'superseded', upload: first.upload, retryable: false });
    await sendBlock(client, second.upload, 1, BLOCKS[1]);
    await sendBlock(client, second.upload, 2, BLOCKS[2]);
    // The parameters are those of the newer request.
    expect((await commit(client, second.upload, FILE)).header).toMatchObject({ status: 'ok', 'mtime-ms': 7 });
    expect((await fetched(client, 'a'))?.equals(FILE)).toBe(true);
  });

  test('waits for the writes of the former that are under way', async () => {
    const store = new GatedStore();
    const { login } = await startTestServer({ store });
    const [former, client] = [await login(), await login()];
    const first = await beginUpload(former, 'a', FILE.length, KEY);
    const gate = store.hold('write 0');
    const writing = sendBlock(former, first.upload, 0, BLOCKS[0]);
    await gate.reached();
    const beginning = beginUpload(client, 'a', FILE.length, KEY);
    await client.askOk('ping');
    gate.open();
    expect((await beginning).held).toEqual([DIGESTS[0]]);
    expect((await writing).header['status']).toBe('ok');
  });

  test('refuses a block of the former that still waits for room', async () => {
    const [store, clock] = [new GatedStore(), new FakeClock()];
    const users = { tester: { limits: `quota = ${3.5 * BLOCK_BYTES}` } };
    const { login } = await startTestServer({ store, clock, users });
    const [former, client] = [await login(), await login()];
    await putInline(former, 'small', Buffer.from('x'));
    await putBlocks(former, 'large', bytesOf(2 * BLOCK_BYTES));
    const first = await beginUpload(former, 'a', null, KEY);
    await sendBlock(former, first.upload, 0, BLOCKS[0]);
    // There is room, which only another count tells.
    await store.remove('large', { recursive: false });
    clock.advance(11_000);
    const counting = store.hold('entry 0');
    const waiting = sendBlock(former, first.upload, 1, bytesOf(BLOCK_BYTES, 9));
    await counting.reached();
    const second = await beginUpload(client, 'a', null, KEY);
    counting.open();
    expect((await waiting).header['code']).toBe('superseded');
    for (const index of [1, 2]) await sendBlock(client, second.upload, index, BLOCKS[index]!);
    expect((await commit(client, second.upload, FILE)).header['status']).toBe('ok');
    expect((await fetched(client, 'a'))?.equals(FILE)).toBe(true);
  });

  test('and blocks of both under way at once, publishes what was committed', async () => {
    const { login } = await startTestServer();
    const [former, client] = [await login(), await login()];
    const first = await beginUpload(former, 'a', FILE.length, KEY);
    const wrong = bytesOf(BLOCK_BYTES, 9);
    const racing = [0, 1].map((index) => sendBlock(former, first.upload, index, wrong));
    const second = await beginUpload(client, 'a', FILE.length, KEY);
    await Promise.all(BLOCKS.map((block, index) => sendBlock(client, second.upload, index, block)));
    await Promise.all(racing);
    expect((await commit(client, second.upload, FILE)).header['status']).toBe('ok');
    expect((await fetched(client, 'a'))?.equals(FILE)).toBe(true);
  });

  test.each([
    ['another key', 'a', OTHER_KEY],
    ['no key', 'a', {}],
    ['another path', 'b', KEY],
  ])('with %s it is a separate upload', async (_, path, fields) => {
    const { login } = await startTestServer();
    const client = await login();
    const first = await beginUpload(client, 'a', FILE.length, KEY);
    await sendBlock(client, first.upload, 0, BLOCKS[0]);
    const second = await beginUpload(client, path, FILE.length, fields);
    expect(second).toMatchObject({ base: 'none', held: [] });
    for (const [index, block] of BLOCKS.entries()) {
      await sendBlock(client, second.upload, index, block);
      await sendBlock(client, first.upload, index, block);
    }
    expect((await commit(client, first.upload, FILE)).header['status']).toBe('ok');
    expect((await commit(client, second.upload, FILE)).header['status']).toBe('ok');
  });

  test('from another principal it is a separate upload', async () => {
    const { login } = await startTestServer({ users: { alice: {}, bob: {} } });
    const [alice, bob] = [await login('alice'), await login('bob')];
    const first = await beginUpload(alice, 'a', FILE.length, KEY);
    await sendBlock(alice, first.upload, 0, BLOCKS[0]);
    expect(await beginUpload(bob, 'a', FILE.length, KEY)).toMatchObject({ base: 'none', held: [] });
    for (const answer of [
      await sendBlock(bob, first.upload, 1, BLOCKS[1]),
      await commit(bob, first.upload, FILE),
      await bob.ask('abort', { upload: first.upload }),
    ])
      expect(answer.header).toMatchObject({ code: 'unknown-upload' });
    expect((await sendBlock(alice, first.upload, 1, BLOCKS[1])).header['status']).toBe('ok');
  });
});

test('blocks may come over several connections of one principal', async () => {
  const { login } = await startTestServer();
  const clients = [await login(), await login(), await login()];
  const { upload } = await beginUpload(clients[0]!, 'a', FILE.length);
  await Promise.all(clients.map((client, index) => sendBlock(client, upload, index, BLOCKS[index]!)));
  // The one that began it may be gone by then.
  await clients[0]!.destroy();
  expect((await commit(clients[1]!, upload, FILE)).header['status']).toBe('ok');
  expect((await fetched(clients[2]!, 'a'))?.equals(FILE)).toBe(true);
});

test.each([
  ['grows', 3.5 * BLOCK_BYTES, [0, 1]],
  ['shrinks', 1.5 * BLOCK_BYTES, [0]],
  ['shrinks to whole blocks', 2 * BLOCK_BYTES, [0]],
  ['becomes unknown', null, [0, 1]],
])('what is held of a source that %s between attempts is only what stayed', async (_, size, kept) => {
  const { login } = await startTestServer();
  const client = await login();
  const first = await beginUpload(client, 'a', FILE.length, KEY);
  for (const [index, block] of BLOCKS.entries()) await sendBlock(client, first.upload, index, block);
  const second = await beginUpload(client, 'a', size, KEY);
  const held = second.held.flatMap((digest, index) => (digest === DIGESTS[index] ? [index] : []));
  expect(held).toEqual(expect.arrayContaining(kept));
  // Whatever else is told, what is sent now is what stands in the end.
  const now = bytesOf(size ?? 2.25 * BLOCK_BYTES, 4);
  for (const [index, block] of blocksOf(now).entries())
    if (second.held[index] !== digestOf(block)) await sendBlock(client, second.upload, index, block);
  expect((await commit(client, second.upload, now)).header['status']).toBe('ok');
  expect((await fetched(client, 'a'))?.equals(now)).toBe(true);
});

test('what is known by another digest is hashed again', async () => {
  const { login } = await startTestServer();
  const former = await login('tester', { digest: 'blake3' });
  const first = await beginUpload(former, 'a', FILE.length, KEY);
  await sendBlock(former, first.upload, 0, BLOCKS[0]);
  const client = await login('tester', { digest: 'sha256' });
  expect((await beginUpload(client, 'a', FILE.length, KEY)).held).toEqual([DIGESTS[0]]);
});

test.each(['put', 'commit'] as const)(
  'a long list of what is held is cut short where the %s is cancelled',
  async (action) => {
    const client = await (await startTestServer()).login();
    const size = 2 ** 43 + 1;
    const { upload } = await beginUpload(client, 'a', size, KEY);
    await sendBlock(client, upload, 2 ** 23, bytesOf(1));
    const fields = {
      put: { path: 'a', size, ...KEY, base: 'partial' },
      commit: { upload, size, digest: fileDigestOf(bytesOf(1)) },
    };
    const id = client.begin(action, fields[action]);
    await client.take(({ header }) => header['id'] === id);
    client.begin('cancel', { target: id });
    expect((await client.answer(id)).header['code']).toBe('cancelled');
  },
);
