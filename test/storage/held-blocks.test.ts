import { expect, test } from 'vitest';
import { blocksStillHeld } from '../../src/storage/held-blocks.ts';
import { BlockMap } from '../../src/transfer/block-map.ts';
import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';

/** A map that holds the blocks `indexes`. */
function mapOf(...indexes: number[]): BlockMap {
  const map = new BlockMap();
  for (const index of indexes) map.set(index, Buffer.alloc(32, index + 1));
  return map;
}

function indexesOf(map: BlockMap): number[] {
  return Array.from({ length: map.end }, (_, index) => index).filter((index) => map.has(index));
}

// What is known, how many blocks of data there are, how many are declared, and what is still held.
test.each<[known: number[], blocks: number, declared: number | null, isCut: boolean, held: number[]]>([
  [[0, 1, 2], 3, 3, false, [0, 1, 2]],
  [[0, 2], 3, 3, false, [0, 2]],
  [[0, 1, 2], 3, null, false, [0, 1, 2]],
  [[0, 1, 2], 2.5, 2.5, false, [0, 1, 2]],
  [[0, 1, 2], 2.5, 2.5, true, [0, 1]],
  [[0, 1, 2], 2.5, 2.6, false, [0, 1]],
  [[0, 1, 2], 2.5, null, false, [0, 1]],
  [[0, 1, 2], 2, 2, true, [0, 1]],
  // More than the data can hold: nobody should say so, and nobody is believed.
  [[0, 1, 2], 2, 2, false, [0, 1]],
  [[0, 1, 5], 2, 6, false, [0, 1]],
  [[5], 0.5, 0.5, false, []],
])(
  'of blocks %j, in %d blocks of %d declared (cut: %s), %j are held',
  (known, blocks, declared, isCut, held) => {
    const bytes = blocks * BLOCK_BYTES;
    const size = declared === null ? null : Math.round(declared * BLOCK_BYTES);
    const map = mapOf(...known);
    const kept = blocksStillHeld(map, { bytes, size, isCut });
    expect(indexesOf(kept)).toEqual(held);
    for (const index of held) expect(kept.digest(index)).toEqual(map.digest(index));
  },
);

test('a list of what is held does not reach beyond it', () => {
  const kept = blocksStillHeld(mapOf(0, 1, 2), { bytes: BLOCK_BYTES, size: BLOCK_BYTES, isCut: true });
  expect(kept.end).toBe(1);
});

test('what lies far out does not take long to be found', () => {
  const far = 2 ** 45;
  const kept = blocksStillHeld(mapOf(3, far), {
    bytes: far * BLOCK_BYTES,
    size: (far + 1) * BLOCK_BYTES,
    isCut: false,
  });
  expect([kept.heldCount, kept.has(3)]).toEqual([1, true]);
});
