import type { Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import { BlockMap } from '../transfer/block-map.ts';
import { BLOCK_BYTES } from '../transfer/blocks.ts';
import { blocksStillHeld, copyPublished, hashBlocks } from './held-blocks.ts';
import { UploadData } from './memory-upload-data.ts';
import { oldPublications } from './old-publications.ts';
import type {
  Entry,
  OpenUploadOptions,
  Publication,
  PublishedRecord,
  Store,
  StoredFile,
  StoredUpload,
} from './store.ts';

/** What uploads need of their store. */
export interface MemoryUploadsParts {
  clock: Clock;
  /** Opens a published file, for `base: existing`. */
  open: (path: string) => Promise<StoredFile>;
  /** Gives a content its name, in one step. */
  publish: (publication: Publication, content: Buffer) => Entry;
}

/** The uploads of a memory store, and what is remembered of those that were published. */
export class MemoryUploads implements Pick<
  Store,
  'openUpload' | 'uploads' | 'discardUpload' | 'published' | 'forgetPublished'
> {
  readonly #parts: MemoryUploadsParts;
  readonly #data = new Map<string, UploadData>();
  readonly #published = new Map<string, { record: PublishedRecord; atMs: number }>();

  constructor(parts: MemoryUploadsParts) {
    this.#parts = parts;
  }

  async openUpload(key: string, options: OpenUploadOptions): Promise<StoredUpload> {
    if (!/^[0-9a-f-]{1,120}$/.test(key))
      throw new SealiftError('internal', 'The key of an upload is not of the form that it should have.');
    const { clock, open } = this.#parts;
    const kept = options.base === 'none' ? undefined : this.#data.get(key);
    const data = kept ?? new UploadData(clock.now());
    this.#data.set(key, data);
    const { size, known } = options;
    const isCut = size !== null && data.bytes > size;
    if (isCut) data.cut(size);
    const { bytes } = data;
    const held =
      known !== undefined && bytes > 0
        ? blocksStillHeld(known, { bytes, size, isCut })
        : await hashBlocks(data.read, bytes, options);
    if (held.heldCount > 0) return this.#opened(key, data, 'partial', held);
    const write = async (content: Buffer, position: number) =>
      data.write(position / BLOCK_BYTES, content, clock.now());
    const copied = options.base === 'existing' ? await copyPublished(open, write, options) : undefined;
    return this.#opened(key, data, copied === undefined ? 'none' : 'existing', copied ?? new BlockMap());
  }

  async *uploads(): AsyncGenerator<{ key: string; bytes: number; lastWrittenMs: number }> {
    for (const [key, { bytes, lastWrittenMs }] of this.#data) yield { key, bytes, lastWrittenMs };
  }

  async discardUpload(key: string): Promise<void> {
    this.#data.delete(key);
  }

  async published(publicationId: string): Promise<PublishedRecord | undefined> {
    return this.#published.get(publicationId)?.record;
  }

  async forgetPublished(beforeMs: number, maxPerOwner = Infinity): Promise<void> {
    const published = [...this.#published].map(([id, { atMs }]) => ({ id, writtenMs: atMs }));
    for (const id of oldPublications(published, beforeMs, maxPerOwner)) this.#published.delete(id);
  }

  #opened(key: string, data: UploadData, base: StoredUpload['base'], held: BlockMap): StoredUpload {
    const { clock, publish } = this.#parts;
    const discard = () => {
      // What stands under the key later belongs to another upload.
      if (this.#data.get(key) === data) this.#data.delete(key);
    };
    return new MemoryUpload(base, held, {
      write: (index, content) => data.write(index, content, clock.now()),
      publish: (publication, size, { id, ...record }) => {
        const content = data.content(size);
        if (content === undefined)
          throw new SealiftError(
            'internal',
            'The data of the upload is shorter than what was written to it.',
          );
        const entry = publish(publication, content);
        this.#published.set(id, { record: { ...record, entry }, atMs: clock.now() });
        discard();
        return entry;
      },
      discard,
    });
  }
}

interface Ends {
  write: (index: number, content: Buffer) => void;
  publish: (publication: Publication, size: number, record: PublishedRecord & { id: string }) => Entry;
  discard: () => void;
}

/** What can be done with an upload while it is open. */
class MemoryUpload implements StoredUpload {
  readonly base: StoredUpload['base'];
  readonly held: BlockMap;
  readonly #ends: Ends;
  #isOpen = true;

  constructor(base: StoredUpload['base'], held: BlockMap, ends: Ends) {
    this.base = base;
    this.held = held;
    this.#ends = ends;
  }

  async write(index: number, content: Buffer): Promise<void> {
    this.#assertOpen();
    this.#ends.write(index, content);
  }

  async publish(
    publication: Publication,
    size: number,
    record: PublishedRecord & { id: string },
  ): Promise<Entry> {
    this.#assertOpen();
    this.#isOpen = false;
    return this.#ends.publish(publication, size, record);
  }

  async close(): Promise<void> {
    this.#isOpen = false;
  }

  async discard(): Promise<void> {
    this.#isOpen = false;
    this.#ends.discard();
  }

  #assertOpen(): void {
    if (!this.#isOpen) throw new SealiftError('internal', 'The upload was used after it had been closed.');
  }
}
