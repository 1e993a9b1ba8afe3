import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BlockMap, DigestListReader } from '../../src/transfer/block-map.ts';
import { BLOCK_BYTES, blockCount, blockLength, blockRanges } from '../../src/transfer/blocks.ts';
import { holds } from '../support/properties.ts';

// Around 1024 the map begins a new page.
const index = fc.oneof(fc.nat(6), fc.integer({ min: 1_020, max: 1_030 }));
const steps = fc.array(fc.tuple(index, fc.nat(255)), { maxLength: 30 });

/** Does the steps with a block map and with an ordinary one: a byte is a digest to set, 0 lets the block go. */
function follow(changes: [number, number][]): { map: BlockMap; model: Map<number, number> } {
  const map = new BlockMap();
  const model = new Map<number, number>();
  for (const [at, byte] of changes) {
    if (byte === 0) {
      map.delete(at);
      model.delete(at);
    } else {
      map.set(at, Buffer.alloc(32, byte));
      model.set(at, byte);
    }
  }
  return { map, model };
}

test('a block map says the same as an ordinary map', async (context) => {
  await holds(
    context,
    fc.property(steps, (changes) => {
      const { map, model } = follow(changes);
      expect(map.heldCount).toBe(model.size);
      for (let at = 0; at < 1_035; at += 1) expect(map.digest(at)?.[0]).toBe(model.get(at));
    }),
  );
});

test('what is written as a digest list is read as the same map, whatever the pages', async (context) => {
  await holds(
    context,
    fc.property(steps, fc.integer({ min: 1, max: 2_000 }), (changes, pageDigests) => {
      const { map, model } = follow(changes);
      const reader = new DigestListReader();
      for (const page of map.pages(pageDigests)) {
        expect(page.length).toBeLessThanOrEqual(32 * pageDigests);
        expect(reader.push(page, map.end)).toBe(true);
      }
      expect(reader.count).toBe(map.end);
      expect([...reader.map.digests(map.end)]).toEqual([...map.digests(map.end)]);
      expect(reader.map.heldCount).toBe(model.size);
    }),
  );
});

test('the bytes held are the lengths of the blocks held, and all of them make the file', async (context) => {
  await holds(
    context,
    fc.property(
      fc.nat(5 * BLOCK_BYTES),
      fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
      (size, held) => {
        const map = new BlockMap();
        const count = blockCount(size);
        const indexes = Array.from({ length: count }, (_, at) => at).filter((at) => held[at]);
        for (const at of indexes) map.set(at, Buffer.alloc(32, 1));
        expect(map.heldBytes(size)).toBe(indexes.reduce((sum, at) => sum + blockLength(size, at), 0));
        expect(map.isComplete(size)).toBe(map.heldBytes(size) === size);
      },
    ),
  );
});

test('runs of blocks cover exactly the blocks wanted, in order, and never touch each other', async (context) => {
  await holds(
    context,
    fc.property(fc.array(fc.boolean(), { maxLength: 40 }), (wanted) => {
      const ranges = blockRanges(wanted.length, (at) => wanted[at] === true);
      const covered = ranges.flatMap(({ first, count }) =>
        Array.from({ length: count }, (_, i) => first + i),
      );
      expect(covered).toEqual([...wanted.keys()].filter((at) => wanted[at]));
      for (const [i, range] of ranges.entries()) {
        const next = ranges[i + 1];
        if (next) expect(next.first).toBeGreaterThan(range.first + range.count);
      }
    }),
  );
});
