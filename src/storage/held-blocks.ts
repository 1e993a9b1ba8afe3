import { isSealiftError } from '../errors.ts';
import { BlockMap } from '../transfer/block-map.ts';
import { BLOCK_BYTES, blockLength } from '../transfer/blocks.ts';
import { digestsInTurn } from './hashing.ts';
import type { OpenUploadOptions, StoredFile } from './store.ts';

/** What hashing needs to know. */
type HashOptions = Pick<OpenUploadOptions, 'size' | 'algorithm' | 'owner' | 'onProgress' | 'signal'>;

/** Reads `length` bytes from `position` into the start of `target`; false if there are not so many. */
export type ReadBytes = (target: Buffer, position: number, length: number) => Promise<boolean>;

/**
 * Finds out, by hashing them, which blocks the first `bytes` bytes hold. A block that is shorter than it will be
 * is not held; where the size is unknown, that is every short one.
 */
export async function hashBlocks(
  read: ReadBytes,
  bytes: number,
  { size, algorithm, onProgress, ...options }: HashOptions,
): Promise<BlockMap> {
  const held = new BlockMap();
  const readWhole = async (index: number, target: Buffer) => {
    const position = index * BLOCK_BYTES;
    const length = wholeLength(size, index);
    const isThere = position + length <= bytes && (await read(target, position, length));
    return isThere ? length : undefined;
  };
  const digests = digestsInTurn(algorithm, bytes, readWhole, {
    ...options,
    onBlock: (index) => onProgress?.(index * BLOCK_BYTES + wholeLength(size, index)),
  });
  for await (const { index, digest } of digests) held.set(index, digest);
  return held;
}

/**
 * Copies the published file into an upload, as the base to send only changes against: each whole block is hashed
 * as it is copied. Undefined if there is no file to start from.
 */
export async function copyPublished(
  open: (path: string) => Promise<StoredFile>,
  write: (content: Buffer, position: number) => Promise<void>,
  options: HashOptions & Pick<OpenUploadOptions, 'path'>,
): Promise<BlockMap | undefined> {
  const published = await open(options.path).catch(passOverNoFile);
  if (published === undefined) return undefined;
  const copy: ReadBytes = async (target, position, length) => {
    await published.read(target, position, length);
    await write(target.subarray(0, length), position);
    return true;
  };
  try {
    return await hashBlocks(copy, Math.min(published.entry.size, options.size ?? Infinity), options);
  } finally {
    await published.close();
  }
}

/**
 * What is still held of `known` by data of `bytes` bytes, of which `size` are declared now: another size may be
 * declared than when the blocks were written. With `isCut` the data was longer until now, and a short block at
 * its end is the rest of another one.
 */
export function blocksStillHeld(
  known: BlockMap,
  { bytes, size, isCut }: { bytes: number; size: number | null; isCut: boolean },
): BlockMap {
  // Below the last whole block nothing can have changed; mostly that is all there is.
  const firstInDoubt = Math.floor(bytes / BLOCK_BYTES);
  if (known.end <= firstInDoubt) return known;
  const held = new BlockMap();
  for (const index of known.indexes()) {
    const digest = known.digest(index);
    if (digest === undefined) continue;
    const length = wholeLength(size, index);
    const endsWithData = length > 0 && index * BLOCK_BYTES + length === bytes && !isCut;
    if (index < firstInDoubt || endsWithData) held.set(index, digest);
  }
  return held;
}

/** The length that block `index` has once it is whole. */
function wholeLength(size: number | null, index: number): number {
  return size === null ? BLOCK_BYTES : blockLength(size, index);
}

function passOverNoFile(error: unknown): undefined {
  if (!isSealiftError(error, 'not-found', 'is-directory', 'not-directory', 'bad-request')) throw error;
}
