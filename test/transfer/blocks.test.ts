import { describe, expect, test } from 'vitest';
import {
  blockCount,
  blockLength,
  blockRanges,
  BLOCK_BYTES,
  MAX_FILE_BYTES,
} from '../../src/transfer/blocks.ts';

const MIB = 1_048_576;

test('a block is 1 MiB, and the largest file 16 TiB', () => {
  expect(BLOCK_BYTES).toBe(MIB);
  expect(MAX_FILE_BYTES).toBe(16 * 1024 ** 4);
});

test.each([
  [0, 0, []],
  [1, 1, [1]],
  [MIB - 1, 1, [MIB - 1]],
  [MIB, 1, [MIB]],
  [MIB + 1, 2, [MIB, 1]],
  [3 * MIB, 3, [MIB, MIB, MIB]],
  [3 * MIB + 5, 4, [MIB, MIB, MIB, 5]],
])('a file of %i bytes has %i blocks, of %j bytes', (size, count, lengths) => {
  expect(blockCount(size)).toBe(count);
  expect(lengths.map((_, index) => blockLength(size, index))).toEqual(lengths);
  expect(blockLength(size, count)).toBe(0);
  expect(blockLength(size, count + 1)).toBe(0);
});

test('the arithmetic is exact up to the largest file', () => {
  expect(blockCount(MAX_FILE_BYTES)).toBe(2 ** 24);
  expect(blockCount(MAX_FILE_BYTES - MIB + 1)).toBe(2 ** 24);
  expect(blockCount(MAX_FILE_BYTES - MIB)).toBe(2 ** 24 - 1);
  expect(blockLength(MAX_FILE_BYTES - 1, 2 ** 24 - 1)).toBe(MIB - 1);
});

describe('runs of blocks', () => {
  test.each([
    ['', []],
    ['....', []],
    ['xxxx', [[0, 4]]],
    [
      'x..x',
      [
        [0, 1],
        [3, 1],
      ],
    ],
    [
      '.xx.xxx.',
      [
        [1, 2],
        [4, 3],
      ],
    ],
  ])('of %j', (blocks, runs) => {
    const ranges = blockRanges(blocks.length, (index) => blocks[index] === 'x');
    expect(ranges.map(({ first, count }) => [first, count])).toEqual(runs);
  });

  test('end with the first blocks that were asked about', () => {
    expect(blockRanges(3, () => true)).toEqual([{ first: 0, count: 3 }]);
  });
});
