import { expect, test } from 'vitest';
import type { Publication } from '../../../src/storage/store.ts';
import { BLOCK_BYTES } from '../../../src/transfer/blocks.ts';
import type { Subject } from '../store.ts';
import {
  ABSENT,
  block,
  codeOf,
  contentOf,
  digestsOf,
  heldDigests,
  KEY,
  pathsIn,
  publication,
  putText,
  record,
  textOf,
  uploadKeys,
  uploadOf,
  uploadOptions,
} from './samples.ts';

const SIZE = BLOCK_BYTES + 5;
const BLOCKS = { 0: block(0), 1: block(1, 5) };
const CONTENT = Buffer.concat(Object.values(BLOCKS));

/** How an upload ends: published, closed or discarded; and what is remembered of it. */
export function uploadEndsContract(subject: Subject): void {
  const options = uploadOptions('a/file', { size: SIZE });
  const upload = () => uploadOf(subject.store, options, BLOCKS);
  const publish = async (given: Partial<Publication> = {}, id = 'upload-1') =>
    (await upload()).publish(
      publication('a/file', given),
      SIZE,
      record('a/file', SIZE, { id, durability: given.durability ?? 'memory' }),
    );

  test.each(['disk', 'memory'] as const)(
    'publishing with durability %s leaves the file alone',
    async (durability) => {
      const entry = await publish({ durability, mode: 0o604, mtimeMs: 1000 });
      expect(entry).toMatchObject({ path: 'a/file', type: 'file', size: SIZE, mode: 0o604, mtimeMs: 1000 });
      expect(await subject.store.stat('a/file')).toEqual(entry);
      expect((await contentOf(subject.store, 'a/file')).equals(CONTENT)).toBe(true);
      expect(await uploadKeys(subject.store)).toEqual([]);
      expect(await pathsIn(subject.store, '', true)).toEqual(['a', 'a/file']);
    },
  );

  test('an empty upload becomes an empty file', async () => {
    const opened = await uploadOf(subject.store, uploadOptions('file', { size: 0 }), {});
    await opened.publish(publication('file'), 0, record('file', 0));
    expect((await subject.store.stat('file')).size).toBe(0);
    expect(await uploadKeys(subject.store)).toEqual([]);
  });

  test('only the first bytes are published, as many as are said', async () => {
    const opened = await uploadOf(subject.store, uploadOptions('file'), BLOCKS);
    await opened.publish(publication('file'), BLOCK_BYTES + 2, record('file', BLOCK_BYTES + 2));
    const expected = CONTENT.subarray(0, BLOCK_BYTES + 2);
    expect((await contentOf(subject.store, 'file')).equals(expected)).toBe(true);
  });

  test('data that is missing is not made up', async () => {
    const opened = await uploadOf(subject.store, options, { 0: BLOCKS[0] });
    expect(await codeOf(opened.publish(publication('a/file'), SIZE, record('a/file', SIZE)))).toBe(
      'internal',
    );
    expect(await codeOf(subject.store.stat('a/file'))).toBe('not-found');
    const again = await subject.store.openUpload(KEY, options);
    expect(heldDigests(again.held)).toEqual(digestsOf({ 0: BLOCKS[0] }));
    await again.discard();
  });

  test('a reader sees the file that it opened when an upload takes its place', async () => {
    await putText(subject.store, 'a/file', 'before');
    const reader = await subject.store.open('a/file');
    await publish();
    const target = Buffer.alloc(6);
    await reader.read(target, 0, 6);
    expect(target.toString()).toBe('before');
    await reader.close();
    expect((await subject.store.stat('a/file')).size).toBe(SIZE);
  });

  test('uploads of one path do not disturb each other, and the last one stands', async () => {
    const one = await subject.store.openUpload('aa-1', uploadOptions('file', { size: 3 }));
    const other = await subject.store.openUpload('bb-1', uploadOptions('file', { size: 5 }));
    await Promise.all([one.write(0, Buffer.from('one')), other.write(0, Buffer.from('other'))]);
    await one.publish(publication('file'), 3, record('file', 3, { id: 'one' }));
    expect(await textOf(subject.store, 'file')).toBe('one');
    await other.publish(publication('file'), 5, record('file', 5, { id: 'other' }));
    expect(await textOf(subject.store, 'file')).toBe('other');
  });

  test('a publication that fails keeps the data, and may be tried again', async () => {
    const { etag } = await putText(subject.store, 'a/file', 'before');
    const failed = await upload();
    const demanded = publication('a/file', ABSENT);
    expect(await codeOf(failed.publish(demanded, SIZE, record('a/file', SIZE)))).toBe('exists');
    expect((await subject.store.stat('a/file')).etag).toBe(etag);
    expect(await subject.store.published('upload-1')).toBeUndefined();
    expect(await codeOf(failed.write(0, BLOCKS[0]))).toBe('internal');
    await failed.close();
    const again = await subject.store.openUpload(KEY, options);
    expect(heldDigests(again.held)).toEqual(digestsOf(BLOCKS));
    await again.publish(publication('a/file'), SIZE, record('a/file', SIZE));
    expect((await contentOf(subject.store, 'a/file')).equals(CONTENT)).toBe(true);
    expect(await subject.store.published('upload-1')).toMatchObject({ size: SIZE });
  });

  test('an upload whose place was taken by a directory fails and keeps its data', async () => {
    const opened = await upload();
    await subject.store.mkdir('a/file', {});
    const failing = opened.publish(publication('a/file'), SIZE, record('a/file', SIZE));
    expect(await codeOf(failing)).toBe('is-directory');
    expect(await uploadKeys(subject.store)).toEqual([KEY]);
  });

  test('an upload that was closed is of no use, and may be closed again', async () => {
    const opened = await upload();
    await opened.close();
    await opened.close();
    expect(await codeOf(opened.write(0, BLOCKS[0]))).toBe('internal');
    expect(await codeOf(opened.publish(publication('a/file'), SIZE, record('a/file', SIZE)))).toBe(
      'internal',
    );
    expect(await uploadKeys(subject.store)).toEqual([KEY]);
    expect(await codeOf(subject.store.stat('a/file'))).toBe('not-found');
  });

  test('discarding removes the data, open or closed, and may be repeated', async () => {
    for (const close of [false, true]) {
      const opened = await upload();
      if (close) await opened.close();
      await opened.discard();
      await opened.discard();
      expect(await uploadKeys(subject.store)).toEqual([]);
      expect(await codeOf(opened.write(0, BLOCKS[0]))).toBe('internal');
    }
  });

  test('discarding again, or what was published, touches nobody else', async () => {
    const discarded = await upload();
    await discarded.discard();
    const published = await upload();
    await published.publish(publication('a/file'), SIZE, record('a/file', SIZE));
    const later = await upload();
    await discarded.discard();
    await published.discard();
    await published.close();
    expect(await uploadKeys(subject.store)).toEqual([KEY]);
    await later.publish(publication('a/later'), SIZE, record('a/later', SIZE, { id: 'later' }));
    expect((await contentOf(subject.store, 'a/later')).equals(CONTENT)).toBe(true);
    expect((await contentOf(subject.store, 'a/file')).equals(CONTENT)).toBe(true);
  });

  test('discardUpload removes what a former process left, and nothing if nothing is there', async () => {
    await (await upload()).close();
    await subject.reopen();
    await subject.store.discardUpload('ee-1');
    expect(await uploadKeys(subject.store)).toEqual([KEY]);
    await subject.store.discardUpload(KEY);
    await subject.store.discardUpload(KEY);
    expect(await uploadKeys(subject.store)).toEqual([]);
  });

  test.each(['', '../published', 'a/b', 'A'.repeat(3), 'a'.repeat(121)])('%j is no key', async (key) => {
    expect(await codeOf(subject.store.openUpload(key, options))).toBe('internal');
    expect(await uploadKeys(subject.store)).toEqual([]);
  });

  test('a publication is remembered, also after a restart and when the file is another by then', async () => {
    expect(await subject.store.published('upload-1')).toBeUndefined();
    const entry = await publish({ durability: 'disk' });
    const { id, ...expected } = { ...record('a/file', SIZE, { durability: 'disk' }), entry };
    expect(await subject.store.published(id)).toEqual(expected);
    await subject.reopen();
    expect(await subject.store.published(id)).toEqual(expected);
    await putText(subject.store, 'a/file', 'another');
    expect(await subject.store.published(id)).toEqual(expected);
    await subject.store.remove('a', { recursive: true });
    expect(await subject.store.published(id)).toEqual(expected);
    expect(await pathsIn(subject.store, '', true)).toEqual([]);
  });

  test('publications are forgotten by age', async () => {
    await publish();
    await subject.store.forgetPublished(0);
    expect(await subject.store.published('upload-1')).toMatchObject({ path: 'a/file' });
    await subject.store.forgetPublished(Number.MAX_SAFE_INTEGER);
    expect(await subject.store.published('upload-1')).toBeUndefined();
    expect((await subject.store.stat('a/file')).size).toBe(SIZE);
  });

  test('of each owner the oldest publications are forgotten, where they are too many', async () => {
    for (const id of ['many-1', 'one-1', 'many-2', 'many-3']) await publish({}, id);
    await subject.store.forgetPublished(0, 2);
    const known = async (id: string) => (await subject.store.published(id)) !== undefined;
    expect(await known('many-1')).toBe(false);
    for (const id of ['one-1', 'many-2', 'many-3']) expect(await known(id), id).toBe(true);
  });

  test('an id that is none is of no publication', async () => {
    for (const id of ['', '..', '../uploads/x', 'a/b', 'x'.repeat(500)])
      expect(await subject.store.published(id)).toBeUndefined();
  });
}
