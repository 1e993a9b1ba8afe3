import { describe, expect, test } from 'vitest';
import type { OpenUploadOptions, Publication } from '../../../src/storage/store.ts';
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
  record,
  uploadKeys,
  uploadOf,
  uploadOptions,
} from './samples.ts';

/** Two whole blocks and one of 5 bytes. */
const SIZE = 2 * BLOCK_BYTES + 5;
const BLOCKS = { 0: block(0), 1: block(1), 2: block(2, 5) };
const CONTENT = Buffer.concat(Object.values(BLOCKS));

/** What an upload holds: as it was written, found again, cut, or copied. */
export function uploadDataContract(subject: Subject): void {
  const open = (given: Partial<OpenUploadOptions> = {}) =>
    subject.store.openUpload(KEY, uploadOptions('file', { size: SIZE, ...given }));
  const put = async (path: string, content: Buffer, given: Partial<Publication> = {}) => {
    const upload = await subject.store.openUpload('ff-0', uploadOptions(path, { size: content.length }));
    for (let index = 0; index * BLOCK_BYTES < content.length; index += 1)
      await upload.write(index, content.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES));
    return upload.publish(
      publication(path, given),
      content.length,
      record(path, content.length, { id: 'put' }),
    );
  };

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

  // Under what size the blocks were written, under what size the upload is opened again, and what it then holds.
  describe.each([
    ['the size is not known', SIZE, null, { 0: BLOCKS[0], 1: BLOCKS[1] }],
    ['the size was not known', null, SIZE, BLOCKS],
    ['the size was never known', null, null, { 0: BLOCKS[0], 1: BLOCKS[1] }],
    ['the file is longer now', SIZE, SIZE + 1, { 0: BLOCKS[0], 1: BLOCKS[1] }],
    ['the file is shorter now, within the last block', SIZE, SIZE - 1, { ...BLOCKS, 2: block(2, 4) }],
    [
      'the file is shorter now, within another block',
      SIZE,
      BLOCK_BYTES + 7,
      { 0: BLOCKS[0], 1: block(1, 7) },
    ],
    ['the file is shorter now, between blocks', SIZE, BLOCK_BYTES, { 0: BLOCKS[0] }],
    ['the file is empty now', SIZE, 0, {}],
  ])('if %s', (_, before, now, held: Record<number, Buffer>) => {
    test('what is found is whole', async () => {
      await (await uploadOf(subject.store, uploadOptions('file', { size: before }), BLOCKS)).close();
      const upload = await open({ size: now });
      expect(heldDigests(upload.held)).toEqual(digestsOf(held));
      await upload.close();
    });

    test('what is known is held no further than it is whole', async () => {
      const first = await uploadOf(subject.store, uploadOptions('file', { size: before }), BLOCKS);
      await first.close();
      const known = new BlockMap();
      for (const [index, content] of Object.entries(BLOCKS))
        known.set(Number(index), Buffer.from(digestsOf({ 0: content })[0] ?? '', 'hex'));
      const upload = await open({ size: now, known });
      // A block whose length changed may be given up instead of being hashed.
      for (const [index, digest] of Object.entries(heldDigests(upload.held)))
        expect(digest).toBe(digestsOf(held)[Number(index)]);
      expect(upload.held.end).toBeLessThanOrEqual(Object.keys(held).length);
      if (now !== null && now > 0) expect(upload.held.has(0)).toBe(true);
      await upload.close();
    });
  });

  test('what was cut does not come back', async () => {
    await (await uploadOf(subject.store, uploadOptions('file', { size: SIZE }), BLOCKS)).close();
    await (await open({ size: BLOCK_BYTES + 7 })).close();
    const upload = await open();
    expect(heldDigests(upload.held)).toEqual(digestsOf({ 0: BLOCKS[0] }));
    await upload.close();
  });

  describe('base', () => {
    test('none drops what was held', async () => {
      await (await uploadOf(subject.store, uploadOptions('file', { size: SIZE }), BLOCKS)).close();
      for (const base of ['none', 'partial'] as const) {
        const upload = await open({ base });
        expect(upload.base).toBe('none');
        expect(heldDigests(upload.held)).toEqual({});
        await upload.close();
      }
    });

    test('existing starts from the published file', async () => {
      await put('file', CONTENT);
      const copied: number[] = [];
      const upload = await open({ base: 'existing', onProgress: (bytes) => copied.push(bytes) });
      expect(upload.base).toBe('existing');
      expect(heldDigests(upload.held)).toEqual(digestsOf(BLOCKS));
      expect(copied).toEqual([BLOCK_BYTES, 2 * BLOCK_BYTES, SIZE]);
      await upload.write(1, block(9));
      expect((await contentOf(subject.store, 'file')).equals(CONTENT)).toBe(true);
      await upload.publish(publication('file'), SIZE, record('file', SIZE));
      const changed = Buffer.concat([BLOCKS[0], block(9), BLOCKS[2]]);
      expect((await contentOf(subject.store, 'file')).equals(changed)).toBe(true);
    });

    test.each([
      ['longer', SIZE + BLOCK_BYTES, { 0: BLOCKS[0], 1: BLOCKS[1] }],
      ['shorter', BLOCK_BYTES + 7, { 0: BLOCKS[0], 1: block(1, 7) }],
      ['of unknown size', null, { 0: BLOCKS[0], 1: BLOCKS[1] }],
      ['empty', 0, {}],
    ])('existing for a file that is %s holds what fits', async (_, size, held) => {
      await put('file', CONTENT);
      const upload = await open({ base: 'existing', size });
      expect(upload.base).toBe('existing');
      expect(heldDigests(upload.held)).toEqual(digestsOf(held));
      await upload.close();
    });

    test('existing goes on with what is held already', async () => {
      await put('file', CONTENT);
      await (await uploadOf(subject.store, uploadOptions('file', { size: SIZE }), { 0: block(9) })).close();
      const upload = await open({ base: 'existing' });
      expect(upload.base).toBe('partial');
      expect(heldDigests(upload.held)).toEqual(digestsOf({ 0: block(9) }));
      await upload.close();
    });

    test('existing starts from nothing where no file stands', async () => {
      await subject.store.mkdir('directory', {});
      for (const path of ['missing', 'missing/below', 'directory']) {
        const upload = await open({ base: 'existing', path });
        expect(upload.base).toBe('none');
        expect(heldDigests(upload.held)).toEqual({});
        await upload.discard();
      }
    });
  });

  test('an upload below a file is refused before anything is sent', async () => {
    await put('file', CONTENT);
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
