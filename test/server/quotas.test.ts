import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { MemoryStore } from '../../src/storage/memory-store.ts';
import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { GatedStore } from '../support/gated-store.ts';
import type { RawAnswer, RawClient } from '../support/raw-client.ts';
import {
  beginUpload,
  bytesOf,
  commit,
  fetched,
  putBlocks,
  putInline,
  sendBlock,
} from '../support/raw-upload.ts';
import {
  startDirectoryServer,
  startTestServer,
  temporaryDirectory,
  tokenOf,
  usersToml,
  type TestServerOptions,
  type TestUser,
} from '../support/test-server.ts';

const KEY = { 'resume-key': '7'.repeat(32) };

/** What was answered: `ok`, or the code of the error. */
async function outcome(answer: Promise<RawAnswer> | RawAnswer): Promise<unknown> {
  const { header } = await answer;
  return header['code'] ?? header['status'];
}

/** A server on which `tester` has limits, and `free` has none. */
function limited(keys: Record<string, string | number | string[]>, options: TestServerOptions = {}) {
  const limits = Object.entries(keys)
    .map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
    .join('\n');
  return startTestServer({ users: { tester: { limits }, free: {} }, ...options });
}

describe('the size of a file', () => {
  test('is judged before the data, where it is declared or at hand', async () => {
    const { login } = await limited({ 'max-file-size': 1_000 });
    const client = await login();
    expect(await outcome(putInline(client, 'a', bytesOf(1_000)))).toBe('ok');
    expect(await outcome(putInline(client, 'b', bytesOf(1_001)))).toBe('too-large');
    expect(await outcome(client.ask('put', { path: 'c', size: 2_000_000 }))).toBe('too-large');
    expect(await outcome(putInline(await login('free'), 'b', bytesOf(1_001)))).toBe('ok');
  });

  test('is judged at the block that goes beyond it, where it is not known', async () => {
    const { login } = await limited({ 'max-file-size': BLOCK_BYTES + 5 });
    const client = await login();
    const content = bytesOf(BLOCK_BYTES + 5);
    const { upload } = await beginUpload(client, 'a', null);
    expect(await outcome(sendBlock(client, upload, 0, content.subarray(0, BLOCK_BYTES)))).toBe('ok');
    expect(await outcome(sendBlock(client, upload, 1, bytesOf(6)))).toBe('too-large');
    expect(await outcome(sendBlock(client, upload, 1, content.subarray(BLOCK_BYTES)))).toBe('ok');
    expect(await outcome(commit(client, upload, content))).toBe('ok');
  });
});

describe('a quota', () => {
  test('keeps no room for an upload that could not begin', async () => {
    const { login } = await limited({ 'quota-files': 3 }, { clock: new FakeClock() });
    const client = await login();
    expect(await outcome(putInline(client, 'a', bytesOf(1)))).toBe('ok');
    const nowhere = { path: 'a/b/c', size: 2 * BLOCK_BYTES, ...KEY };
    expect(await outcome(client.ask('put', nowhere))).toBe('not-directory');
    expect(await outcome(putInline(client, 'b', bytesOf(1)))).toBe('ok');
    expect(await outcome(putInline(client, 'c', bytesOf(1)))).toBe('ok');
    expect(await outcome(putInline(client, 'd', bytesOf(1)))).toBe('quota-exceeded');
  });

  test('counts what lies there already, whoever put it there', async () => {
    const store = new MemoryStore();
    const { login, server } = await limited({ quota: 100 }, { store });
    expect(await outcome(putInline(await login('free'), 'a', bytesOf(60)))).toBe('ok');
    const client = await login();
    expect(await outcome(putInline(client, 'b', bytesOf(41)))).toBe('quota-exceeded');
    expect(await outcome(putInline(client, 'b', bytesOf(40)))).toBe('ok');
    expect(await outcome(putInline(await login('free'), 'c', bytesOf(1)))).toBe('ok');
    await server.close();
    const again = await (await limited({ quota: 102 }, { store })).login();
    expect(await outcome(putInline(again, 'd', bytesOf(2)))).toBe('quota-exceeded');
    expect(await outcome(putInline(again, 'd', bytesOf(1)))).toBe('ok');
  });

  test('counts what is under the prefixes alone', async () => {
    const { login } = await limited({ quota: 100, prefixes: ['mine', 'yours/too'] });
    const [client, other] = [await login(), await login('free')];
    expect(await outcome(putInline(other, 'elsewhere', bytesOf(1_000)))).toBe('ok');
    expect(await outcome(putInline(client, 'mine/a', bytesOf(60)))).toBe('ok');
    expect(await outcome(putInline(client, 'yours/too/b', bytesOf(41)))).toBe('quota-exceeded');
    expect(await outcome(other.ask('move', { path: 'mine', to: 'gone' }))).toBe('ok');
    expect(await outcome(putInline(client, 'yours/too/b', bytesOf(100)))).toBe('ok');
  });

  test('counts what is put into a directory elsewhere just when that is moved below the prefixes', async () => {
    const store = new GatedStore({ clock: new FakeClock() });
    const { login } = await limited({ quota: 100, prefixes: ['mine'] }, { store, clock: new FakeClock() });
    const [client, other] = [await login(), await login('free')];
    for (const path of ['there/m', 'there/n'])
      expect(await outcome(putInline(other, path, bytesOf(20)))).toBe('ok');
    expect(await outcome(putInline(client, 'mine/first', bytesOf(0)))).toBe('ok');
    const second = store.hold('entry 1');
    const moving = other.ask('move', { path: 'there', to: 'mine/moved' });
    await second.reached();
    const putting = putInline(other, 'there/a', bytesOf(60));
    await other.ask('stat', { path: 'there' });
    second.open();
    expect(await outcome(moving)).toBe('ok');
    expect(await outcome(putting)).toBe('ok');
    await putInline(client, 'mine/last', bytesOf(60));
    const lying = await Array.fromAsync(store.list('mine', { recursive: true }), ({ size }) => size);
    expect(lying.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(100);
  });

  test('of files counts directories and links, missing parents too', async () => {
    const { login } = await limited({ 'quota-files': 4 });
    const client = await login();
    expect(await outcome(putInline(client, 'a/b/c/d', bytesOf(1)))).toBe('ok');
    for (const attempt of [
      putInline(client, 'e', bytesOf(0)),
      client.ask('mkdir', { path: 'e' }),
      client.ask('symlink', { path: 'e', target: 'a' }),
    ])
      expect(await outcome(attempt)).toBe('quota-exceeded');
    // What adds nothing is not refused.
    expect(await outcome(putInline(client, 'a/b/c/d', bytesOf(9)))).toBe('ok');
    expect(await outcome(client.ask('mkdir', { path: 'a/b' }))).toBe('ok');
    expect(await outcome(client.ask('move', { path: 'a/b/c/d', to: 'a/x' }))).toBe('ok');
    expect(await outcome(client.ask('remove', { path: 'a/b', recursive: true }))).toBe('ok');
    expect(await outcome(client.ask('symlink', { path: 'e', target: 'a' }))).toBe('ok');
    expect(await outcome(client.ask('mkdir', { path: 'f' }))).toBe('ok');
    expect(await outcome(client.ask('mkdir', { path: 'g' }))).toBe('quota-exceeded');
  });

  test('counts the difference where a file is replaced, and nothing any more that is removed', async () => {
    const { login } = await limited({ quota: 100 });
    const client = await login();
    expect(await outcome(putInline(client, 'a', bytesOf(90)))).toBe('ok');
    expect(await outcome(putInline(client, 'a', bytesOf(100, 1)))).toBe('ok');
    expect(await outcome(putInline(client, 'a', bytesOf(101, 2)))).toBe('quota-exceeded');
    expect(await fetched(client, 'a')).toEqual(bytesOf(100, 1));
    expect(await outcome(client.ask('remove', { path: 'a' }))).toBe('ok');
    expect(await outcome(putInline(client, 'b', bytesOf(100)))).toBe('ok');
  });

  test('counts versions until they expire', async () => {
    const clock = new FakeClock();
    const store = new MemoryStore({ clock, keepVersionsMs: 60_000 });
    const { login } = await limited({ quota: 100, 'quota-files': 3 }, { store, clock });
    const client = await login();
    expect(await outcome(putInline(client, 'a', bytesOf(40)))).toBe('ok');
    expect(await outcome(putInline(client, 'a', bytesOf(40, 1)))).toBe('ok');
    expect(await outcome(putInline(client, 'a', bytesOf(40, 2)))).toBe('quota-exceeded');
    expect(await outcome(client.ask('remove', { path: 'a' }))).toBe('ok');
    expect(await outcome(putInline(client, 'b', bytesOf(21)))).toBe('quota-exceeded');
    clock.advance(60_001);
    await store.expireVersions();
    expect(await outcome(putInline(client, 'b', bytesOf(100)))).toBe('ok');
  });

  test('that is exceeded already lets things be removed, made smaller and moved', async () => {
    const store = new MemoryStore();
    const first = await limited({}, { store });
    const before = await first.login();
    for (const path of ['a', 'b']) expect(await outcome(putInline(before, path, bytesOf(100)))).toBe('ok');
    await first.server.close();
    const client = await (await limited({ quota: 50, 'quota-files': 1 }, { store })).login();
    expect(await outcome(putInline(client, 'a', bytesOf(99)))).toBe('ok');
    expect(await outcome(putInline(client, 'a', bytesOf(100)))).toBe('quota-exceeded');
    expect(await outcome(client.ask('move', { path: 'a', to: 'c' }))).toBe('ok');
    expect(await outcome(client.ask('remove', { path: 'b' }))).toBe('ok');
  });

  test('believes no old count when it refuses: what was removed behind its back is seen', async () => {
    const clock = new FakeClock();
    const store = new MemoryStore({ clock });
    const { login } = await limited({ quota: 100 }, { store, clock });
    const client = await login();
    expect(await outcome(putInline(client, 'a', bytesOf(100)))).toBe('ok');
    await store.remove('a', { recursive: false });
    expect(await outcome(putInline(client, 'b', bytesOf(100)))).toBe('quota-exceeded');
    clock.advance(10_001);
    expect(await outcome(putInline(client, 'b', bytesOf(100)))).toBe('ok');
  });

  test('is counted anew now and then, and no write waits for it', async () => {
    const clock = new FakeClock();
    const store = new GatedStore({ clock });
    const { login } = await limited({ quota: 100 }, { store, clock, idleTimeoutMs: 86_400_000 });
    const client = await login();
    expect(await outcome(putInline(client, 'a', bytesOf(10)))).toBe('ok');
    await store.put(
      { path: 'behind', condition: { if: 'any' }, mayReplace: true, durability: 'memory' },
      bytesOf(70),
    );
    clock.advance(600_001);
    const listing = store.hold('entry 0');
    expect(await outcome(putInline(client, 'b', bytesOf(10)))).toBe('ok');
    await listing.reached();
    const counted = store.count('entry 1');
    listing.open();
    while (counted() === 0) await client.ask('ping');
    await client.ask('ping');
    expect(await outcome(putInline(client, 'c', bytesOf(31)))).toBe('quota-exceeded');
  });
});

describe('two uploads at once', () => {
  const users = (quota: number) => ({ quota, 'quota-files': 100 });
  const size = 2 * BLOCK_BYTES;

  test('cannot both slip through, declared or not', async () => {
    const { login } = await limited(users(3 * BLOCK_BYTES));
    const [one, two] = [await login(), await login()];
    const { upload } = await beginUpload(one, 'a', size);
    expect(await outcome(two.ask('put', { path: 'b', size }))).toBe('quota-exceeded');
    const open = await beginUpload(two, 'c', null);
    expect(await outcome(sendBlock(two, open.upload, 0, bytesOf(BLOCK_BYTES)))).toBe('ok');
    expect(await outcome(sendBlock(two, open.upload, 1, bytesOf(1)))).toBe('quota-exceeded');
    expect(await outcome(putInline(one, 'd', bytesOf(1)))).toBe('quota-exceeded');
    expect(await outcome(one.ask('abort', { upload }))).toBe('ok');
    expect(await outcome(sendBlock(two, open.upload, 1, bytesOf(1)))).toBe('ok');
  });

  test('small files neither', async () => {
    const store = new GatedStore();
    const { login } = await limited({ quota: 100 }, { store });
    const [one, two] = [await login(), await login()];
    const gate = store.hold('put a');
    const first = putInline(one, 'a', bytesOf(60));
    await gate.reached();
    expect(await outcome(putInline(two, 'b', bytesOf(60)))).toBe('quota-exceeded');
    gate.open();
    expect(await outcome(first)).toBe('ok');
    expect(await outcome(putInline(two, 'b', bytesOf(40)))).toBe('ok');
  });

  test('one whose commit failed keeps its room', async () => {
    const { login } = await limited(users(size));
    const client = await login();
    const content = bytesOf(size);
    const { upload } = await beginUpload(client, 'a', size);
    for (const index of [0, 1])
      await sendBlock(
        client,
        upload,
        index,
        content.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES),
      );
    expect(await outcome(commit(client, upload, bytesOf(size, 1)))).toBe('digest-mismatch');
    expect(await outcome(putInline(client, 'b', bytesOf(1)))).toBe('quota-exceeded');
    expect(await outcome(commit(client, upload, content))).toBe('ok');
  });

  test('a file can be replaced by one of the same size', async () => {
    const { login } = await limited(users(size));
    const client = await login();
    await putBlocks(client, 'a', bytesOf(size));
    await putBlocks(client, 'a', bytesOf(size, 1));
    expect(await fetched(client, 'a')).toEqual(bytesOf(size, 1));
    expect(await outcome(client.ask('put', { path: 'b', size }))).toBe('quota-exceeded');
  });
});

describe('an upload that reaches the quota half-way', () => {
  const content = bytesOf(2 * BLOCK_BYTES);
  const blocks = [content.subarray(0, BLOCK_BYTES), content.subarray(BLOCK_BYTES)] as const;

  async function halfWay(client: RawClient) {
    const { upload } = await beginUpload(client, 'a', null, KEY);
    expect(await outcome(sendBlock(client, upload, 0, blocks[0]))).toBe('ok');
    expect(await outcome(sendBlock(client, upload, 1, blocks[1]))).toBe('quota-exceeded');
    return upload;
  }

  test('publishes nothing, and goes on when the quota was raised', async () => {
    const store = new MemoryStore();
    const first = await limited({ quota: '1.5M' }, { store });
    const client = await first.login();
    await halfWay(client);
    expect(await fetched(client, 'a')).toBeUndefined();
    await first.server.close();
    const again = await (await limited({ quota: '2M' }, { store })).login();
    const { upload, held } = await beginUpload(again, 'a', null, KEY);
    expect(held).toHaveLength(1);
    expect(await outcome(sendBlock(again, upload, 1, blocks[1]))).toBe('ok');
    expect(await outcome(commit(again, upload, content))).toBe('ok');
  });

  test('counts with what is there, when nobody goes on with it, also after a restart', async () => {
    const store = new MemoryStore();
    const first = await limited({ quota: '1.5M' }, { store });
    const client = await first.login();
    await halfWay(client);
    await client.destroy();
    await first.server.close();
    const { login } = await limited({ quota: '1.5M' }, { store });
    const again = await login();
    expect(await outcome(again.ask('put', { path: 'b', size: BLOCK_BYTES }))).toBe('quota-exceeded');
    expect(await outcome(putInline(again, 'b', bytesOf(BLOCK_BYTES / 2)))).toBe('ok');
  });

  test('counts with what is declared as long as somebody works with it, and no longer', async () => {
    const { login, server } = await limited({ quota: '3M' });
    const [leaving, other] = [await login(), await login()];
    const { upload } = await beginUpload(leaving, 'a', 3 * BLOCK_BYTES, KEY);
    await sendBlock(leaving, upload, 0, blocks[0]);
    expect(await outcome(putInline(other, 'b', bytesOf(1)))).toBe('quota-exceeded');
    await leaving.destroy();
    while (server.connectionCount > 1) await other.ask('ping');
    expect(await outcome(putInline(other, 'b', bytesOf(1)))).toBe('ok');
    // Now what was declared does not fit any more.
    expect(await outcome(sendBlock(other, upload, 1, blocks[1]))).toBe('quota-exceeded');
    expect(await outcome(other.ask('remove', { path: 'b' }))).toBe('ok');
    expect(await outcome(sendBlock(other, upload, 1, blocks[1]))).toBe('ok');
  });
});

test('a commit is judged by what is granted then', async () => {
  const { login } = await limited({ quota: '2M', prefixes: ['mine'] });
  const [client, other] = [await login(), await login('free')];
  const content = bytesOf(2 * BLOCK_BYTES);
  const { upload } = await beginUpload(client, 'mine/a', content.length);
  for (const index of [0, 1])
    await sendBlock(client, upload, index, content.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES));
  expect(await outcome(putInline(other, 'mine/b', bytesOf(1)))).toBe('ok');
  expect(await outcome(commit(client, upload, content))).toBe('quota-exceeded');
  expect(await outcome(other.ask('remove', { path: 'mine/b' }))).toBe('ok');
  expect(await outcome(commit(client, upload, content))).toBe('ok');
  // Said again, it is no second file.
  expect(await outcome(commit(client, upload, content))).toBe('ok');
});

test.each([
  ['quota', 'quota = "1M"', 'quota-exceeded'],
  ['largest file', 'max-file-size = "1M"', 'too-large'],
  ['permission to write', '', 'forbidden'],
])(
  'a commit is refused when the %s is another by then, and the connection goes on',
  async (_, limits, code) => {
    const usersFile = join(await temporaryDirectory(), 'users.toml');
    const write = (user: TestUser) => writeFileSync(usersFile, usersToml({ alice: user }), { mode: 0o600 });
    write({});
    const { server, connect, root } = await startDirectoryServer({ usersFile, keepVersionsMs: 60_000 });
    const client = await connect();
    await client.hello({ token: tokenOf('alice') });
    const content = bytesOf(2 * BLOCK_BYTES);
    const { upload } = await beginUpload(client, 'a', content.length);
    for (const index of [0, 1])
      await sendBlock(
        client,
        upload,
        index,
        content.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES),
      );
    write(limits === '' ? { permissions: ['read', 'list'] } : { limits });
    await server.reload();
    expect(await outcome(commit(client, upload, content))).toBe(code);
    expect(existsSync(join(root, 'a'))).toBe(false);
    write({});
    await server.reload();
    expect(await outcome(commit(client, upload, content))).toBe('ok');
  },
);
