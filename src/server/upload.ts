import { SealiftError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { Receipt } from '../protocol/responses.ts';
import type { Entry, Publication, Store, StoredUpload } from '../storage/store.ts';
import type { BlockMap } from '../transfer/block-map.ts';
import { blockCount, blockLength, BLOCK_BYTES } from '../transfer/blocks.ts';
import { blockDigest, fileDigest, parseBlockDigest, type DigestAlgorithm } from '../transfer/digests.ts';

/** What a `put` asked for, as the upload keeps it. */
export interface UploadRequest extends Omit<Publication, 'condition' | 'mayReplace'> {
  condition: Publication['condition'];
  mayReplace: boolean;
  size: number | null;
  algorithm: DigestAlgorithm;
}

export interface UploadParts {
  id: string;
  owner: string;
  /** Under what the store keeps the data. */
  key: string;
  request: UploadRequest;
  store: Store;
  stored: StoredUpload;
  logger: Logger;
}

type State = 'open' | 'committing' | 'superseded' | 'ended';

/**
 * A file on its way in. Blocks may come from any connection of its owner, several at once; what is held is what
 * was checked and written. Nothing here answers a client: handlers do.
 */
export class Upload {
  readonly id: string;
  readonly owner: string;
  readonly key: string;
  readonly request: UploadRequest;
  /** Who works with it now; the data file is closed when nobody does. */
  readonly users = new Set<object>();

  readonly #store: Store;
  readonly #logger: Logger;
  readonly #writing = new Map<number, Promise<void>>();
  /** Blocks shorter than a block, where the size is not known: only the last may be one. */
  readonly #shortBlocks = new Map<number, number>();
  #stored: StoredUpload | undefined;
  #opening: Promise<StoredUpload> | undefined;
  #held: BlockMap;
  #heldIsKnown = true;
  #state: State = 'open';
  #receipt: Receipt | undefined;
  #committing = Promise.resolve();

  constructor({ id, owner, key, request, store, stored, logger }: UploadParts) {
    this.id = id;
    this.owner = owner;
    this.key = key;
    this.request = request;
    this.#store = store;
    this.#logger = logger;
    this.#stored = stored;
    this.#held = stored.held;
  }

  get held(): BlockMap {
    return this.#held;
  }

  /** Bytes held, for `progress`. */
  get heldBytes(): number {
    return this.#held.heldBytes(this.request.size);
  }

  get isEnded(): boolean {
    return this.#state === 'ended';
  }

  /** The blocks held, for whoever takes this upload over; undefined if only hashing the data can tell. */
  get knownBlocks(): BlockMap | undefined {
    return this.#heldIsKnown && this.#shortBlocks.size === 0 ? this.#held : undefined;
  }

  /** Takes a block. Throws `digest-mismatch`, `bad-request`, `superseded`, or what the store throws. */
  async write(index: number, digest: string, content: Buffer): Promise<void> {
    this.#assertOpen();
    this.#checkLength(index, content.length);
    const raw = this.#checkDigest(index, digest, content);
    // Two writes of one block must not cross, or the digest kept could be that of the other.
    const before = this.#writing.get(index);
    const writing = (before ?? Promise.resolve()).then(() => this.#writeBlock(index, raw, content));
    const settled = writing.catch(() => undefined);
    this.#writing.set(index, settled);
    try {
      await writing;
    } finally {
      if (this.#writing.get(index) === settled) this.#writing.delete(index);
    }
  }

  /** Publishes. Said again with the same digest it returns the same receipt. Throws `incomplete`, `digest-mismatch`, or what `Publication` can fail with; the upload then lives on. */
  async commit(size: number, digest: string): Promise<Receipt> {
    // The answer to the first may have been lost while it was still at work.
    await this.#committing;
    if (this.#receipt?.digest === digest) return this.#receipt;
    this.#assertOpen();
    if (this.request.size !== null && this.request.size !== size) {
      throw new SealiftError(
        'bad-request',
        `The commit says ${size} bytes, the put said ${this.request.size}.`,
      );
    }
    this.#state = 'committing';
    const committing = this.#commitNow(size, digest);
    this.#committing = committing.then(nothing, nothing);
    return committing;
  }

  /** Ends the upload and removes its data. */
  async abort(): Promise<void> {
    this.#assertOpen();
    this.#state = 'ended';
    await this.#writesSettled();
    await (await this.#openStored()).discard();
  }

  /** Lets a new upload take the data over: resolves once nothing more is written. From then on this one only says so. */
  async supersede(): Promise<void> {
    // A commit under way is allowed to end: then there is nothing left to take over.
    await this.#committing;
    if (this.#state === 'open') this.#state = 'superseded';
    await this.#writesSettled();
    await this.close();
  }

  /** Closes the data file; the next block opens it again. */
  async close(): Promise<void> {
    await this.#writesSettled();
    const stored = this.#stored;
    this.#stored = undefined;
    await stored?.close();
  }

  async #commitNow(size: number, digest: string): Promise<Receipt> {
    try {
      await this.#writesSettled();
      this.#checkWhole(size, digest);
      this.#receipt = await this.#publish(size, digest);
      this.#state = 'ended';
      return this.#receipt;
    } finally {
      if (this.#receipt === undefined) this.#state = 'open';
    }
  }

  async #writeBlock(index: number, raw: Buffer, content: Buffer): Promise<void> {
    if (this.#held.digest(index)?.equals(raw) === true) return;
    const stored = await this.#openStored();
    // While it is being overwritten nobody knows what the block is.
    this.#held.delete(index);
    try {
      await stored.write(index, content);
    } catch (error) {
      this.#heldIsKnown = false;
      this.#stored = undefined;
      await stored
        .close()
        .catch((closeError: unknown) => this.#logger.warn({ err: closeError }, 'closing a failed upload'));
      throw error;
    }
    if (content.length < BLOCK_BYTES && this.request.size === null)
      this.#shortBlocks.set(index, content.length);
    else this.#shortBlocks.delete(index);
    this.#held.set(index, raw);
  }

  async #publish(size: number, digest: string): Promise<Receipt> {
    const stored = await this.#openStored();
    // Publishing closes it, whether it succeeds or not.
    this.#stored = undefined;
    const { path, durability } = this.request;
    const record = { id: this.id, owner: this.owner, path, size, digest, durability };
    return receiptOf(await stored.publish(this.request, size, record), digest, durability);
  }

  #openStored(): Promise<StoredUpload> {
    if (this.#stored !== undefined) return Promise.resolve(this.#stored);
    this.#opening ??= this.#reopen().finally(() => (this.#opening = undefined));
    return this.#opening;
  }

  async #reopen(): Promise<StoredUpload> {
    const { path, size, algorithm } = this.request;
    const known = this.#heldIsKnown ? this.#held : undefined;
    this.#stored = await this.#store.openUpload(this.key, {
      path,
      size,
      base: 'partial',
      algorithm,
      known,
      onProgress: () => this.#assertWanted(),
    });
    if (known === undefined) {
      this.#held = this.#stored.held;
      this.#heldIsKnown = true;
    }
    return this.#stored;
  }

  // Hashing what is held can take hours, for holes too: not for clients that are gone.
  #assertWanted(): void {
    if (this.users.size === 0)
      throw new SealiftError('cancelled', 'Nobody works with the upload any more.', {
        details: { upload: this.id },
      });
  }

  #checkLength(index: number, length: number): void {
    const { size } = this.request;
    const expected = size === null ? undefined : blockLength(size, index);
    const isRight = expected === undefined ? length > 0 : length === expected && length > 0;
    if (isRight) return;
    throw this.#blockError(
      'bad-request',
      index,
      `Block ${index} has ${length} bytes, which does not fit a file of ${size ?? 'unknown'} bytes.`,
    );
  }

  #checkDigest(index: number, digest: string, content: Buffer): Buffer {
    const parsed = parseBlockDigest(digest);
    if (parsed === undefined)
      throw this.#blockError(
        'bad-request',
        index,
        'The digest of the block is not of the form that it should have.',
      );
    const actual = blockDigest(parsed.algorithm, content);
    if (!actual.equals(parsed.raw))
      throw this.#blockError(
        'digest-mismatch',
        index,
        `Block ${index} does not have the digest that came with it.`,
      );
    return parsed.algorithm === this.request.algorithm
      ? actual
      : blockDigest(this.request.algorithm, content);
  }

  #checkWhole(size: number, digest: string): void {
    const last = blockCount(size) - 1;
    const hasRightLengths =
      this.request.size !== null ||
      ([...this.#shortBlocks].every(
        ([index, length]) => index === last && length === blockLength(size, last),
      ) &&
        (last < 0 || blockLength(size, last) === BLOCK_BYTES || this.#shortBlocks.has(last)));
    if (!this.#held.isComplete(size) || !hasRightLengths) {
      throw new SealiftError(
        'incomplete',
        `The upload does not hold exactly the ${last + 1} blocks of ${size} bytes.`,
        { details: { upload: this.id } },
      );
    }
    if (fileDigest(this.request.algorithm, this.#held.digests(last + 1)) !== digest) {
      throw new SealiftError(
        'digest-mismatch',
        'The file digest of the commit is not that of the blocks held.',
        { details: { upload: this.id } },
      );
    }
  }

  #assertOpen(): void {
    if (this.#state === 'open') return;
    if (this.#state === 'superseded')
      throw new SealiftError('superseded', 'Another put of the same file has taken this upload over.', {
        details: { upload: this.id },
      });
    if (this.#state === 'committing')
      throw new SealiftError('bad-request', 'The upload is being committed and takes nothing now.', {
        details: { upload: this.id },
      });
    throw new SealiftError('unknown-upload', 'The upload has ended.', { details: { upload: this.id } });
  }

  async #writesSettled(): Promise<void> {
    while (this.#writing.size > 0) await Promise.all(this.#writing.values());
  }

  #blockError(code: 'bad-request' | 'digest-mismatch', index: number, message: string): SealiftError {
    return new SealiftError(code, message, { details: { upload: this.id, index } });
  }
}

/** The receipt of a file as it stands published. */
export function receiptOf(entry: Entry, digest: string, durability: 'disk' | 'memory'): Receipt {
  return { path: entry.path, size: entry.size, digest, mtimeMs: entry.mtimeMs, etag: entry.etag, durability };
}

function nothing(): void {
  // Whoever waits only wants to know that it is over.
}
