import { BLOCK_BYTES } from '../transfer/blocks.ts';

/** Buffers of each size kept for reuse. What is given back beyond that is left to the garbage collector. */
export const MAX_KEPT = 32;
/** How large they are, the smallest first: a content takes the first into which it fits. */
const SIZES = [BLOCK_BYTES / 4, BLOCK_BYTES];
/** Contents up to this are allocated as they come: there may be many at once, and each would hold a whole buffer. */
const MAX_ALLOCATED_BYTES = 65_536;
/** Contents up to this are cut from one piece of memory: a piece for each of many small files costs a server a twentieth of its time. */
const MAX_CUT_BYTES = 16_384;
const PIECE_BYTES = 65_536;

/** What is left of the piece that is being cut. */
let rest = Buffer.alloc(0);
const kept = new Map<number, ArrayBuffer[]>(SIZES.map((size) => [size, []]));
// Which memory is lent out: only that can be given back, and only once. Weak, since nobody has to give it back.
const lent = new WeakSet<ArrayBuffer>();

/**
 * Memory for the content of blocks and of files, used again and again: fresh memory has to be mapped and zeroed by the system
 * for each of them, and the garbage collector lets hundreds of them pile up before it looks.
 */
export const blockBuffers = {
  /** How much memory a content of `length` bytes takes, in bytes. */
  sizeFor(length: number): number {
    return pooledSize(length) ?? length;
  },

  /** A buffer of `length` bytes with anything in it. */
  take(length: number): Buffer {
    if (length <= MAX_CUT_BYTES) return cut(length);
    const size = pooledSize(length);
    if (size === undefined) return Buffer.allocUnsafeSlow(length);
    const memory = kept.get(size)?.pop() ?? new ArrayBuffer(size);
    lent.add(memory);
    return Buffer.from(memory, 0, length);
  },

  /** Gives a buffer back that nobody reads or writes any more. One that was not taken here is left alone. */
  give(buffer: Buffer): void {
    const memory = buffer.buffer as ArrayBuffer;
    if (!lent.delete(memory)) return;
    const others = kept.get(memory.byteLength);
    if (others !== undefined && others.length < MAX_KEPT) others.push(memory);
  },
};

/** Undefined for what is none of the sizes that are kept. */
function pooledSize(length: number): number | undefined {
  return length <= MAX_ALLOCATED_BYTES ? undefined : SIZES.find((size) => length <= size);
}

function cut(length: number): Buffer {
  if (rest.length < length) rest = Buffer.allocUnsafeSlow(PIECE_BYTES);
  const taken = rest.subarray(0, length);
  rest = rest.subarray(length);
  return taken;
}
