import { SealiftError } from '../errors.ts';
import { BlockMap } from '../transfer/block-map.ts';
import { BLOCK_BYTES, blockCount, blockLength } from '../transfer/blocks.ts';
import { blocksStillHeld, copyPublished, hashBlocks, type ReadBytes } from './held-blocks.ts';
import type {
  Entry,
  OpenUploadOptions,
  Publication,
  PublishedRecord,
  StoredFile,
  StoredUpload,
} from './store.ts';

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

/** What an upload needs of its store. */
export interface MemoryUploadParts {
  data: UploadData;
  now: () => number;
  open: (path: string) => Promise<StoredFile>;
  /** Gives the content its name and removes the upload, in one step. */
  publish: (publication: Publication, content: Buffer, record: PublishedRecord & { id: string }) => Entry;
  /** Removes this upload, and no later one of the same key. */
  discard: () => void;
}

/** Finds out what the data of an upload holds; see `Store.openUpload`. */
export async function openMemoryUpload(
  parts: MemoryUploadParts,
  options: OpenUploadOptions,
): Promise<StoredUpload> {
  const { data, now, open } = parts;
  const { size, known } = options;
  const isCut = size !== null && data.bytes > size;
  if (isCut) data.cut(size);
  const { bytes } = data;
  const held =
    known !== undefined && bytes > 0
      ? blocksStillHeld(known, { bytes, size, isCut })
      : await hashBlocks(data.read, bytes, options);
  if (held.heldCount > 0) return new MemoryUpload(parts, 'partial', held);
  if (options.base !== 'existing') return new MemoryUpload(parts, 'none', new BlockMap());
  const write = async (content: Buffer, position: number) =>
    data.write(position / BLOCK_BYTES, content, now());
  const copied = await copyPublished(open, write, options);
  return new MemoryUpload(parts, copied === undefined ? 'none' : 'existing', copied ?? new BlockMap());
}

class MemoryUpload implements StoredUpload {
  readonly base: StoredUpload['base'];
  readonly held: BlockMap;
  readonly #parts: MemoryUploadParts;
  #isOpen = true;

  constructor(parts: MemoryUploadParts, base: StoredUpload['base'], held: BlockMap) {
    this.#parts = parts;
    this.base = base;
    this.held = held;
  }

  async write(index: number, content: Buffer): Promise<void> {
    this.#assertOpen();
    this.#parts.data.write(index, content, this.#parts.now());
  }

  async publish(
    publication: Publication,
    size: number,
    record: PublishedRecord & { id: string },
  ): Promise<Entry> {
    this.#assertOpen();
    this.#isOpen = false;
    const content = this.#parts.data.content(size);
    if (content === undefined)
      throw new SealiftError('internal', 'The data of the upload is shorter than what was written to it.');
    return this.#parts.publish(publication, content, record);
  }

  async close(): Promise<void> {
    this.#isOpen = false;
  }

  async discard(): Promise<void> {
    this.#isOpen = false;
    this.#parts.discard();
  }

  #assertOpen(): void {
    if (!this.#isOpen) throw new SealiftError('internal', 'The upload was used after it had been closed.');
  }
}
