import type { Clock } from '../clock.ts';
import { isSealiftError, SealiftError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { Random } from '../random.ts';
import type { Receipt } from '../protocol/responses.ts';
import { abandonedUploads, type AbandonedUploadCaps } from '../storage/abandoned.ts';
import { KeyedMutex } from '../storage/keyed-mutex.ts';
import type { OpenUploadOptions, Store } from '../storage/store.ts';
import type { BlockMap } from '../transfer/block-map.ts';
import { noSuchUpload, receiptOf, takenOver } from './upload-answers.ts';
import type { CommitRequest, UploadRequest } from './upload-checks.ts';
import { publicationId, uploadKey } from './upload-keys.ts';
import { Upload } from './upload.ts';

/** How long a publication is remembered for a commit that is said again, in milliseconds: longer than any client retries. */
const PUBLISHED_MEMORY_MS = 86_400_000;
/** How many publications of an owner are remembered for each upload that it may have: others may publish many between a commit and its repetition. */
const PUBLISHED_PER_UPLOAD = 10;
/** The least time between two sweeps, in milliseconds, however many uploads begin. */
const SWEEP_INTERVAL_MS = 600_000;
/** Ids that were taken over or given up, remembered so that their users are told; and uploads that nobody works with. */
const MAX_REMEMBERED = 10_000;
/** Data files open at once, of all clients: half of what a process may have open on many systems. */
const MAX_OPEN_FILES = 512;

export interface UploadsOptions {
  store: Store;
  clock: Clock;
  random: Random;
  logger: Logger;
  caps: AbandonedUploadCaps;
  /** Data files open at once, of all clients. Default 512. */
  maxOpenFiles?: number | undefined;
}

/** Sees that there is room for the data of an upload. */
export interface RoomForUpload {
  /** Called with the key before anything is done; what it throws leaves everything as it was. */
  hold(key: string): Promise<void>;
  /** The data is open; undefined: it could not be opened. */
  opened(key: string, upload: Upload | undefined): void;
}

export interface UploadStart extends Pick<OpenUploadOptions, 'base' | 'onProgress' | 'signal'> {
  owner: string;
  /** 128 random bits in hex that name the same source and target across attempts; none: never resumed. */
  resumeKey: string | undefined;
  request: UploadRequest;
  /** Who will work with it. */
  user: object;
  room: RoomForUpload;
}

/** All uploads of a server, by id and by what they resume. They belong to principals, not to connections. */
export class Uploads {
  readonly #options: UploadsOptions;
  readonly #byId = new Map<string, Upload>();
  readonly #byKey = new Map<string, Upload>();
  /** Those whose data file may be open, the one used longest ago first. */
  readonly #used = new Set<Upload>();
  /** What to tell whoever wants something of an upload that is no more. */
  readonly #ended = new Map<string, { owner: string; reason: SealiftError }>();
  readonly #keys = new KeyedMutex();
  /** How many publications of each owner the store has come to remember since it forgot those that were too many. */
  readonly #publishedCounts = new Map<string, number>();
  #lastSweepMs = -Infinity;
  #sweeping = Promise.resolve();

  constructor(options: UploadsOptions) {
    this.#options = options;
  }

  /** Begins an upload, or takes over what an earlier attempt with the same owner, path and resume key holds. */
  async open(start: UploadStart): Promise<{ upload: Upload; base: OpenUploadOptions['base'] }> {
    const { owner, resumeKey, request, room } = start;
    const key = uploadKey(owner, request.path, resumeKey ?? this.#options.random.bytes(16).toString('hex'));
    this.#sweepNowAndThen();
    this.#assertRoom(owner, key);
    return this.#keys.run(key, async () => {
      await room.hold(key);
      let opened: Upload | undefined;
      try {
        const before = this.#byKey.get(key);
        await before?.supersede();
        if (before !== undefined) this.#forget(before, before.isEnded ? undefined : takenOver(before.id));
        const known = before?.request.algorithm === request.algorithm ? before.knownBlocks : undefined;
        const { upload, base } = await this.#open(key, start, known);
        opened = upload;
        return { upload, base };
      } finally {
        room.opened(key, opened);
      }
    });
  }

  /** Those that somebody works with. */
  get openCount(): number {
    return [...this.#byId.values()].filter(({ hasUsers }) => hasUsers).length;
  }

  /** The upload `id` of `owner`, if it can be worked with. */
  peek(owner: string, id: string): Upload | undefined {
    const upload = this.#byId.get(id);
    return upload?.owner === owner ? upload : undefined;
  }

  /** The upload `id` of `owner`. Throws `superseded`, `no-space` (see `takingRoom`) or `unknown-upload`. */
  find(owner: string, id: string): Upload {
    const upload = this.peek(owner, id);
    if (upload !== undefined) {
      this.#touch(upload);
      return upload;
    }
    throw this.#whyNone(owner, id);
  }

  /** Publishes an upload, or tells the receipt again if it is published already, also before a restart. */
  async commit(owner: string, id: string, commit: CommitRequest): Promise<Receipt> {
    const upload = this.peek(owner, id);
    if (upload === undefined) {
      const published = await this.#publishedReceipt(owner, id, commit.digest);
      if (published === undefined) throw this.#whyNone(owner, id);
      return published;
    }
    this.#touch(upload);
    const receipt = await this.takingRoom(upload, () => upload.commit(commit));
    this.#forget(upload);
    this.#countPublished(owner);
    return receipt;
  }

  /** Runs `task`, which writes data of `upload` or publishes it. Where there is no room the upload is given up: what it holds would keep the disk full for everybody. */
  async takingRoom<T>(upload: Upload, task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } catch (error) {
      if (isSealiftError(error, 'no-space')) await this.#giveUp(upload, error);
      throw error;
    }
  }

  async abort(owner: string, id: string): Promise<void> {
    const upload = this.find(owner, id);
    await this.#keys.run(upload.key, () => upload.abort());
    this.#forget(upload);
  }

  /** `user` works with none of them any more: what nobody works with is closed, and kept for whoever resumes it. */
  async leave(user: object, uploads: Iterable<Upload>): Promise<void> {
    const closing = [...uploads].map(async (upload) => {
      upload.removeUser(user);
      if (!upload.hasUsers) await upload.close();
    });
    await Promise.all(closing);
    for (const upload of this.#byId.values()) {
      if (this.#byId.size <= MAX_REMEMBERED) break;
      if (!upload.hasUsers) this.#forget(upload);
    }
  }

  /** Removes what was abandoned and forgets old publications. */
  async sweep(): Promise<void> {
    const { store, clock, caps, logger } = this.#options;
    this.#lastSweepMs = clock.monotonicMs();
    const uploads = await Array.fromAsync(store.uploads());
    const running = new Set(
      [...this.#byKey.values()].filter(({ hasUsers }) => hasUsers).map(({ key }) => key),
    );
    for (const key of abandonedUploads(uploads, { running, nowMs: clock.now(), caps })) {
      // What is no upload at all may have got there, and be of a kind that cannot be removed: it stays.
      await this.#keys
        .run(key, () => this.#discardAbandoned(key))
        .catch((error: unknown) => logger.error({ err: error, key }, 'removing an abandoned upload failed'));
    }
    await this.#forgetPublished();
  }

  /** Closes all data files; what is held stays on the disk. */
  async close(): Promise<void> {
    await this.#sweeping;
    await Promise.all([...this.#byId.values()].map((upload) => upload.close()));
  }

  async #giveUp(upload: Upload, failure: SealiftError): Promise<void> {
    try {
      await this.#keys.run(upload.key, async () => {
        if (await upload.giveUp(failure)) this.#forget(upload, failure);
      });
    } catch (error) {
      this.#options.logger.error({ err: error, key: upload.key }, 'removing an upload without room failed');
    }
  }

  async #discardAbandoned(key: string): Promise<void> {
    const upload = this.#byKey.get(key);
    if (upload?.hasUsers === true) return;
    if (upload !== undefined) this.#forget(upload);
    await this.#options.store.discardUpload(key);
    this.#options.logger.info({ key }, 'removed an abandoned upload');
  }

  async #open(
    key: string,
    { base, onProgress, signal, owner, request, user }: UploadStart,
    known: BlockMap | undefined,
  ): Promise<{ upload: Upload; base: OpenUploadOptions['base'] }> {
    const { store, random, logger } = this.#options;
    const stored = await store.openUpload(key, {
      path: request.path,
      size: request.size,
      owner,
      base,
      algorithm: request.algorithm,
      known,
      signal,
      ...(onProgress === undefined ? {} : { onProgress }),
    });
    const upload = new Upload({
      id: random.bytes(16).toString('base64url'),
      owner,
      key,
      request,
      store,
      stored,
      logger,
    });
    upload.addUser(user);
    this.#byId.set(upload.id, upload);
    this.#byKey.set(key, upload);
    this.#touch(upload);
    return { upload, base: stored.base };
  }

  // What somebody works with is never removed, and keeps a file open: so there must be an end to that too.
  #assertRoom(owner: string, key: string): void {
    const running = [...this.#byId.values()].filter(
      (upload) => upload.owner === owner && upload.hasUsers && upload.key !== key,
    );
    if (running.length < this.#options.caps.maxCountPerOwner) return;
    throw new SealiftError('busy', 'You have too many uploads under way; finish or abort some.', {
      retryAfterMs: 1_000,
    });
  }

  // A file for each upload of each client would be more than a process may have open: those that were used longest
  // ago are closed, and opened again with their next block.
  #touch(upload: Upload): void {
    const { maxOpenFiles = MAX_OPEN_FILES, logger } = this.#options;
    this.#used.delete(upload);
    this.#used.add(upload);
    for (const oldest of this.#used) {
      if (this.#used.size <= maxOpenFiles) return;
      if (oldest === upload || !oldest.isIdle) continue;
      this.#used.delete(oldest);
      oldest
        .close()
        .catch((error: unknown) => logger.warn({ err: error }, 'closing an upload that was idle failed'));
    }
  }

  /** From here on it is answered with `reason`, or is `unknown-upload`. */
  #forget(upload: Upload, reason?: SealiftError): void {
    this.#used.delete(upload);
    this.#byId.delete(upload.id);
    if (this.#byKey.get(upload.key) === upload) this.#byKey.delete(upload.key);
    if (reason === undefined) return;
    this.#ended.set(upload.id, { owner: upload.owner, reason });
    for (const oldest of this.#ended.keys()) {
      if (this.#ended.size <= MAX_REMEMBERED) break;
      this.#ended.delete(oldest);
    }
  }

  /** What whoever asks for an upload is told that cannot be worked with. */
  #whyNone(owner: string, id: string): SealiftError {
    const ended = this.#ended.get(id);
    return ended?.owner === owner ? ended.reason : noSuchUpload(id);
  }

  async #publishedReceipt(owner: string, id: string, digest: string): Promise<Receipt | undefined> {
    const { store } = this.#options;
    // Earlier releases kept it under the id alone: a commit may be said again across the upgrade.
    const record = (await store.published(publicationId({ owner, id }))) ?? (await store.published(id));
    if (record?.entry === undefined || record.owner !== owner || record.digest !== digest) return undefined;
    return receiptOf(record.entry, digest, record.durability);
  }

  #sweepNowAndThen(): void {
    if (this.#options.clock.monotonicMs() - this.#lastSweepMs < SWEEP_INTERVAL_MS) return;
    this.#alsoSweep(this.sweep());
  }

  // Those of a day may be very many, each a file.
  #countPublished(owner: string): void {
    const count = (this.#publishedCounts.get(owner) ?? 0) + 1;
    this.#publishedCounts.set(owner, count);
    if (count === this.#maxPublished) this.#alsoSweep(this.#forgetPublished());
  }

  async #forgetPublished(): Promise<void> {
    const { store, clock } = this.#options;
    this.#publishedCounts.clear();
    await store.forgetPublished(clock.now() - PUBLISHED_MEMORY_MS, this.#maxPublished);
  }

  get #maxPublished(): number {
    return this.#options.caps.maxCountPerOwner * PUBLISHED_PER_UPLOAD;
  }

  #alsoSweep(sweep: Promise<void>): void {
    const told = sweep.catch((error: unknown) =>
      this.#options.logger.error({ err: error }, 'removing abandoned uploads failed'),
    );
    this.#sweeping = Promise.all([this.#sweeping, told]).then(() => undefined);
  }
}
