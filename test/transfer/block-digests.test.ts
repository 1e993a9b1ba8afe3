import { expect, test } from 'vitest';

import { nextTurn } from '../../src/clock.ts';
import { blockDigests } from '../../src/transfer/block-digests.ts';
import { blockDigest } from '../../src/transfer/digests.ts';

const blockOf = (index: number) => Buffer.alloc(1_000 + index, index);

test('digests come in their order, without blocks that are not there', async () => {
  const digests = blockDigests('sha256', 5, (index, target) =>
    Promise.resolve(index === 2 ? undefined : blockOf(index).copy(target)),
  );
  expect(await Array.fromAsync(digests)).toEqual(
    [0, 1, 3, 4].map((index) => ({ index, digest: blockDigest('sha256', blockOf(index)) })),
  );
});

test('memory is taken for the longest of them only', async () => {
  const lengths: number[] = [];
  const read = (index: number, target: Buffer) => {
    lengths.push(target.length);
    return Promise.resolve(blockOf(index).copy(target));
  };
  await Array.fromAsync(blockDigests('sha256', 3, read, 1_002));
  expect(lengths).toEqual([1_002, 1_002, 1_002]);
});

test('of no block there is no digest, and nothing is read', async () => {
  const digests = blockDigests('sha256', 0, () => Promise.reject(new Error('read')));
  expect(await Array.fromAsync(digests)).toEqual([]);
});

test('a failure is told when its turn comes', async () => {
  const digests = blockDigests('sha256', 3, (index, target) =>
    index === 1 ? Promise.reject(new Error('the disk')) : Promise.resolve(blockOf(index).copy(target)),
  );
  expect((await digests.next()).value).toMatchObject({ index: 0 });
  await expect(digests.next()).rejects.toThrow('the disk');
});

test('whoever stops early has no read under way any more', async () => {
  const second = Promise.withResolvers<number>();
  const digests = blockDigests('sha256', 3, (index, target) =>
    index === 1 ? second.promise : Promise.resolve(blockOf(index).copy(target)),
  );
  await digests.next();
  let hasStopped = false;
  const stopping = digests.return(undefined).then(() => (hasStopped = true));
  await nextTurn();
  expect(hasStopped).toBe(false);
  second.resolve(0);
  await stopping;
});
