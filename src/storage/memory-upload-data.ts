import { BLOCK_BYTES, blockCount, blockLength } from '../transfer/blocks.ts';
import type { ReadBytes } from './held-blocks.ts';

/** The data of an upload: blocks by their index. What was not written is not there: there are no holes of zeros. */
export class UploadData {
  readonly #blocks = new Map<number, Buffer>();
  lastWrittenMs: number;

  constructor(nowMs: number) {
    this.lastWrittenMs = nowMs;
  }

  /** Where the last block ends. */
  get bytes(): number {
    return [...this.#blocks].reduce(
      (end, [index, block]) => Math.max(end, index * BLOCK_BYTES + block.length),
      0,
    );
  }

  write(index: number, content: Buffer, nowMs: number): void {
    this.#blocks.set(index, Buffer.from(content));
    this.lastWrittenMs = nowMs;
  }

  /** Drops what lies beyond `size`. */
  cut(size: number): void {
    for (const [index, block] of this.#blocks) {
      const length = blockLength(size, index);
      if (length === 0) this.#blocks.delete(index);
      else this.#blocks.set(index, block.subarray(0, length));
    }
  }

  readonly read: ReadBytes = async (target, position, length) => {
    const block = this.#blocks.get(position / BLOCK_BYTES);
    return block !== undefined && block.copy(target, 0, 0, length) === length;
  };

  /** The first `size` bytes; undefined if some of them are missing. */
  content(size: number): Buffer | undefined {
    const blocks: Buffer[] = [];
    for (let index = 0; index < blockCount(size); index += 1) {
      const block = this.#blocks.get(index)?.subarray(0, blockLength(size, index));
      if (block?.length !== blockLength(size, index)) return undefined;
      blocks.push(block);
    }
    return Buffer.concat(blocks);
  }
}
