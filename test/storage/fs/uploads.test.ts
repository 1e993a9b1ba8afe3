import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  renameSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { describe, expect, test } from 'vitest';
import { systemFiles } from '../../../src/storage/fs/file-system.ts';
import { FileStore } from '../../../src/storage/fs/fs-store.ts';
import type { StoredUpload } from '../../../src/storage/store.ts';
import { BLOCK_BYTES } from '../../../src/transfer/blocks.ts';
import {
  ABSENT,
  ANY,
  block,
  codeOf,
  contentOf,
  digestsOf,
  heldDigests,
  KEY,
  publication,
  putText,
  record,
  textOf,
  uploadKeys,
  uploadOf,
  uploadOptions,
} from '../../contract/store/samples.ts';
import { FaultyFiles } from '../../support/faulty-files.ts';
import { useFileStore } from './file-store.ts';

let files: FaultyFiles;
const subject = useFileStore(() => (files = new FaultyFiles()));

const SIZE = 2 * BLOCK_BYTES + 5;
const BLOCKS = { 0: block(0), 1: block(1), 2: block(2, 5) };
const options = uploadOptions('file', { size: SIZE });
const dataPath = () => subject.root.at('.sealift', 'uploads', KEY);

/** What an upload is found to hold when it is opened again after `change` was made to its data. */
async function heldAfter(change: () => void): Promise<Record<number, string>> {
  await (await uploadOf(subject.store, options, BLOCKS)).close();
  change();
  const upload = await subject.store.openUpload(KEY, options);
  await upload.discard();
  return heldDigests(upload.held);
}

describe('data that could not be brought to the disk is held no more, and has to be written again', () => {
  const failedToPublish = async (call: string) => {
    const upload = await uploadOf(subject.store, options, BLOCKS);
    files.failNamed(call, 'EIO', { path: KEY });
    const published = upload.publish(publication('file', { durability: 'disk' }), SIZE, record('file', SIZE));
    expect(await codeOf(published)).toBe('internal');
  };

  test.each(['file.sync', 'file.close'])('%s failed', async (call) => {
    await failedToPublish(call);
    files.heal();
    const again = await subject.store.openUpload(KEY, options);
    expect(again.held.heldCount).toBe(0);
    for (const [index, content] of Object.entries(BLOCKS)) await again.write(Number(index), content);
    await again.publish(publication('file', { durability: 'disk' }), SIZE, record('file', SIZE));
    expect((await contentOf(subject.store, 'file')).equals(Buffer.concat(Object.values(BLOCKS)))).toBe(true);
  });

  test.each<[string, (upload: StoredUpload) => Promise<unknown>]>([
    ['it was only closed', (upload) => upload.close()],
    [
      'its publication was refused',
      (upload) => upload.publish(publication('taken', ABSENT), SIZE, record('taken', SIZE)),
    ],
  ])('file.close failed where %s', async (_, end) => {
    await putText(subject.store, 'taken', 'text');
    const upload = await uploadOf(subject.store, options, BLOCKS);
    files.failNamed('file.close', 'EIO', { path: KEY });
    expect(await codeOf(end(upload))).toBe('internal');
    files.heal();
    const again = await subject.store.openUpload(KEY, options);
    expect(again.held.heldCount).toBe(0);
    await again.discard();
  });

  test('also where it cannot be removed', async () => {
    const upload = await uploadOf(subject.store, options, BLOCKS);
    files.heal(({ name, path }) =>
      ['file.sync', 'unlink'].includes(name) && path.endsWith(KEY) ? 'EIO' : undefined,
    );
    const published = upload.publish(publication('file', { durability: 'disk' }), SIZE, record('file', SIZE));
    expect(await codeOf(published)).toBe('internal');
    files.heal();
    const again = await subject.store.openUpload(KEY, options);
    expect(again.held.heldCount).toBe(0);
    await again.discard();
  });
});

test('a tail that did not reach the disk whole is not held', async () => {
  expect(await heldAfter(() => truncateSync(dataPath(), SIZE - 1))).toEqual(
    digestsOf({ 0: BLOCKS[0], 1: BLOCKS[1] }),
  );
  expect(await heldAfter(() => truncateSync(dataPath(), BLOCK_BYTES + 1))).toEqual(
    digestsOf({ 0: BLOCKS[0] }),
  );
  expect(await heldAfter(() => truncateSync(dataPath(), 5))).toEqual({});
});

test('a tail that a loss of power left as zeros is held as zeros, which are not what was sent', async () => {
  const zeros = Buffer.alloc(BLOCK_BYTES);
  const held = await heldAfter(() => {
    truncateSync(dataPath(), BLOCK_BYTES);
    truncateSync(dataPath(), SIZE);
  });
  expect(held).toEqual(digestsOf({ 0: BLOCKS[0], 1: zeros, 2: zeros.subarray(0, 5) }));
});

test('bytes beyond the declared size are dropped', async () => {
  expect(await heldAfter(() => appendFileSync(dataPath(), 'more'))).toEqual(digestsOf(BLOCKS));
});

test('an upload is tried from the published file if nothing of it is whole', async () => {
  await putText(subject.store, 'file', 'text');
  writeFileSync(dataPath(), 'torn');
  const upload = await subject.store.openUpload(KEY, { ...options, base: 'existing' });
  expect(upload.base).toBe('existing');
  expect(heldDigests(upload.held)).toEqual({});
  await upload.close();
});

test('writes that the system cuts short are completed', async () => {
  files.shortenWrites(100_001);
  await putText(subject.store, 'inline', 'text'.repeat(200_000));
  const upload = await uploadOf(subject.store, options, BLOCKS);
  await upload.publish(publication('file'), SIZE, record('file', SIZE));
  expect(await textOf(subject.store, 'inline')).toBe('text'.repeat(200_000));
  expect((await contentOf(subject.store, 'file')).equals(Buffer.concat(Object.values(BLOCKS)))).toBe(true);
});

test('a disk that takes no more bytes without saying why does not hang anybody', async () => {
  files.shortenWrites(0);
  expect(await codeOf(putText(subject.store, 'file', 'text'))).toBe('no-space');
  const upload = await subject.store.openUpload(KEY, options);
  expect(await codeOf(upload.write(0, BLOCKS[0]))).toBe('no-space');
  await upload.close();
});

test('a failed write is sticky, and what is held afterwards is found by hashing', async () => {
  const upload = await uploadOf(subject.store, options, { 0: BLOCKS[0] });
  files.failNamed('file.write', 'ENOSPC');
  expect(await codeOf(upload.write(1, BLOCKS[1]))).toBe('no-space');
  expect(await codeOf(upload.write(1, BLOCKS[1]))).toBe('no-space');
  expect(await codeOf(upload.publish(publication('file'), SIZE, record('file', SIZE)))).toBe('no-space');
  const again = await subject.store.openUpload(KEY, options);
  expect(heldDigests(again.held)).toEqual(digestsOf({ 0: BLOCKS[0] }));
  for (const index of [1, 2] as const) await again.write(index, BLOCKS[index]);
  await again.publish(publication('file'), SIZE, record('file', SIZE));
  expect((await subject.store.stat('file')).size).toBe(SIZE);
  expect(files.openCount).toBe(5);
});

test('an upload whose publication failed is as young as it was, whatever time its file was to bear', async () => {
  const upload = await uploadOf(subject.store, options, BLOCKS);
  const [before] = await Array.fromAsync(subject.store.uploads());
  files.failNamed('rename', 'EIO');
  const failing = upload.publish(publication('file', { mtimeMs: 1000 }), SIZE, record('file', SIZE));
  expect(await codeOf(failing)).toBe('internal');
  const [after] = await Array.fromAsync(subject.store.uploads());
  expect(after?.lastWrittenMs).toBeGreaterThanOrEqual(before?.lastWrittenMs ?? Infinity);
});

test('what is just being published is no upload that could be discarded', async () => {
  const listed: string[][] = [];
  const rename = async (from: string, to: string) => {
    listed.push(await uploadKeys(store));
    await systemFiles.rename(from, to);
  };
  const store = await FileStore.open({ root: subject.root.path, files: { ...systemFiles, rename } });
  await putText(store, 'file', 'text');
  await store.symlink('file', 'target', ANY);
  await store[Symbol.asyncDispose]();
  expect(listed).toEqual([[], []]);
});

test('what a process that died was about to publish is listed and discarded like an upload', async () => {
  files.heal(({ name }) => (['link', 'unlink'].includes(name) ? 'EIO' : undefined));
  expect(await codeOf(putText(subject.store, 'file', 'text', ABSENT))).toBe('internal');
  await subject.reopen();
  const keys = await uploadKeys(subject.store);
  expect(keys).toEqual([expect.stringMatching(/^inline-[0-9a-f]{32}$/)]);
  for (const key of keys) await subject.store.discardUpload(key);
  expect(readdirSync(subject.root.at('.sealift', 'uploads'))).toEqual([]);
});

test('what is no data of an upload is not listed, and what a broken-off link has left is', async () => {
  const at = (name: string) => subject.root.at('.sealift', 'uploads', name);
  await (await uploadOf(subject.store, options, BLOCKS)).close();
  for (const name of ['.nfs000000000012', 'a name', 'UPPER', `${KEY}~`]) writeFileSync(at(name), '');
  mkdirSync(at('0a1b-directory'));
  symlinkSync('target', at('link-0a1b'));
  expect(await uploadKeys(subject.store)).toEqual([KEY, 'link-0a1b']);
  for await (const { key } of subject.store.uploads()) await subject.store.discardUpload(key);
  expect(await uploadKeys(subject.store)).toEqual([]);
});

test('an upload that ends while uploads are listed is no part of the listing', async () => {
  await (await uploadOf(subject.store, options, BLOCKS)).close();
  files.heal(({ name, path }) => {
    if (name === 'lstat' && path.endsWith(KEY)) renameSync(dataPath(), subject.root.at('elsewhere'));
    return undefined;
  });
  expect(await uploadKeys(subject.store)).toEqual([]);
});

test('an upload that cannot be opened leaves nothing, but what was there', async () => {
  await putText(subject.store, 'file', 'text');
  files.failNamed('file.write', 'ENOSPC');
  const existing = uploadOptions('file', { size: 4, base: 'existing' });
  expect(await codeOf(subject.store.openUpload(KEY, existing))).toBe('no-space');
  expect(await uploadKeys(subject.store)).toEqual([]);
  await (await uploadOf(subject.store, options, BLOCKS)).close();
  files.failNamed('file.read', 'EIO');
  expect(await codeOf(subject.store.openUpload(KEY, options))).toBe('internal');
  expect(await uploadKeys(subject.store)).toEqual([KEY]);
});
