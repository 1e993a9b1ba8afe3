import { throwIfAborted } from '../../clock.ts';
import { isSealiftError, SealiftError, toSealiftError } from '../../errors.ts';
import { BLOCK_BYTES } from '../../transfer/blocks.ts';
import { Budget } from '../../transport/budget.ts';
import { abortable } from '../abortable.ts';
import type { RetryEvent } from '../retry.ts';
import type { TransferProgress } from '../transfer-progress.ts';
import { goesByBlocks, isChange, type Action, type SendAction, type SkipReason } from './action.ts';
import { forEachConcurrently, type Batches } from './concurrency.ts';
import type { FileOutcome, TreeDirection } from './direction.ts';
import { untilSteady } from './steady.ts';
import { TargetDirectories } from './target-directories.ts';
import type { TreeEntry } from './tree-entry.ts';
import { UnsyncedReceipts, type Unsynced } from './unsynced-receipts.ts';

/** Told of what happens. Paths are relative to the tops. */
export interface TreeObserver {
  /** A step is about to be taken, or was found not to be needed. */
  onAction?(action: Action): void;
  /** A step is taken, for good: it is on the disk of the target. `outcome`: of a file that was sent. */
  onDone?(action: Action, outcome?: FileOutcome): void;
  onSkipped?(entry: TreeEntry, reason: SkipReason): void;
  onFailed?(error: SealiftError, path: string, action: Action): void;
  onProgress?(path: string, progress: TransferProgress): void;
  onRetry?(path: string, event: RetryEvent): void;
}

export interface RunOptions {
  /** Files sent at once. Default: as many as the direction was made for. */
  transfers?: number | undefined;
  /** Keep permission bits and the times of directories. */
  archive: boolean;
  /** What becomes of a file that is written to while it is read. */
  onChange: 'retry' | 'skip' | 'fail';
  /** What becomes of a file that is gone when it is to be read. */
  onVanish: 'skip' | 'fail';
  /** Whether a file that meanwhile appeared at the target is left alone instead of being a failure. */
  skipsExisting: boolean;
  /** Whether a failure means that everything else would fail too. */
  isHopeless: (error: SealiftError) => boolean;
  /** Awaited before the first change. What it throws ends the run. */
  onBegin?: (() => Promise<void>) | undefined;
  /** Keeps further steps from being taken; those under way end by the signal of the direction. */
  signal?: AbortSignal | undefined;
}

/** Bytes of files that are sent at once, at most: of those of more than one block, and of the others. */
const MAX_BYTES_AT_ONCE = 64 * BLOCK_BYTES;
/** Of a large file so much counts, at least for the handles that it takes, and at most since the rest is not on its way yet: 4 to 16 of them are sent at once. */
const COUNTED_BYTES = { min: 4 * BLOCK_BYTES, max: 16 * BLOCK_BYTES };
/** How often what a server may have lost before it was synced is sent again, while nothing more comes to the disk by that. */
const MAX_FRUITLESS_ROUNDS = 3;

/**
 * Takes the steps by which a target becomes like its source. A step that fails is told and does not keep the others
 * from being taken, but for removals: these come after everything else and only if nothing failed. Resolves with
 * whether everything succeeded. Throws what `direction.begin` throws, and `aborted`.
 */
export async function runActions(
  direction: TreeDirection,
  actions: Batches<Action>,
  options: RunOptions,
  observer: TreeObserver,
): Promise<boolean> {
  const run = new ActionRun(direction, options, observer);
  return run.all(actions);
}

class ActionRun {
  readonly #direction: TreeDirection;
  readonly #options: RunOptions;
  readonly #observer: TreeObserver;
  readonly #transfers: () => number;
  // Of their own, so that small files go on while large ones wait for one another.
  readonly #large = new Budget(MAX_BYTES_AT_ONCE);
  readonly #small = new Budget(MAX_BYTES_AT_ONCE);
  readonly #receipts: UnsyncedReceipts<{ action: Action; outcome: FileOutcome | undefined }>;
  readonly #directories: TargetDirectories;
  #beginning: Promise<void> | undefined;
  /** Why nothing can be changed at all. */
  #refusal: { error: unknown } | undefined;
  #void: { action: Action; reason: SealiftError }[] = [];
  #hasFailed = false;
  /** Why everything else would fail, too. */
  #hopeless: SealiftError | undefined;

  constructor(direction: TreeDirection, options: RunOptions, observer: TreeObserver) {
    this.#direction = direction;
    this.#options = options;
    this.#observer = observer;
    const { transfers } = options;
    this.#transfers = () => transfers ?? direction.filesAtOnce;
    this.#directories = new TargetDirectories(direction, options, (action, unsynced) =>
      this.#done(action, unsynced),
    );
    this.#receipts = new UnsyncedReceipts(
      ({ action, outcome }) => {
        // Of a run that was ended, the sum may have been told already.
        if (options.signal?.aborted !== true) observer.onDone?.(action, outcome && onDisk(outcome));
      },
      (item, reason) => this.#notSettled(item.action, reason),
    );
  }

  async all(actions: Batches<Action>): Promise<boolean> {
    const links: SendAction[] = [];
    const removals: TreeEntry[] = [];
    const late: SendAction[] = [];
    await this.#each(actions, (action) => {
      this.#observer.onAction?.(action);
      if (action.kind === 'delete') {
        this.#directories.noteLacking(action.entry);
        removals.push(action.entry);
      } else if ((action.kind === 'file' || action.kind === 'link') && action.late) late.push(action);
      // A link is made when nothing is going to be written any more that could go through it.
      else if (action.kind === 'link') links.push(action);
      else return this.#take(action);
      return undefined;
    });
    await this.#each([links], (action) => this.#take(action));
    await this.#settle();
    if (!this.#hasFailed) {
      await this.#remove(removals);
      await this.#each([late], (action) => this.#take(action));
      await this.#settle();
    }
    await this.#direction.end({ isComplete: !this.#hasFailed });
    if (this.#hopeless === undefined) await this.#finishDirectories();
    return !this.#hasFailed;
  }

  async #each<A extends Action>(
    batches: Batches<A>,
    task: (item: A) => Promise<void> | undefined,
  ): Promise<void> {
    const { signal } = this.#options;
    const attempt = async (item: A) => {
      throwIfAborted(signal);
      try {
        await task(item);
      } catch (error) {
        throwIfAborted(signal);
        if (this.#refusal !== undefined) throw this.#refusal.error;
        this.#fail(toSealiftError(error), item);
      }
    };
    await forEachConcurrently(batches, this.#transfers, attempt, () => this.#hopeless === undefined);
    throwIfAborted(signal);
  }

  async #take(action: Action): Promise<void> {
    if (action.kind === 'directory') this.#directories.note(action);
    // Before the first change, and not for a run that finds nothing to be changed.
    if (isChange(action)) await (this.#beginning ??= this.#begin());
    switch (action.kind) {
      case 'skip':
        this.#observer.onSkipped?.(action.entry, action.reason);
        return;
      case 'refuse':
        this.#fail(action.error, action);
        return;
      case 'directory':
        return this.#directories.make(action);
      case 'attributes':
        await this.#direction.set(action.entry.path, this.#attributesOf(action.entry));
        this.#observer.onDone?.(action);
        return;
      case 'move':
        await this.#directories.readyFor(action.entry.path);
        if (action.fromDirectory !== undefined) this.#directories.noteLacking(action.fromDirectory);
        await this.#directories.readyFor(action.from.path);
        await this.#direction.move(action.from.path, action.entry.path);
        if (this.#options.archive)
          await this.#direction.set(action.entry.path, this.#attributesOf(action.entry));
        this.#observer.onDone?.(action);
        return;
      case 'file':
        return this.#sendFile(action);
      case 'link':
        await this.#directories.readyFor(action.to);
        return this.#done(action, await this.#direction.link(action));
      case 'delete':
        await this.#directories.readyFor(action.entry.path);
        await this.#direction.remove(action.entry);
        this.#observer.onDone?.(action);
    }
  }

  async #begin(): Promise<void> {
    try {
      await this.#options.onBegin?.();
      await this.#directories.openTop();
      await this.#direction.begin();
    } catch (error) {
      this.#refusal = { error };
      throw error;
    }
  }

  async #sendFile(action: SendAction): Promise<void> {
    const { entry } = action;
    const opening = this.#directories.readyFor(action.to);
    if (opening !== undefined) await opening;
    const { min, max } = COUNTED_BYTES;
    const isLarge = entry.size > BLOCK_BYTES;
    const room = isLarge ? this.#large : this.#small;
    // An upload takes more of a server than a content that comes at once.
    const small = goesByBlocks(action) ? BLOCK_BYTES : entry.size;
    const bytes = isLarge ? Math.min(Math.max(entry.size, min), max) : small;
    const release = room.takeNow(bytes) ?? (await room.take(bytes));
    try {
      const { unsynced, ...outcome } = await this.#sendSteady(action);
      this.#done(action, unsynced, outcome);
    } catch (error) {
      const reason = this.#reasonToSkip(error);
      if (reason === undefined) throw error;
      this.#observer.onSkipped?.(entry, reason);
    } finally {
      release();
    }
  }

  #sendSteady(action: SendAction): Promise<FileOutcome> {
    const { path } = action.entry;
    return untilSteady(this.#options.onChange === 'retry', () =>
      this.#direction.send(action, {
        onProgress: (progress) => this.#observer.onProgress?.(path, progress),
        onRetry: (event) => this.#observer.onRetry?.(path, event),
      }),
    );
  }

  #reasonToSkip(error: unknown): SkipReason | undefined {
    const { onChange, onVanish, skipsExisting } = this.#options;
    if (skipsExisting && isSealiftError(error, 'exists', 'local-exists')) return 'exists';
    if (onChange === 'skip' && isSealiftError(error, 'source-changed')) return 'changed';
    const isGone = isSealiftError(error, 'local-not-found', 'not-found');
    return onVanish === 'skip' && isGone ? 'vanished' : undefined;
  }

  #done(action: Action, unsynced: Unsynced | undefined, outcome?: FileOutcome): void {
    if (unsynced === undefined) this.#observer.onDone?.(action, outcome);
    else this.#receipts.add(unsynced, { action, outcome }, outcome?.size ?? 0);
  }

  #notSettled(action: Action, reason: SealiftError): void {
    if (isSealiftError(reason, 'local-file', 'local-no-space')) {
      // The disk of this machine does not get better by trying again.
      this.#fail(reason, action);
      this.#hopeless ??= reason;
    } else this.#void.push({ action, reason });
  }

  /** Everything that was done is on the disk then; what was lost with a connection has been done again. */
  async #settle(): Promise<void> {
    let fruitlessRounds = 0;
    let before = Infinity;
    for (;;) {
      await abortable(this.#receipts.settle(), this.#options.signal);
      const again = this.#void;
      this.#void = [];
      if (again.length === 0) return;
      fruitlessRounds = again.length < before ? 0 : fruitlessRounds + 1;
      before = again.length;
      if (fruitlessRounds === MAX_FRUITLESS_ROUNDS || this.#hopeless !== undefined) {
        // All for what is known now, and not for the first of them.
        const failed = again.map(({ action, reason }) => ({ action, error: this.#notSynced(reason) }));
        for (const { action, error } of failed) this.#fail(error, action);
        return;
      }
      await this.#each([again.map(({ action }) => action)], (action) => this.#takeAgain(action));
    }
  }

  #notSynced(lost: SealiftError): SealiftError {
    // What ended the connection could be mended by another; why there is none says more.
    const end = lost.retryable ? this.#hopeless : undefined;
    const cause = end ?? lost;
    return new SealiftError(
      end?.code ?? 'retries-exhausted',
      `The server could not say that it is on the disk: ${cause.message}`,
      {
        cause,
        details: end?.details ?? { lastCode: lost.code },
        ...(cause.hint === undefined ? {} : { hint: cause.hint }),
      },
    );
  }

  async #takeAgain(action: Action): Promise<void> {
    if (action.kind === 'directory') this.#done(action, await this.#direction.makeDirectory(action.entry));
    // What stands there is most likely the file itself, so that only digests go over the wire for a large one.
    else if (action.kind === 'file' || action.kind === 'link')
      await this.#take({ ...action, existing: undefined, again: true });
  }

  async #remove(removals: readonly TreeEntry[]): Promise<void> {
    const actions = removals.map((entry) => ({ kind: 'delete' as const, entry }));
    const isDirectory = ({ entry }: Action) => entry.type === 'directory';
    await this.#each([actions.filter((action) => !isDirectory(action))], (action) => this.#take(action));
    // The deepest first, since each has to be empty.
    for (const level of deepestFirst(actions.filter(isDirectory)))
      await this.#each([level], (action) => this.#take(action));
  }

  async #finishDirectories(): Promise<void> {
    if (!this.#options.archive) return;
    await this.#each([this.#directories.unfinished()], async (action) => {
      await this.#directories.finish(action);
      if (action.existing?.type === 'directory' && action.differs) this.#observer.onDone?.(action);
    });
  }

  #attributesOf({ mtimeMs, mode, type }: TreeEntry): { mtimeMs: number; mode?: number } {
    return this.#options.archive && type !== 'symlink' ? { mtimeMs, mode } : { mtimeMs };
  }

  #fail(error: SealiftError, action: Action): void {
    this.#hasFailed = true;
    if (this.#options.isHopeless(error)) this.#hopeless ??= error;
    this.#observer.onFailed?.(error, action.entry.path, action);
  }
}

/** Those of each depth together. */
function deepestFirst<A extends Action>(actions: readonly A[]): A[][] {
  const levels = Map.groupBy(actions, ({ entry }) => entry.path.split('/').length);
  return [...levels].sort(([a], [b]) => b - a).map(([, level]) => level);
}

/** What was only in memory, and has been synced. */
function onDisk(outcome: FileOutcome): FileOutcome {
  return outcome.durability === undefined ? outcome : { ...outcome, durability: 'disk' };
}
