import { describe, expect, test } from 'vitest';
import type { OpenUploadOptions } from '../../../src/storage/store.ts';
import { BlockMap } from '../../../src/transfer/block-map.ts';
import { BLOCK_BYTES } from '../../../src/transfer/blocks.ts';
import type { Subject } from '../store.ts';
import {
  block,
  contentOf,
  digestsOf,
  heldDigests,
  KEY,
  publication,
  record,
  uploadOf,
  uploadOptions,
} from './samples.ts';

/** Two whole blocks and one of 5 bytes. */
const SIZE = 2 * BLOCK_BYTES + 5;
const BLOCKS = { 0: block(0), 1: block(1), 2: block(2, 5) };
const CONTENT = Buffer.concat(Object.values(BLOCKS));

/** What an upload starts from, if the file is of another size than before, or from the published file. */
export function uploadStartContract(subject: Subject): void {
  const open = (given: Partial<OpenUploadOptions> = {}) =>
    subject.store.openUpload(KEY, uploadOptions('file', { size: SIZE, ...given }));
  const put = async (path: string, content: Buffer) => {
    const upload = await subject.store.openUpload('ff-0', uploadOptions(path, { size: content.length }));
    for (let index = 0; index * BLOCK_BYTES < content.length; index += 1)
      await upload.write(index, content.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES));
    return upload.publish(publication(path), content.length, record(path, content.length, { id: 'put' }));
  };

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
}
