import { expect, test } from 'vitest';
import type { OpenUploadOptions } from '../../../src/storage/store.ts';
import { BlockMap } from '../../../src/transfer/block-map.ts';
import { BLOCK_BYTES } from '../../../src/transfer/blocks.ts';
import { isBlake3Available } from '../../../src/transfer/digests.ts';
import type { Subject } from '../store.ts';
import {
  block,
  codeOf,
  contentOf,
  digestsOf,
  heldDigests,
  KEY,
  publication,
  putText,
  record,
  uploadKeys,
  uploadOf,
  uploadOptions,
} from './samples.ts';

/** Two whole blocks and one of 5 bytes. */
const SIZE = 2 * BLOCK_BYTES + 5;
const BLOCKS = { 0: block(0), 1: block(1), 2: block(2, 5) };
const CONTENT = Buffer.concat(Object.values(BLOCKS));

/** What an upload holds: as it was written, and as it is found again. */
export function uploadDataContract(subject: Subject): void {
  const open = (given: Partial<OpenUploadOptions> = {}) =>
    subject.store.openUpload(KEY, uploadOptions('file', { size: SIZE, ...given }));

  test('a new upload holds nothing, and is kept', async () => {
    const upload = await open();
    expect(upload.base).toBe('none');
    expect(heldDigests(upload.held)).toEqual({});
    expect(await uploadKeys(subject.store)).toEqual([KEY]);
    await upload.close();
  });

  test('blocks are written in any order and at once', async () => {
    const upload = await open();
    await Promise.all([upload.write(2, BLOCKS[2]), upload.write(0, BLOCKS[0])]);
    await upload.write(1, block(9));
    await upload.write(1, BLOCKS[1]);
    const entry = await upload.publish(publication('file'), SIZE, record('file', SIZE));
    expect(entry).toEqual(await subject.store.stat('file'));
    expect((await contentOf(subject.store, 'file')).equals(CONTENT)).toBe(true);
  });

  test('a buffer may be used again once it was written', async () => {
    const upload = await open({ size: 4 });
    const content = Buffer.from('text');
    await upload.write(0, content);
    content.fill('x');
    await upload.publish(publication('file'), 4, record('file', 4));
    expect((await contentOf(subject.store, 'file')).toString()).toBe('text');
  });

  test.each(['the same process', 'a restart'])('what is held is found by hashing in %s', async (when) => {
    await (await uploadOf(subject.store, uploadOptions('file', { size: SIZE }), BLOCKS)).close();
    if (when === 'a restart') await subject.reopen();
    const algorithm = isBlake3Available() ? 'blake3' : 'sha256';
    for (const each of ['sha256', algorithm] as const) {
      const hashed: number[] = [];
      const upload = await open({ algorithm: each, onProgress: (bytes) => hashed.push(bytes) });
      expect(upload.base).toBe('partial');
      expect(heldDigests(upload.held)).toEqual(digestsOf(BLOCKS, each));
      expect(hashed).toEqual([BLOCK_BYTES, 2 * BLOCK_BYTES, SIZE]);
      await upload.close();
    }
    const upload = await open();
    await upload.publish(publication('file'), SIZE, record('file', SIZE));
    expect((await contentOf(subject.store, 'file')).equals(CONTENT)).toBe(true);
  });

  test('a gap holds nothing, or zeros', async () => {
    await (await uploadOf(subject.store, uploadOptions('file', { size: SIZE }), { 2: BLOCKS[2] })).close();
    const upload = await open();
    const zeros = digestsOf({ 0: Buffer.alloc(BLOCK_BYTES) })[0];
    const digests = heldDigests(upload.held);
    expect([zeros, undefined]).toContain(digests[0]);
    expect([zeros, undefined]).toContain(digests[1]);
    expect(digests[2]).toBe(digestsOf(BLOCKS)[2]);
    await upload.close();
  });

  test('what is known to be held is not hashed again', async () => {
    await (await uploadOf(subject.store, uploadOptions('file', { size: SIZE }), BLOCKS)).close();
    const known = new BlockMap();
    known.set(0, Buffer.alloc(32, 7));
    known.set(2, Buffer.alloc(32, 9));
    const upload = await open({ known });
    expect(upload.base).toBe('partial');
    expect(heldDigests(upload.held)).toEqual({ 0: '07'.repeat(32), 2: '09'.repeat(32) });
    await upload.close();
  });

  test('what is known is not believed where the data is gone', async () => {
    await (await uploadOf(subject.store, uploadOptions('file', { size: SIZE }), BLOCKS)).discard();
    const known = new BlockMap();
    known.set(0, Buffer.alloc(32, 7));
    const upload = await open({ known });
    expect(upload.base).toBe('none');
    expect(heldDigests(upload.held)).toEqual({});
    await upload.close();
  });

  test('an upload below a file is refused before anything is sent', async () => {
    await putText(subject.store, 'file', 'text');
    expect(await codeOf(open({ path: 'file/below' }))).toBe('not-directory');
    expect(await uploadKeys(subject.store)).toEqual([]);
  });

  test('uploads tells how much is kept under which key, and when it was written', async () => {
    const upload = await uploadOf(subject.store, uploadOptions('file', { size: SIZE }), BLOCKS);
    const other = await subject.store.openUpload('ee-1', uploadOptions('file', { size: 3 }));
    const listed = async () =>
      (await Array.fromAsync(subject.store.uploads())).sort((a, b) => a.bytes - b.bytes);
    const expected = [
      { key: 'ee-1', bytes: 0 },
      { key: KEY, bytes: SIZE },
    ];
    expect(await listed()).toMatchObject(expected);
    await upload.close();
    await other.close();
    await subject.reopen();
    expect(await listed()).toMatchObject(expected);
    for (const { lastWrittenMs } of await listed()) expect(Number.isSafeInteger(lastWrittenMs)).toBe(true);
  });
}
