/** Bytes of a block: the unit of transfer, of digests and of resuming (SPEC.md, "Vocabulary"). */
export const BLOCK_BYTES = 1_048_576;

/** The largest file, in bytes: 16 TiB, the limit of ext4. Its digest list takes 512 MiB. */
export const MAX_FILE_BYTES = 16 * 2 ** 40;

/** How many blocks a file of `size` bytes has; an empty file has none. */
export function blockCount(size: number): number {
  return Math.ceil(size / BLOCK_BYTES);
}

/** The length in bytes of block `index` of a file of `size` bytes; 0 beyond its end. */
export function blockLength(size: number, index: number): number {
  return Math.max(0, Math.min(BLOCK_BYTES, size - index * BLOCK_BYTES));
}

/** A run of neighbouring blocks: `count` of them from block `first`. */
export interface BlockRange {
  first: number;
  count: number;
}

/** The ascending runs of blocks among the first `count` for which `wanted` says yes. */
export function blockRanges(count: number, wanted: (index: number) => boolean): BlockRange[] {
  const ranges: BlockRange[] = [];
  let current: BlockRange | undefined;
  for (let index = 0; index < count; index += 1) {
    if (!wanted(index)) {
      current = undefined;
    } else if (current) {
      current.count += 1;
    } else {
      current = { first: index, count: 1 };
      ranges.push(current);
    }
  }
  return ranges;
}
