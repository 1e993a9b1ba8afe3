import { SealiftError } from '../errors.ts';
import { BlockMap } from '../transfer/block-map.ts';
import { BLOCK_BYTES, blockCount, blockLength } from '../transfer/blocks.ts';
import { blockDigest, fileDigest, type DigestAlgorithm } from '../transfer/digests.ts';
import type { BlockSource } from './block-source.ts';
import { mapConcurrently } from './tree/concurrency.ts';

/** Blocks read at once: one while the one before is hashed. */
export const READS_AT_ONCE = 2;

/** The digests of a source's blocks, as far as they were read: read once, compared in every attempt. */
export class SourceDigests {
  readonly algorithm: DigestAlgorithm;
  readonly #source: BlockSource;
  readonly #digests = new BlockMap();
  #bytesRead = 0;

  constructor(source: BlockSource, algorithm: DigestAlgorithm) {
    this.#source = source;
    this.algorithm = algorithm;
  }

  /** Bytes of the source, as far as is known. */
  get size(): number {
    return this.#source.size ?? this.#bytesRead;
  }

  /** Takes note of a block that was read; returns its raw digest. Throws `source-changed`. */
  take(index: number, block: Buffer): Buffer {
    assertLength(this.#source, index, block);
    const raw = blockDigest(this.algorithm, block);
    if (!this.#digests.has(index))
      this.#bytesRead = Math.max(this.#bytesRead, index * BLOCK_BYTES + block.length);
    this.#digests.set(index, raw);
    return raw;
  }

  /** Whether a block was read before and is held as it was then: it need not be read again. */
  isKnownAs(held: BlockMap, index: number): boolean {
    const digest = this.#digests.digest(index);
    return digest !== undefined && held.digest(index)?.equals(digest) === true;
  }

  /** The digest of the whole, once all of it was read. */
  whole(): string {
    return fileDigest(this.algorithm, this.#digests.digests(blockCount(this.size)));
  }

  /** Reads ahead, while the server takes the digests of what it holds, until `over` fires. */
  async readUntil(over: AbortSignal): Promise<void> {
    const { size, isRepeatable } = this.#source;
    if (!isRepeatable || size === null) return;
    const blocks = mapConcurrently(this.#unknown(blockCount(size)), READS_AT_ONCE, async (index) => ({
      index,
      bytes: await this.#source.block(index),
    }));
    for await (const { index, bytes } of blocks) {
      if (bytes === undefined) return;
      this.take(index, bytes);
      this.#source.release(index, bytes);
      if (over.aborted) return;
    }
  }

  *#unknown(count: number): Generator<number> {
    for (let index = 0; index < count; index += 1) if (!this.#digests.has(index)) yield index;
  }
}

/** Throws `source-changed` where a block, or that there is none, is not what the size of its source says. Of one that has no size, all are. */
export function assertLength({ size }: BlockSource, index: number, block: Buffer | undefined): void {
  if (size === null) return;
  const wanted = blockLength(size, index);
  const { length } = block ?? { length: 0 };
  if (length === wanted) return;
  throw new SealiftError(
    'source-changed',
    `The source told of ${size} bytes, and brought ${length} for block ${index} instead of ${wanted}.`,
    { hint: 'Nothing was published. A source that does not know its size has to tell null for it.' },
  );
}
