import { utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';

import { systemFiles, type FileStats, type FileSystem } from '../../src/storage/fs/file-system.ts';
import { FileStore } from '../../src/storage/fs/fs-store.ts';
import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { GatedStore } from '../support/gated-store.ts';
import type { RawClient } from '../support/raw-client.ts';
import {
  blocksOf,
  bytesOf,
  digestOf,
  fileDigestOf,
  heldIn,
  putBlocks,
  putInline,
} from '../support/raw-upload.ts';
import { startTestServer, temporaryDirectory } from '../support/test-server.ts';

const SMALL = bytesOf(1_000);
const LARGE = bytesOf(3.5 * BLOCK_BYTES);
const BLOCKS = blocksOf(LARGE);

/** The file system of this machine, in which times of change tell nothing: as in one that keeps them to the second. */
const withoutChangeTimes: FileSystem = {
  ...systemFiles,
  lstat: async (path) => unchanged(await systemFiles.lstat(path)),
  open: async (...args) => {
    const file = await systemFiles.open(...args);
    return { ...file, stat: async () => unchanged(await file.stat()) };
  },
};

function unchanged(stats: FileStats): FileStats {
  return Object.assign(stats, { ctimeNs: 0n });
}

let client: RawClient;
beforeEach(async () => {
  client = await (await startTestServer()).login();
  await putInline(client, 'small', SMALL, { 'mtime-ms': 1_234, mode: 0o600 });
  await putBlocks(client, 'large', LARGE);
  await client.askOk('symlink', { path: 'link', target: 'small' });
});

test.each([0, 1, BLOCK_BYTES])('a file of %i bytes comes in one answer', async (length) => {
  const content = bytesOf(length);
  await putInline(client, 'a', content, { 'mtime-ms': 1_234, mode: 0o600 });
  const answer = await client.askOk('get', { path: 'a' });
  expect(answer.header).toMatchObject({
    size: length,
    'mtime-ms': 1_234,
    mode: 0o600,
    digest: digestOf(content),
  });
  expect(answer.content.equals(content)).toBe(true);
  expect(answer.parts).toEqual([]);
});

test('answers that take a block of memory count as one, however short they are', async () => {
  const store = new GatedStore();
  const { login } = await startTestServer({ store });
  const [asking, other] = [await login(), await login()];
  const content = bytesOf(BLOCK_BYTES / 4 + 1);
  await putInline(asking, 'a', content);
  const reading = store.hold('read a 0');
  const ids = Array.from({ length: 16 }, () => asking.begin('get', { path: 'a' }));
  let isFifth = false;
  void reading.reached(5).then(() => (isFifth = true));
  await reading.reached(4);
  for (let round = 0; round < 100; round += 1) await other.askOk('ping');
  expect(isFifth).toBe(false);
  reading.open();
  for (const id of ids) expect((await asking.answer(id)).content.equals(content)).toBe(true);
});

test('a longer one comes in blocks, between its attributes and its digest', async () => {
  const { header, content, parts } = await client.askOk('get', { path: 'large' });
  const [first, ...blocks] = parts;
  expect(first?.header).toMatchObject({ status: 'more', size: LARGE.length, etag: expect.any(String) });
  expect(first?.header).not.toHaveProperty('digest');
  expect(blocks).toHaveLength(BLOCKS.length);
  for (const [index, block] of blocks.entries()) {
    expect(block.header).toMatchObject({ status: 'block', index, digest: digestOf(BLOCKS[index]!) });
    expect(block.content.equals(BLOCKS[index]!)).toBe(true);
  }
  expect(header['digest']).toBe(fileDigestOf(LARGE));
  expect(content).toHaveLength(0);
});

test.each([
  ['from a block on', { 'from-block': 2 }, [2, 3]],
  ['so many', { 'block-count': 2 }, [0, 1]],
  ['in the middle', { 'from-block': 1, 'block-count': 2 }, [1, 2]],
  ['beyond the end', { 'from-block': 3, 'block-count': 9 }, [3]],
  ['after the end', { 'from-block': 9 }, []],
  ['none', { 'block-count': 0 }, []],
  ['all', { 'from-block': 0, 'block-count': 4 }, [0, 1, 2, 3]],
])('a range: %s', async (_, range, indexes) => {
  const { header, parts } = await client.askOk('get', { path: 'large', ...range });
  const blocks = parts.slice(1);
  expect(blocks.map((block) => block.header['index'])).toEqual(indexes);
  for (const [n, index] of indexes.entries()) expect(blocks[n]?.content.equals(BLOCKS[index]!)).toBe(true);
  expect(header['digest']).toBe(indexes.length === 4 ? fileDigestOf(LARGE) : undefined);
});

test.each([
  ['what is not there', { path: 'none' }, 'not-found'],
  ['a directory', { path: 'dir' }, 'is-directory'],
  ['a link', { path: 'link' }, 'bad-request'],
  ['what lies below a file', { path: 'small/x' }, 'not-directory'],
  ['what lies below a link', { path: 'link/x' }, 'not-directory'],
  ['the root', { path: '' }, 'bad-name'],
  ['a former version', { path: 'small', version: '1' }, 'unsupported'],
  ['what has changed', { path: 'small', 'if-match': 'another' }, 'precondition-failed'],
])('%s is refused', async (_, fields, code) => {
  await client.askOk('mkdir', { path: 'dir' });
  const { header, parts } = await client.ask('get', fields);
  expect([header['code'], parts]).toEqual([code, []]);
});

test('what has not changed is sent', async () => {
  const { etag } = (await client.askOk('stat', { path: 'small' })).header;
  expect((await client.askOk('get', { path: 'small', 'if-match': etag })).content.equals(SMALL)).toBe(true);
  await putInline(client, 'small', bytesOf(1_000, 2));
  expect((await client.ask('get', { path: 'small', 'if-match': etag })).header).toMatchObject({
    code: 'precondition-failed',
    etag: expect.not.stringMatching(etag as string),
  });
});

describe('digests', () => {
  test.each([
    ['large', LARGE],
    ['small', SMALL],
    ['empty', Buffer.alloc(0)],
  ])('of a %s file are those of its blocks', async (path, content) => {
    await putInline(client, 'empty', Buffer.alloc(0));
    const answer = await client.askOk('digests', { path });
    expect(answer.header).toMatchObject({
      size: content.length,
      digest: fileDigestOf(content),
      etag: expect.any(String),
    });
    expect(heldIn(answer)).toEqual(blocksOf(content).map(digestOf));
  });

  test.each([
    [{ path: 'none' }, 'not-found'],
    [{ path: 'large', version: 'x' }, 'unsupported'],
  ])('of %j are refused', async (fields, code) => {
    expect((await client.ask('digests', fields)).header['code']).toBe(code);
  });
});

describe('remembered digests', () => {
  const OLD = { 'mtime-ms': 1_234 };

  /** A file of four blocks, and how often each of them was read since. */
  async function withReads(attributes: Record<string, unknown>) {
    const store = new GatedStore();
    const login = await (await startTestServer({ store })).login();
    await putBlocks(login, 'file', LARGE, attributes);
    const counts = BLOCKS.map((_, index) => store.count(`read file ${index}`));
    const digestsOf = async (fields: Record<string, unknown>) =>
      heldIn(await login.askOk('digests', { path: 'file', ...fields }));
    return { login, digestsOf, reads: () => counts.map((count) => count()) };
  }

  test('are those of the blocks that were sent; the rest is read', async () => {
    const { login, digestsOf, reads } = await withReads(OLD);
    await login.askOk('get', { path: 'file', 'from-block': 1, 'block-count': 2 });
    expect(await digestsOf({ remembered: true })).toEqual(BLOCKS.map(digestOf));
    expect(reads()).toEqual([1, 1, 1, 1]);
    await digestsOf({ remembered: true });
    expect(reads()).toEqual([1, 1, 1, 1]);
  });

  test('are told to nobody who did not ask for them', async () => {
    const { digestsOf, reads } = await withReads(OLD);
    await digestsOf({});
    expect(await digestsOf({ remembered: false })).toEqual(BLOCKS.map(digestOf));
    expect(reads()).toEqual([2, 2, 2, 2]);
  });

  test('end with the content that they are of', async () => {
    const { login, digestsOf, reads } = await withReads(OLD);
    await login.askOk('get', { path: 'file' });
    const other = bytesOf(LARGE.length, 2);
    await putBlocks(login, 'file', other, OLD);
    expect(await digestsOf({ remembered: true })).toEqual(blocksOf(other).map(digestOf));
    expect(reads()).toEqual([2, 2, 2, 2]);
  });

  test('are those of a file whose time is yet to come, too', async () => {
    const { login, digestsOf, reads } = await withReads({ 'mtime-ms': Date.UTC(2200, 0, 1) });
    await login.askOk('get', { path: 'file' });
    expect(await digestsOf({ remembered: true })).toEqual(BLOCKS.map(digestOf));
    expect(reads()).toEqual([1, 1, 1, 1]);
  });

  test('are none while another change might bear the same time', async () => {
    const { login, digestsOf, reads } = await withReads({});
    await login.askOk('get', { path: 'file' });
    await digestsOf({ remembered: true });
    expect(reads()).toEqual([2, 2, 2, 2]);
  });
});

describe('stat', () => {
  test.each([
    ['small', { type: 'file', size: 1_000, 'mtime-ms': 1_234, mode: 0o600 }],
    ['', { type: 'directory' }],
    ['link', { type: 'symlink', target: 'small' }],
  ])('of %j', async (path, expected) => {
    const { header } = await client.askOk('stat', { path, digest: true });
    expect(header).toMatchObject(expected);
    expect(header).not.toHaveProperty('path');
    expect(header['digest']).toBe(path === 'small' ? fileDigestOf(SMALL) : undefined);
  });

  test('tells the digest only if asked, and the one that is true now', async () => {
    expect((await client.askOk('stat', { path: 'small' })).header).not.toHaveProperty('digest');
    await client.askOk('stat', { path: 'small', digest: true });
    const changed = bytesOf(1_000, 3);
    await putInline(client, 'small', changed);
    const { header } = await client.askOk('stat', { path: 'small', digest: true });
    expect(header['digest']).toBe(fileDigestOf(changed));
  });

  test('tells the digest of what a file holds, though it was changed twice while its time was the same', async () => {
    const root = await temporaryDirectory();
    const clock = new FakeClock(Date.UTC(2030, 0, 1));
    const store = await FileStore.open({ root, files: withoutChangeTimes });
    onTestFinished(() => store[Symbol.asyncDispose]());
    const own = await (await startTestServer({ store, clock })).login();
    const digest = async () => (await own.askOk('stat', { path: 'a', digest: true })).header['digest'];
    const time = new Date(clock.now() - 1_000);
    await putInline(own, 'a', SMALL, { 'mtime-ms': time.getTime() });
    for (const content of [bytesOf(SMALL.length, 3), bytesOf(SMALL.length, 4)]) {
      writeFileSync(join(root, 'a'), content);
      utimesSync(join(root, 'a'), time, time);
      expect(await digest()).toBe(fileDigestOf(content));
    }
  });

  test('of nothing is refused', async () => {
    expect((await client.ask('stat', { path: 'none' })).header['code']).toBe('not-found');
  });
});
