import { Kept, survives, type PowerFailure } from './kept.ts';

/** A page of memory, as large as some machines have them. */
const PAGE_BYTES = 16_384;
/** What a disk writes whole or not at all. */
const SECTOR_BYTES = 512;
const ZEROS = Buffer.alloc(PAGE_BYTES);
/** What lay on the disk before the page was given to this file. */
const STALE = Buffer.alloc(PAGE_BYTES, 'of a file that was removed long ago. ');

/**
 * The bytes of a file, page by page, of which each reaches the disk by itself and in any order; so does the size. A page
 * that was being written may be torn between two sectors; one that never was holds zeros, or what lay there before.
 */
export class Content {
  readonly #size: Kept<number>;
  /** Never written to once they are here. */
  readonly #pages = new Map<number, Kept<Buffer>>();
  readonly #unsynced = new Set<number>();

  constructor(size = 0) {
    this.#size = new Kept(size);
  }

  get size(): number {
    return this.#size.now;
  }

  read(target: Buffer, position: number, length: number): number {
    const end = Math.min(position + length, this.size);
    for (let at = position; at < end;) {
      const from = at % PAGE_BYTES;
      const count = Math.min(PAGE_BYTES - from, end - at);
      this.#page(at).copy(target, at - position, from, from + count);
      at += count;
    }
    return Math.max(0, end - position);
  }

  write(source: Buffer, position: number): number {
    const end = position + source.length;
    const written = Buffer.from(source);
    for (let at = position; at < end;) {
      const from = at % PAGE_BYTES;
      const count = Math.min(PAGE_BYTES - from, end - at);
      const part = written.subarray(at - position, at - position + count);
      this.#setPage(at, count === PAGE_BYTES ? part : overwritten(this.#page(at), part, from));
      at += count;
    }
    if (end > this.size) this.#size.set(end);
    return source.length;
  }

  truncate(size: number): void {
    for (const index of this.#pages.keys()) {
      const from = Math.max(0, size - index * PAGE_BYTES);
      if (from < PAGE_BYTES)
        this.#setPage(index * PAGE_BYTES, Buffer.from(this.#page(index * PAGE_BYTES)).fill(0, from));
    }
    this.#size.set(size);
  }

  sync(): void {
    for (const index of this.#unsynced) this.#pages.get(index)?.sync();
    this.#unsynced.clear();
    this.#size.sync();
  }

  /** A sync has failed: what was not on the disk is still seen, but no later sync brings it there. */
  loseUnsynced(): void {
    this.#unsynced.clear();
  }

  /** What is there when the power comes back. */
  after(failure: PowerFailure): Content {
    const content = new Content(this.#size.after(failure));
    for (const [index, page] of this.#pages) {
      const bytes = this.#unsynced.has(index) ? pageAfter(page, failure) : page.onDisk;
      content.#pages.set(index, new Kept(bytes));
    }
    return content;
  }

  #page(position: number): Buffer {
    return this.#pages.get(Math.floor(position / PAGE_BYTES))?.now ?? ZEROS;
  }

  #setPage(position: number, bytes: Buffer): void {
    const index = Math.floor(position / PAGE_BYTES);
    const page = this.#pages.get(index) ?? new Kept(ZEROS);
    page.set(bytes);
    this.#pages.set(index, page);
    this.#unsynced.add(index);
  }
}

function overwritten(page: Buffer, part: Buffer, from: number): Buffer {
  const bytes = Buffer.from(page);
  part.copy(bytes, from);
  return bytes;
}

function pageAfter(page: Kept<Buffer>, failure: PowerFailure): Buffer {
  const { random } = failure;
  const after = page.after(failure);
  if (after === page.onDisk) return after === ZEROS && random.fraction() < 0.1 ? STALE : after;
  if (survives(failure)) return after;
  const torn = Buffer.from(page.onDisk);
  for (let at = 0; at < PAGE_BYTES; at += SECTOR_BYTES)
    if (random.fraction() < 0.5) after.copy(torn, at, at, at + SECTOR_BYTES);
  return torn;
}
