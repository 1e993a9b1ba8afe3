import { describe, expect, test } from 'vitest';
import { BlockMap, DigestListReader } from '../../src/transfer/block-map.ts';
import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';

/** A raw digest that is all this byte. */
function digest(byte: number): Buffer {
  return Buffer.alloc(32, byte);
}

/** A map that holds the blocks at these indexes. */
function holding(...indexes: number[]): BlockMap {
  const map = new BlockMap();
  for (const index of indexes) map.set(index, digest(index + 1));
  return map;
}

describe('holding blocks', () => {
  test('an empty map holds nothing', () => {
    const map = new BlockMap();
    expect([map.heldCount, map.end, map.has(0), map.digest(0)]).toEqual([0, 0, false, undefined]);
  });

  // 1023 and 1024 lie on two pages of the map.
  test.each([0, 1, 1023, 1024, 2 ** 24 - 1])(
    'block %i is held with its digest, and its neighbours are not',
    (index) => {
      const map = new BlockMap();
      map.set(index, digest(7));
      expect(map.digest(index)).toEqual(digest(7));
      expect([map.has(index - 1), map.has(index), map.has(index + 1)]).toEqual([false, true, false]);
      expect([map.heldCount, map.end]).toEqual([1, index + 1]);
    },
  );

  test('a block held again counts once and has the later digest', () => {
    const map = holding(0);
    map.set(0, digest(9));
    expect([map.heldCount, map.digest(0)]).toEqual([1, digest(9)]);
  });

  test('the digest given is copied', () => {
    const map = new BlockMap();
    const given = digest(7);
    map.set(0, given);
    given.fill(0);
    expect(map.digest(0)).toEqual(digest(7));
  });

  test('a block let go is not held any more; one that never was changes nothing', () => {
    const map = holding(0, 1);
    for (const index of [1, 1, 2, 5000]) map.delete(index);
    expect([map.heldCount, map.has(0), map.has(1), map.end]).toEqual([1, true, false, 2]);
  });
});

describe('whether a file is complete', () => {
  test.each([
    [[], 0, true],
    [[], 1, false],
    [[0], 1, true],
    [[0], BLOCK_BYTES, true],
    [[0], BLOCK_BYTES + 1, false],
    [[0, 1], BLOCK_BYTES + 1, true],
    // As many blocks as needed, but not the right ones, and one too many.
    [[1], 1, false],
    [[0, 2], 2 * BLOCK_BYTES, false],
    [[0, 1], BLOCK_BYTES, false],
    [[0], 0, false],
  ])('blocks %j of a file of %i bytes: %j', (indexes, size, complete) => {
    expect(holding(...indexes).isComplete(size)).toBe(complete);
  });
});

describe('how many bytes are held', () => {
  test.each([
    [[], 0, 0],
    [[], 5, 0],
    [[0], 5, 5],
    [[0], BLOCK_BYTES + 5, BLOCK_BYTES],
    [[1], BLOCK_BYTES + 5, 5],
    [[0, 1], BLOCK_BYTES + 5, BLOCK_BYTES + 5],
    [[0, 2], 2 * BLOCK_BYTES + 5, BLOCK_BYTES + 5],
    [[0, 1], null, 2 * BLOCK_BYTES],
    // More than there is cannot be held.
    [[7], 0, 0],
    [[7], 5, 5],
  ])('blocks %j of a file of %j bytes: %i', (indexes, size, bytes) => {
    expect(holding(...indexes).heldBytes(size)).toBe(bytes);
  });
});

describe('digest lists', () => {
  test('all digests up to a count, zeros for what is not held', () => {
    expect([...holding(1, 3).digests(5)]).toEqual([digest(0), digest(2), digest(0), digest(4), digest(0)]);
    expect([...holding(1, 3).digests(2)]).toEqual([digest(0), digest(2)]);
  });

  test.each([
    [[], 4, []],
    [[0], 4, ['01']],
    [[1, 2], 2, ['0002', '03']],
    [[0, 3], 2, ['0100', '0004']],
    [[0, 1, 2, 3], 2, ['0102', '0304']],
    [[2], 1, ['00', '00', '03']],
  ])('blocks %j, %i digests a page, are written as %j', (indexes, pageDigests, pages) => {
    // Every digest repeats one byte, so the first byte of each stands for all of it.
    const short = (page: Buffer) =>
      Buffer.from(page.filter((_, offset) => offset % 32 === 0)).toString('hex');
    const written = [...holding(...indexes).pages(pageDigests)];
    expect(written.map(short)).toEqual(pages);
    expect(written.map(({ length }) => length)).toEqual(pages.map((page) => 16 * page.length));
  });

  test('end with the highest block ever held, also if it was let go', () => {
    const map = holding(0, 2);
    map.delete(2);
    expect(Buffer.concat([...map.pages(9)])).toEqual(Buffer.concat([digest(1), digest(0), digest(0)]));
  });

  test('are read page after page; zeros are blocks not held', () => {
    const reader = new DigestListReader();
    expect(reader.push(Buffer.concat([digest(1), digest(0)]), 4)).toBe(true);
    expect(reader.push(Buffer.alloc(0), 4)).toBe(true);
    expect(reader.push(Buffer.concat([digest(0), digest(4)]), 4)).toBe(true);
    expect(reader.count).toBe(4);
    expect([...reader.map.digests(4)]).toEqual([digest(1), digest(0), digest(0), digest(4)]);
    expect(reader.map.heldCount).toBe(2);
  });

  test.each([
    ['half a digest', Buffer.alloc(16, 1)],
    ['a digest and a byte', Buffer.alloc(33, 1)],
    ['more than the file has blocks', Buffer.alloc(3 * 32, 1)],
  ])('%s is refused, and nothing of it is taken', (_, page) => {
    const reader = new DigestListReader();
    expect(reader.push(digest(1), 3)).toBe(true);
    expect(reader.push(page, 3)).toBe(false);
    expect([reader.count, reader.map.heldCount]).toEqual([1, 1]);
  });
});
