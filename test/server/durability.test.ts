import { beforeEach, expect, test } from 'vitest';

import { SealiftError } from '../../src/errors.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import type { RawClient } from '../support/raw-client.ts';
import { bytesOf, fileDigestOf, putBlocks, putInline } from '../support/raw-upload.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

/** Keeps account of what it was told to sync, and fails where a test says so. */
class SyncedStore extends MemoryStore {
  readonly synced: string[][] = [];
  failure: SealiftError | undefined;

  override async sync(paths: readonly string[]): Promise<void> {
    this.synced.push([...paths].sort());
    if (this.failure) throw this.failure;
  }
}

const CONTENT = bytesOf(10);
const MEMORY = { durability: 'memory' };

let store: SyncedStore;
let server: TestServer;
let client: RawClient;
beforeEach(async () => {
  store = new SyncedStore();
  server = await startTestServer({ store });
  client = await server.login();
});

/** Holds the answer of a step of the store until it is told to go on, once `done` has resolved. */
function holdAnswer(step: 'move' | 'remove'): { done: Promise<void>; goOn: () => void } {
  const [done, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const take = store[step].bind(store) as (...args: unknown[]) => Promise<void>;
  store[step] = async (...args: unknown[]) => {
    await take(...args);
    done.resolve();
    await gate.promise;
  };
  return { done: done.promise, goOn: () => gate.resolve() };
}

test.each([
  [undefined, 'disk'],
  ['disk', 'disk'],
  ['memory', 'memory'],
])('the receipt of a put with durability %s says %s', async (durability, expected) => {
  const fields = durability === undefined ? {} : { durability };
  expect((await putInline(client, 'a', CONTENT, fields)).header['durability']).toBe(expected);
  expect((await putBlocks(client, 'b', CONTENT, fields)).header['durability']).toBe(expected);
});

test('a sync concerns what this connection left in memory, once', async () => {
  await putInline(client, 'inline', CONTENT, MEMORY);
  await putBlocks(client, 'blocks', CONTENT, MEMORY);
  await putInline(client, 'on disk', CONTENT);
  await client.askOk('mkdir', { path: 'dir' });
  await client.askOk('symlink', { path: 'link', target: 'x' });
  await putInline(await server.login(), 'of another', CONTENT, MEMORY);
  await client.askOk('sync');
  await client.askOk('sync');
  expect(store.synced).toEqual([['blocks', 'dir', 'inline', 'link'], []]);
});

test('what was moved before it was synced is synced where it stands', async () => {
  await putInline(client, 'dir/a', CONTENT, MEMORY);
  await putInline(client, 'b', CONTENT, MEMORY);
  await putInline(client, 'bc', CONTENT, MEMORY);
  await client.askOk('move', { path: 'dir', to: 'moved' });
  await client.askOk('move', { path: 'b', to: 'moved/b' });
  await client.askOk('sync');
  expect(store.synced[0]).toEqual(expect.arrayContaining(['moved/a', 'moved/b', 'bc']));
  expect(store.synced[0]).not.toContain('moved/bc');
});

test('what another connection moves is synced where it stands, and not moved while it is synced', async () => {
  const other = await server.login();
  await putInline(client, 'in/a', CONTENT, MEMORY);
  await putInline(client, 'in/b', CONTENT, MEMORY);
  await other.askOk('move', { path: 'in/a', to: 'done/a' });
  const [begun, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const sync = store.sync.bind(store);
  store.sync = async (paths) => {
    begun.resolve();
    await gate.promise;
    // A store passes over what does not stand there any more.
    await Promise.all(paths.map((path) => store.stat(path).catch(() => undefined)));
    return sync(paths);
  };
  const syncing = client.askOk('sync');
  await begun.promise;
  const moving = other.askOk('move', { path: 'in/b', to: 'done/b' });
  // It is answered by whoever is not behind the move.
  await client.askOk('ping');
  expect((await store.stat('in/b')).type).toBe('file');
  gate.resolve();
  await Promise.all([syncing, moving]);
  expect(store.synced[0]).toEqual(expect.arrayContaining(['done/a', 'in/b']));
  expect((await store.stat('done/b')).type).toBe('file');
});

test('what is moved again and again is remembered where it stands, and nowhere else', async () => {
  await putInline(client, '0/a', CONTENT, MEMORY);
  for (let times = 0; times < 10; times += 1)
    await client.askOk('move', { path: `${times}`, to: `${times + 1}` });
  await client.askOk('sync');
  expect(store.synced).toEqual([['10/a']]);
});

test('moves of a directory and of what is in it go one after the other', async () => {
  const depth = 20;
  const levels = Array.from({ length: depth }, (_, level) =>
    [...Array<string>(level).fill('a'), 'a'].join('/'),
  );
  await putInline(client, `${levels.at(-1)}/file`, CONTENT, MEMORY);
  const moves = levels.map((path) => ({ path, to: path.replace(/a$/, 'b') })).reverse();
  const ids = moves.map((move) => client.begin('move', move));
  for (const id of ids) expect((await client.answer(id)).header['status']).toBe('ok');
  await client.askOk('sync');
  expect(store.synced).toEqual([[`${'b/'.repeat(depth)}file`]]);
});

test('what is published while its directory is moved away is synced under both names', async () => {
  for (const path of ['in/before', 'in/again']) await putInline(client, path, CONTENT, MEMORY);
  const move = holdAnswer('move');
  const moving = client.askOk('move', { path: 'in', to: 'done' });
  await move.done;
  for (const path of ['in/again', 'in/after']) await putInline(client, path, CONTENT, MEMORY);
  move.goOn();
  await moving;
  await client.askOk('sync');
  expect(store.synced).toEqual([['done/after', 'done/again', 'done/before', 'in/after', 'in/again']]);
});

test.each([false, true])(
  'what was removed before it was synced is not synced: by another connection %j',
  async (isOther) => {
    for (const path of ['a', 'ab', 'd/a', 'd/e/a', 'da']) await putInline(client, path, CONTENT, MEMORY);
    const remover = isOther ? await server.login() : client;
    await remover.askOk('remove', { path: 'a' });
    await remover.askOk('remove', { path: 'd', recursive: true });
    expect((await remover.ask('remove', { path: 'none' })).header['code']).toBe('not-found');
    await client.askOk('sync');
    expect(store.synced).toEqual([['ab', 'da']]);
  },
);

test('what is put in the place of what is being removed is synced', async () => {
  for (const path of ['d/before', 'd/again']) await putInline(client, path, CONTENT, MEMORY);
  const removal = holdAnswer('remove');
  const removing = client.askOk('remove', { path: 'd', recursive: true });
  await removal.done;
  for (const path of ['d/again', 'd/after']) await putInline(client, path, CONTENT, MEMORY);
  removal.goOn();
  await removing;
  await client.askOk('sync');
  expect(store.synced).toEqual([['d/after', 'd/again']]);
});

test('what was moved out of a directory while that is removed is synced where it stands', async () => {
  await putInline(client, 'd/a', CONTENT, MEMORY);
  const move = holdAnswer('move');
  const moving = client.askOk('move', { path: 'd/a', to: 'e/a' });
  await move.done;
  await (await server.login()).askOk('remove', { path: 'd', recursive: true });
  move.goOn();
  await moving;
  await client.askOk('sync');
  expect(store.synced[0]).toContain('e/a');
});

/** Puts `in/a`, whose directory is moved meanwhile, each time one deeper; answers where it can have come to. */
async function putInto(movedTimes: number): Promise<string[]> {
  await store.mkdir('in', {});
  const [begun, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const put = store.put.bind(store);
  store.put = async (...args) => {
    begun.resolve();
    await gate.promise;
    return put(...args);
  };
  const putting = putInline(client, 'in/a', CONTENT, MEMORY);
  await begun.promise;
  const other = await server.login();
  const places = ['in/a'];
  for (let times = 0; times < movedTimes; times += 1) {
    await other.askOk('move', { path: 'in', to: 'out' });
    await other.askOk('move', { path: 'out', to: `in/${times}` });
    places.push('in/a', ...places.splice(0).map((path) => path.replace('in', `in/${times}`)));
  }
  gate.resolve();
  await putting;
  return places;
}

test('what is on its way while its directory is moved to and fro is synced wherever it can have come to, and nowhere else', async () => {
  const places = await putInto(10);
  await client.askOk('sync');
  expect(store.synced).toEqual([places.sort()]);
});

test('what its directory was moved very often for is not told to be on disk', async () => {
  await putInto(70);
  expect((await client.ask('sync')).header).toMatchObject({ code: 'internal', retryable: false });
  await client.askOk('sync');
});

test('what is moved to where no path leads is not told to be on disk', async () => {
  const far = Array<string>(15).fill('n'.repeat(250)).join('/');
  await putInline(client, `in/${far}`, CONTENT, MEMORY);
  await client.askOk('move', { path: 'in', to: far.slice(0, 2_000) });
  expect((await client.ask('sync')).header['code']).toBe('bad-name');
  await client.askOk('sync');
});

test('a sync that failed voids the receipts: the next one does not make up for it', async () => {
  await putInline(client, 'a', CONTENT, MEMORY);
  store.failure = new SealiftError('no-space', 'The disk is full.');
  expect((await client.ask('sync')).header['code']).toBe('no-space');
  store.failure = undefined;
  await client.askOk('sync');
  expect(store.synced).toEqual([['a'], []]);
});

test('what a refusal tells the digest of is on disk: whoever finds its own has succeeded', async () => {
  await putInline(await server.login(), 'a', CONTENT, MEMORY);
  const refusal = await putInline(client, 'a', CONTENT, { if: 'absent' });
  expect(refusal.header).toMatchObject({ code: 'exists', digest: fileDigestOf(CONTENT) });
  expect(store.synced).toEqual([['a']]);
  store.failure = new SealiftError('internal', 'The storage of the server failed.');
  const { header } = await putInline(client, 'a', CONTENT, { if: 'absent' });
  expect(header['code']).toBe('exists');
  expect(header).not.toHaveProperty('digest');
});
