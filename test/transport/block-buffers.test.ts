import { expect, test } from 'vitest';

import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { blockBuffers } from '../../src/transport/block-buffers.ts';

test.each([
  [BLOCK_BYTES, BLOCK_BYTES],
  [BLOCK_BYTES / 4 + 1, BLOCK_BYTES],
  [BLOCK_BYTES / 4, BLOCK_BYTES / 4],
  [65_537, BLOCK_BYTES / 4],
])('memory of %i bytes that was given back is lent again for up to %i', (length, most) => {
  const first = blockBuffers.take(length);
  expect(first).toHaveLength(length);
  expect(blockBuffers.sizeFor(length)).toBe(first.buffer.byteLength);
  blockBuffers.give(first);
  const second = blockBuffers.take(most);
  expect(second.buffer).toBe(first.buffer);
  expect(second).toHaveLength(most);
});

test('memory given back twice is not lent to two', () => {
  const first = blockBuffers.take(BLOCK_BYTES);
  blockBuffers.give(first);
  blockBuffers.give(first.subarray(1));
  const taken = [blockBuffers.take(BLOCK_BYTES), blockBuffers.take(BLOCK_BYTES)];
  expect(taken[0]?.buffer).not.toBe(taken[1]?.buffer);
});

test.each([
  ['a small one', blockBuffers.take(1_000)],
  ['one that is allocated as it comes', blockBuffers.take(65_536)],
  ['one larger than a block', blockBuffers.take(BLOCK_BYTES + 1)],
  ['one from elsewhere', Buffer.alloc(BLOCK_BYTES)],
])('%s is never lent again', (_, buffer) => {
  blockBuffers.give(buffer);
  expect(blockBuffers.take(BLOCK_BYTES).buffer).not.toBe(buffer.buffer);
});

test('small ones do not overlap', () => {
  const many = Array.from({ length: 100 }, (_, index) => blockBuffers.take(16_384 - index).fill(index));
  for (const [index, buffer] of many.entries())
    expect(buffer.equals(Buffer.alloc(16_384 - index, index))).toBe(true);
});

test('only so many are kept', () => {
  const many = Array.from({ length: 40 }, () => blockBuffers.take(BLOCK_BYTES));
  for (const buffer of many) blockBuffers.give(buffer);
  const memories = new Set(many.map(({ buffer }) => buffer));
  const again = Array.from({ length: 40 }, () => blockBuffers.take(BLOCK_BYTES));
  expect(again.filter(({ buffer }) => memories.has(buffer))).toHaveLength(32);
});
