import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { copy, startTrees, WAYS } from '../client/tree/tree-setting.ts';
import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { holds } from '../support/properties.ts';
import { setTime } from '../support/planted-tree.ts';
import { blocksOf, bytesOf } from '../support/raw-upload.ts';
import { writeFile } from 'node:fs/promises';

/** Files of few blocks, of which some are alike, and that end anywhere. */
const files = fc
  .record({ blocks: fc.array(fc.nat(1), { maxLength: 3 }), end: fc.constantFrom(0, 1, BLOCK_BYTES - 1) })
  .map(({ blocks, end }) =>
    Buffer.concat([...blocks.map((seed) => bytesOf(BLOCK_BYTES, seed)), bytesOf(end, blocks.length)]),
  );

test.for(WAYS)(
  'of a file that stands in another form, just the blocks are moved that differ, %s',
  async (way, context) => {
    const trees = await startTrees(way, { file: 'new' }, { file: 'old' });
    const [from, to] = [join(trees.source, 'file'), join(trees.target, 'file')];
    let time = 1_000;
    await holds(
      context,
      fc.asyncProperty(files, files, async (wanted, stood) => {
        time += 10_000;
        await writeFile(from, wanted);
        await writeFile(to, stood);
        await setTime(from, time);
        await setTime(to, time - 5_000);
        const { told, isComplete } = await copy(trees.direction({ delta: 'on' }));
        expect(isComplete).toBe(true);
        expect((await readFile(to)).equals(wanted)).toBe(true);
        const had = blocksOf(stood);
        const differing = blocksOf(wanted).filter(
          (block, index) => had[index]?.subarray(0, block.length).equals(block) !== true,
        );
        const differingBytes = differing.reduce((sum, block) => sum + block.length, 0);
        expect(told.outcomes['file']?.movedBytes).toBeLessThanOrEqual(
          wanted.length > BLOCK_BYTES ? differingBytes : wanted.length,
        );
      }),
      { numRuns: 12 },
    );
  },
);
