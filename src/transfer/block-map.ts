import { blockCount, BLOCK_BYTES, blockLength } from './blocks.ts';
import { DIGEST_BYTES } from './digests.ts';

/** Digests a page of the map holds: a page is 32 KiB, so that a lone block far out costs no more than that. */
export const PAGE_DIGESTS = 1024;
const NOT_HELD = Buffer.alloc(DIGEST_BYTES);

/** Which blocks of a file are held, each by its raw digest. Sparse: memory follows what is held, not the size. */
export class BlockMap {
  readonly #pages = new Map<number, Buffer>();
  #held = 0;
  #end = 0;

  /** How many blocks are held. */
  get heldCount(): number {
    return this.#held;
  }

  /** One more than the highest index ever held. */
  get end(): number {
    return this.#end;
  }

  /** The raw digest of block `index`; undefined if it is not held. */
  digest(index: number): Buffer | undefined {
    const slot = this.#slot(index);
    return slot === undefined || slot.equals(NOT_HELD) ? undefined : slot;
  }

  has(index: number): boolean {
    return this.digest(index) !== undefined;
  }

  /** The blocks held, in no promised order. Takes as long as there are, however far apart they lie. */
  *indexes(): Generator<number> {
    for (const page of this.#pages.keys()) {
      for (let index = page * PAGE_DIGESTS; index < (page + 1) * PAGE_DIGESTS; index += 1)
        if (this.has(index)) yield index;
    }
  }

  /** Records block `index` as held, with its raw digest (copied). */
  set(index: number, digest: Buffer): void {
    const page = this.#pages.get(Math.floor(index / PAGE_DIGESTS)) ?? this.#addPage(index);
    const offset = (index % PAGE_DIGESTS) * DIGEST_BYTES;
    if (NOT_HELD.equals(page.subarray(offset, offset + DIGEST_BYTES))) this.#held += 1;
    digest.copy(page, offset);
    this.#end = Math.max(this.#end, index + 1);
  }

  /** Records block `index` as not held. */
  delete(index: number): void {
    const slot = this.#slot(index);
    if (slot === undefined || slot.equals(NOT_HELD)) return;
    slot.fill(0);
    this.#held -= 1;
  }

  /** Whether exactly the blocks of a file of `size` bytes are held. */
  isComplete(size: number): boolean {
    const count = blockCount(size);
    if (this.#held !== count) return false;
    for (let index = 0; index < count; index += 1) if (!this.has(index)) return false;
    return true;
  }

  /** Bytes held of a file of `size` bytes; every held block counts whole where the size is unknown. */
  heldBytes(size: number | null): number {
    if (size === null) return this.#held * BLOCK_BYTES;
    const last = blockCount(size) - 1;
    if (last < 0 || !this.has(last)) return Math.min(this.#held * BLOCK_BYTES, size);
    return (this.#held - 1) * BLOCK_BYTES + blockLength(size, last);
  }

  /** The digests of the first `count` blocks, in order; zeros for a block not held. */
  *digests(count: number): Generator<Buffer> {
    for (let index = 0; index < count; index += 1) yield this.#slot(index) ?? NOT_HELD;
  }

  /** The digest list as the wire carries it: pages of at most `pageDigests` raw digests, up to the last block held. */
  *pages(pageDigests: number): Generator<Buffer> {
    for (let first = 0; first < this.#end; first += pageDigests) {
      const count = Math.min(pageDigests, this.#end - first);
      const page = Buffer.alloc(count * DIGEST_BYTES);
      for (let i = 0; i < count; i += 1) this.#slot(first + i)?.copy(page, i * DIGEST_BYTES);
      yield page;
    }
  }

  #slot(index: number): Buffer | undefined {
    const offset = (index % PAGE_DIGESTS) * DIGEST_BYTES;
    return this.#pages.get(Math.floor(index / PAGE_DIGESTS))?.subarray(offset, offset + DIGEST_BYTES);
  }

  #addPage(index: number): Buffer {
    const page = Buffer.alloc(PAGE_DIGESTS * DIGEST_BYTES);
    this.#pages.set(Math.floor(index / PAGE_DIGESTS), page);
    return page;
  }
}

/** Reads digest-list pages, as the wire carries them, into a map: a run of zeros is a block not held. */
export class DigestListReader {
  readonly map = new BlockMap();
  /** Digests read so far, zeros included. */
  count = 0;

  /** Takes the next page; false if it is no whole number of digests or goes beyond `maxCount`. */
  push(page: Buffer, maxCount: number): boolean {
    const digests = page.length / DIGEST_BYTES;
    if (!Number.isInteger(digests) || this.count + digests > maxCount) return false;
    for (let offset = 0; offset < page.length; offset += DIGEST_BYTES) {
      const digest = page.subarray(offset, offset + DIGEST_BYTES);
      if (!digest.equals(NOT_HELD)) this.map.set(this.count, digest);
      this.count += 1;
    }
    return true;
  }
}
