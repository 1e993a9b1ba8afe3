import { isSealiftError, SealiftError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { MAX_DIGESTS_PER_PAGE } from '../protocol/limits.ts';
import type { Receipt } from '../protocol/responses.ts';
import type { Store, StoredUpload } from '../storage/store.ts';
import { BlockMap } from '../transfer/block-map.ts';
import { blockCount, BLOCK_BYTES } from '../transfer/blocks.ts';
import { DIGEST_BYTES } from '../transfer/digests.ts';
import { alreadyEnded, beingCommitted, receiptOf, takenOver } from './upload-answers.ts';
import {
  checkCommittedSize,
  checkedBlock,
  checkPlace,
  checkWhole,
  type BlockHooks,
  type CommitRequest,
  type ShortBlock,
  type UploadFacts,
  type UploadRequest,
} from './upload-checks.ts';
import { publicationId } from './upload-keys.ts';

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
  readonly #store: Store;
  readonly #logger: Logger;
  readonly #users = new Set<object>();
  readonly #writing = new Map<number, Promise<void>>();
  /** The block that is shorter than a block, where the size is not known: only the last may be one. */
  #short: ShortBlock | undefined;
  /** Fires when nobody works with it any more. */
  #left = new AbortController();
  #stored: StoredUpload | undefined;
  #opening: Promise<StoredUpload> | undefined;
  #held: BlockMap;
  #heldIsKnown = true;
  #state: State = 'open';
  #receipt: Receipt | undefined;
  /** Why it was given up. */
  #failure: SealiftError | undefined;
  #committing = Promise.resolve();
  /** Never rejects. What is held is not known before it has ended. */
  #closing = Promise.resolve();

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

  get #facts(): UploadFacts {
    return { id: this.id, request: this.request, held: this.#held, short: this.#short };
  }

  get isEnded(): boolean {
    return this.#state === 'ended';
  }

  /** Whether nothing can be done with it any more: what it holds was published, removed or taken over. */
  get isOver(): boolean {
    return this.isEnded || this.#state === 'superseded';
  }

  /** Whether anybody works with it now; the data file is closed when nobody does. */
  get hasUsers(): boolean {
    return this.#users.size > 0;
  }

  /** Whether its data file could be closed without anybody waiting for that. */
  get isIdle(): boolean {
    return this.#writing.size === 0 && this.#opening === undefined && this.#state !== 'committing';
  }

  addUser(user: object): void {
    this.#users.add(user);
    if (!this.#left.signal.aborted) return;
    this.#left = new AbortController();
    // What is being given up just now, since nobody was there, is begun again.
    if (this.#opening !== undefined) void this.#awaitOpening(this.#opening.catch(() => this.#reopen()));
  }

  removeUser(user: object): void {
    if (!this.#users.delete(user) || this.hasUsers) return;
    // Hashing what is held can take hours, for holes too: not for clients that are gone.
    this.#left.abort(
      new SealiftError('cancelled', 'Nobody works with the upload any more.', {
        details: { upload: this.id },
      }),
    );
  }

  /** The digest list of what is held, as the wire carries it: never longer than the file has blocks. */
  *heldPages(): Generator<Buffer> {
    const { size } = this.request;
    let bytesLeft = size === null ? Infinity : blockCount(size) * DIGEST_BYTES;
    for (const page of this.#held.pages(MAX_DIGESTS_PER_PAGE)) {
      if (bytesLeft <= 0) return;
      yield page.subarray(0, bytesLeft);
      bytesLeft -= page.length;
    }
  }

  /** The blocks held, for whoever takes this upload over; undefined if only hashing the data can tell. */
  get knownBlocks(): BlockMap | undefined {
    return this.#heldIsKnown && this.#short === undefined ? this.#held : undefined;
  }

  /** Takes a block. Throws `digest-mismatch`, `bad-request`, `superseded`, or what `takeRoom` or the store throws. */
  async write(index: number, digest: string, content: Buffer, hooks: BlockHooks = {}): Promise<void> {
    this.#assertOpen();
    const raw = checkedBlock(this.#facts, { index, digest, content });
    await hooks.takeRoom?.();
    // Others may have come meanwhile.
    this.#assertOpen();
    checkPlace(this.#facts, index, content.length);
    const isShort = this.request.size === null && content.length < BLOCK_BYTES;
    // At once, and not when it is written: several may come at the same time.
    const short = isShort ? { index, length: content.length } : undefined;
    if (isShort || this.#short?.index === index) this.#short = short;
    // Two writes of one block must not cross, or the digest kept could be that of the other.
    const before = this.#writing.get(index);
    const writing = (before ?? Promise.resolve()).then(() => this.#writeBlock(index, raw, content));
    const settled = writing.catch(nothing);
    this.#writing.set(index, settled);
    hooks.onAccepted?.();
    try {
      await writing;
    } catch (error) {
      if (this.#short === short) this.#short = undefined;
      throw this.#failure ?? error;
    } finally {
      if (this.#writing.get(index) === settled) this.#writing.delete(index);
    }
  }

  /** Publishes. Said again with the same digest it returns the same receipt. Throws `incomplete`, `digest-mismatch`, or what `Publication` can fail with; the upload then lives on. */
  async commit(commit: CommitRequest): Promise<Receipt> {
    const { size, digest } = commit;
    // The answer to the first may have been lost while it was still at work. Looked at again in the same turn: whoever waited
    // longest may have begun another commit.
    while (this.#state === 'committing') await this.#committing;
    if (this.#receipt?.digest === digest) return this.#receipt;
    this.#assertOpen();
    checkCommittedSize(this.#facts, size);
    this.#state = 'committing';
    const committing = this.#commitNow(commit);
    this.#committing = committing.then(nothing, nothing);
    return committing;
  }

  /** Ends the upload and removes its data. */
  async abort(): Promise<void> {
    this.#assertOpen();
    await this.#discard();
  }

  /** The same because of `failure`, which is all that it answers from then on. False, and nothing happens, if it was published, ended or taken over meanwhile. */
  async giveUp(failure: SealiftError): Promise<boolean> {
    while (this.#state === 'committing') await this.#committing;
    if (this.#state !== 'open') return false;
    this.#failure = failure;
    await this.#discard();
    return true;
  }

  /** Lets a new upload take the data over: resolves once nothing more is written. From then on this one only says so. */
  async supersede(): Promise<void> {
    // A commit under way is allowed to end: then there is nothing left to take over.
    while (this.#state === 'committing') await this.#committing;
    if (this.#state === 'open') this.#state = 'superseded';
    await this.close();
  }

  /** Closes the data file; the next block opens it again. */
  async close(): Promise<void> {
    // Looked at again after each wait: the file must not be closed under a block that came meanwhile.
    while (this.#writing.size > 0 || this.#state === 'committing' || this.#opening !== undefined) {
      await this.#writesSettled();
      await this.#committing;
      await this.#opening?.catch(nothing);
    }
    await (this.#stored === undefined ? this.#closing : this.#closeStored(this.#stored));
  }

  #closeStored(stored: StoredUpload): Promise<void> {
    this.#stored = undefined;
    const closing = stored.close().catch((error: unknown) => {
      // Of data that could not be brought to the disk the store keeps nothing.
      this.#forgetHeld();
      throw error;
    });
    this.#closing = closing.catch(nothing);
    return closing;
  }

  async #discard(): Promise<void> {
    this.#state = 'ended';
    await this.#writesSettled();
    const stored = this.#stored ?? (await this.#opening?.catch(nothing));
    // What is closed is not opened for this: its path may be none any more, and its data take long to hash.
    await (stored === undefined ? this.#store.discardUpload(this.key) : stored.discard());
  }

  async #commitNow(commit: CommitRequest): Promise<Receipt> {
    try {
      await this.#writesSettled();
      // Before what is held is judged: opened again, the data may turn out to be lost.
      await this.#openStored();
      checkWhole(this.#facts, commit.size, commit.digest);
      this.#receipt = await this.#publish(commit);
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
      this.#held.delete(index);
      // Another block may have failed before, and the data may be open anew since.
      if (this.#stored === stored) {
        this.#heldIsKnown = false;
        this.#closeStored(stored).catch((closeError: unknown) =>
          this.#logger.warn({ err: closeError }, 'closing a failed upload'),
        );
      }
      // What is being hashed just now may have been read before it was spoilt.
      await this.#opening?.then(() => this.#held.delete(index), nothing);
      await this.#closing;
      throw error;
    }
    this.#held.set(index, raw);
  }

  async #publish({ size, digest, mayReplace }: CommitRequest): Promise<Receipt> {
    const stored = await this.#openStored();
    // Publishing closes it, whether it succeeds or not.
    this.#stored = undefined;
    const { path, durability } = this.request;
    const record = { id: publicationId(this), owner: this.owner, path, size, digest, durability };
    const publication = { ...this.request, mayReplace: this.request.mayReplace && mayReplace };
    try {
      return receiptOf(await stored.publish(publication, size, record), digest, durability);
    } catch (error) {
      // A store removes the data that it could not bring to the disk.
      if (isSealiftError(error, 'internal', 'no-space', 'quota-exceeded')) this.#forgetHeld();
      throw error;
    }
  }

  /** What is held is found anew when the data is opened again. */
  #forgetHeld(): void {
    this.#held = new BlockMap();
    this.#heldIsKnown = false;
  }

  #openStored(): Promise<StoredUpload> {
    if (this.#stored !== undefined) return Promise.resolve(this.#stored);
    // Not to hash all that is held, only to remove it.
    if (this.#failure) return Promise.reject(this.#failure);
    return this.#opening ?? this.#awaitOpening(this.#reopen());
  }

  #awaitOpening(reopening: Promise<StoredUpload>): Promise<StoredUpload> {
    const opening = reopening.finally(() => {
      if (this.#opening === opening) this.#opening = undefined;
    });
    // Whoever needs it is told; there may be nobody any more.
    opening.catch(nothing);
    this.#opening = opening;
    return opening;
  }

  async #reopen(): Promise<StoredUpload> {
    await this.#closing;
    const [{ path, size, algorithm }, short] = [this.request, this.#short];
    const stored = await this.#store.openUpload(this.key, {
      path,
      // A short block ends the file, as far as is known.
      size: size ?? (short === undefined ? null : short.index * BLOCK_BYTES + short.length),
      base: 'partial',
      owner: this.owner,
      algorithm,
      known: this.#heldIsKnown ? this.#held : undefined,
      signal: this.#left.signal,
    });
    // What the store found, and not what was held before: the data may have been lost meanwhile.
    this.#held = stored.held;
    this.#heldIsKnown = true;
    return (this.#stored = stored);
  }

  #assertOpen(): void {
    if (this.#state === 'open') return;
    if (this.#failure) throw this.#failure;
    if (this.#state === 'superseded') throw takenOver(this.id);
    if (this.#state === 'committing') throw beingCommitted(this.id);
    throw alreadyEnded(this.id);
  }

  async #writesSettled(): Promise<void> {
    while (this.#writing.size > 0) await Promise.all(this.#writing.values());
    await this.#closing;
  }
}

function nothing(): void {
  // Whoever waits only wants to know that it is over.
}
