import { BLOCK_BYTES } from './blocks.ts';
import { blockDigest, type DigestAlgorithm } from './digests.ts';

/** Reads block `index` into the start of `target`; resolves with its length in bytes, or undefined if it is not there. */
export type ReadBlock = (index: number, target: Buffer) => Promise<number | undefined>;

/**
 * The raw digests of the first `count` blocks that are there, in their order; each is read while the one before is hashed.
 * None is longer than `maxBytes`: memory for a whole block, for each of many small files, keeps the garbage collector busy.
 */
export async function* blockDigests(
  algorithm: DigestAlgorithm,
  count: number,
  read: ReadBlock,
  maxBytes = BLOCK_BYTES,
): AsyncGenerator<{ index: number; digest: Buffer }> {
  const buffers = Array.from({ length: Math.min(count, 2) }, () => Buffer.allocUnsafeSlow(maxBytes));
  const bufferOf = (index: number) => buffers[index % 2] as Buffer;
  let reading = begin(0);
  try {
    for (let index = 0; index < count; index += 1) {
      const length = await reading;
      reading = begin(index + 1);
      if (length === undefined) continue;
      yield { index, digest: blockDigest(algorithm, bufferOf(index).subarray(0, length)) };
    }
  } finally {
    // Whoever needs no more may close what is being read from.
    await reading.catch(() => undefined);
  }

  function begin(index: number): Promise<number | undefined> {
    const begun = index < count ? read(index, bufferOf(index)) : Promise.resolve(undefined);
    // That it failed is told when its turn comes.
    begun.catch(() => undefined);
    return begun;
  }
}
