import type { Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { KeyedMutex } from '../storage/keyed-mutex.ts';
import type { RequestFields } from '../protocol/requests.ts';
import type { Store } from '../storage/store.ts';
import { Budget } from '../transport/budget.ts';
import type { Grant } from '../trust/grant.ts';
import { formatSize } from '../units.ts';
import { leadsTo } from './authorization.ts';
import { pathsOf, tallyEffects, touchesDirectories, type Change } from './change-effects.ts';
import { MAX_COUNT_AGE_MS } from './recount.ts';
import { UploadRooms } from './upload-rooms.ts';
import type { Upload } from './upload.ts';
import type { RoomForUpload } from './uploads.ts';
import { sum, Tally, Usage, type Amount } from './usage.ts';
import { whatStands } from './what-stands.ts';

/** Who wants something, and what that principal has been granted by now. */
export interface Changer {
  readonly owner: string;
  readonly grant: Grant;
}

/** What makes a change, and may tell when nothing else has to wait for it any more. */
type Task<T> = (onSettled: () => void) => Promise<T>;

/** Changes at once that touch no directory. One that does is alone, so that what it finds in there stays so. */
const AT_ONCE = 1_024;
const NOTHING: Amount = { bytes: 0, files: 0 };

/**
 * The quotas of the principals that share a root. Where nobody has one nothing is counted. A refusal is
 * `quota-exceeded`, and never comes after a count that is older than some seconds.
 */
export class Quotas {
  readonly #parts: { store: Store; clock: Clock; logger: Logger };
  readonly #usages = new Map<string, { usage: Usage; wantedMs: number }>();
  readonly #uploads: UploadRooms;
  readonly #changing = new Budget(AT_ONCE);
  readonly #paths = new KeyedMutex();

  constructor(parts: { store: Store; clock: Clock; logger: Logger }) {
    this.#parts = parts;
    this.#uploads = new UploadRooms(parts);
  }

  /**
   * Runs `task`, which makes the change, where there is room for it, and keeps count. If the `etag` that it resolves with stood
   * before, nothing was changed. Once it calls what it is given, others need not wait for the rest of it.
   */
  change<T>(by: Changer, change: Change, task: Task<T>): Promise<T> {
    return this.#usages.size === 0 && !hasQuota(by.grant) ? task(nothing) : this.#counted(by, change, task);
  }

  async #counted<T>(by: Changer, change: Change, task: Task<T>): Promise<T> {
    const own = await this.#usageOf(by);
    const concerned = this.#concernedBy(change);
    if (this.#usages.size === 0) return task(nothing);
    // Not beside others either: what comes into a directory that is moved below a prefix just now would not be counted.
    if (concerned.length === 0) return this.#alone(change, task);
    const [done] = await this.#whereThereIsRoom(by, own, () =>
      this.#alone(change, (onSettled) =>
        this.#change(by, own, new Tally(concerned), change, (onChanged) =>
          task(() => {
            onChanged();
            onSettled();
          }),
        ),
      ),
    );
    return done;
  }

  /** Keeps room for an upload that is to begin: for all that is declared, and where nothing is for what it holds already, or begins with. */
  roomFor(
    by: Changer,
    { path, size, base }: Pick<RequestFields<'put'>, 'path' | 'size' | 'base'>,
  ): RoomForUpload {
    return {
      hold: async (key) => {
        const own = await this.#usageOf(by);
        if (own === undefined) return;
        const standing = base === 'existing' ? await whatStands(this.#parts.store, path) : undefined;
        const bytes = size ?? Math.max(this.#uploads.reached(key), standing?.size ?? 0);
        await this.#hold(by, own, { key, upload: null, path, bytes });
      },
      opened: (key, upload) => this.#uploads.opened(key, upload),
    };
  }

  /** Keeps room for an upload that gets data up to `end`. */
  async extendUpload(by: Changer, upload: Upload, end: number): Promise<void> {
    if (!hasQuota(by.grant) || this.#uploads.reach(upload, end)) return;
    const own = await this.#usageOf(by);
    const { key, request } = upload;
    if (own !== undefined)
      await this.#hold(by, own, { key, upload, path: request.path, bytes: request.size ?? end });
    this.#uploads.reach(upload, end);
  }

  async #hold(
    by: Changer,
    own: Usage,
    { key, upload, path, bytes }: { key: string; upload: Upload | null; path: string; bytes: number },
  ): Promise<void> {
    await this.#whereThereIsRoom(by, own, async () => {
      const tally = new Tally([own]);
      await tallyEffects(this.#parts.store, { type: 'put', path, bytes }, tally);
      const { files } = tally.of(own);
      // What stands there loses its place once: until then the data of all but one lies beside it.
      const isBeside = this.#uploads.isReplacing(path, key);
      const added = isBeside ? { bytes, files: Math.max(1, files) } : tally.of(own);
      if (!this.#hasRoom(by, own, added, key)) return undefined;
      this.#uploads.keep(key, upload, { path, bytes, added });
      return [undefined];
    });
  }

  async #change<T>(
    by: Changer,
    own: Usage | undefined,
    tally: Tally,
    change: Change,
    task: Task<T>,
  ): Promise<[T] | undefined> {
    const replaced = await tallyEffects(this.#parts.store, change, tally);
    const uploadKey = change.type === 'put' ? change.uploadKey : undefined;
    if (own !== undefined && !this.#hasRoom(by, own, tally.of(own), uploadKey))
      return change.type === 'put' && change.needsNoRoom?.(replaced) === true
        ? [await task(nothing)]
        : undefined;
    const takeBack = uploadKey === undefined ? undefined : this.#uploads.giveUp(uploadKey);
    const end = tally.reserve();
    // Once: an upload that begins after that replaces what stands then.
    let isTold = false;
    const tell = () => {
      if (!isTold) this.#uploads.changed(pathsOf(change));
      isTold = true;
    };
    try {
      const done = await task(tell);
      const isChanged = replaced === undefined || etagOf(done) !== replaced.etag;
      end(isChanged);
      // A directory that is made takes the place of nothing.
      if (isChanged && change.type !== 'make') tell();
      return [done];
    } catch (error) {
      end(false);
      takeBack?.();
      throw error;
    }
  }

  /** Tries again after a count if there is no room, as far as is known. */
  async #whereThereIsRoom<T>(
    by: Changer,
    own: Usage | undefined,
    attempt: () => Promise<[T] | undefined>,
  ): Promise<[T]> {
    const done = await attempt();
    if (done !== undefined) return done;
    const renewed = await Promise.all([own?.recount.renewed(), this.#uploads.leftovers(by.owner).renewed()]);
    const again = renewed.includes(true) ? await attempt() : undefined;
    if (again !== undefined) return again;
    throw quotaExceeded(by.grant, own === undefined ? NOTHING : this.#taken(own, by.owner));
  }

  /** Runs `task` while nothing else changes what it looks at, until it calls what it is given or ends. */
  async #alone<T>(change: Change, task: Task<T>): Promise<T> {
    let release = await this.#changing.take(1);
    let running: { ended: Promise<T> };
    try {
      // Asked with a place taken: from here on no directory comes or goes until it is given back.
      if (await touchesDirectories(this.#parts.store, change)) {
        release();
        release = await this.#changing.take(AT_ONCE);
      }
      running = await this.#paths.run(pathsOf(change), async () => {
        const settled = Promise.withResolvers<void>();
        const ended = task(settled.resolve);
        await Promise.race([ended, settled.promise]);
        return { ended };
      });
    } finally {
      release();
    }
    return running.ended;
  }

  /** Whoever adds nothing is never refused: also with a quota that was lowered, things can be removed and made smaller. */
  #hasRoom({ owner, grant }: Changer, own: Usage, added: Amount, uploadKey: string | undefined): boolean {
    const { quotaBytes = Infinity, quotaFiles = Infinity } = grant;
    const { bytes, files } = this.#taken(own, owner, uploadKey);
    return (
      (added.bytes <= 0 || bytes + added.bytes <= quotaBytes) &&
      (added.files <= 0 || files + added.files <= quotaFiles)
    );
  }

  /** What lies there, is about to, or may when an upload ends; but for the one with `uploadKey`. */
  #taken(own: Usage, owner: string, uploadKey?: string): Amount {
    return sum(own.amount, this.#uploads.amount(own, owner, uploadKey));
  }

  #concernedBy(change: Change): Usage[] {
    const nowMs = this.#parts.clock.monotonicMs();
    const concerned: Usage[] = [];
    for (const [name, { usage, wantedMs }] of this.#usages) {
      // Nobody has asked for long: it costs nothing any more, and is counted when somebody does.
      if (nowMs - wantedMs > MAX_COUNT_AGE_MS) this.#usages.delete(name);
      else if (pathsOf(change).some((path) => usage.covers(path) || leadsTo(path, usage.prefixes)))
        concerned.push(usage);
    }
    return concerned;
  }

  /** What counts for a principal with a quota, counted by then. */
  async #usageOf({ owner, grant }: Changer): Promise<Usage | undefined> {
    if (!hasQuota(grant)) return undefined;
    const name = JSON.stringify([...grant.prefixes].sort());
    const found = this.#usages.get(name) ?? { usage: new Usage(grant.prefixes, this.#parts), wantedMs: 0 };
    this.#usages.set(name, found);
    found.wantedMs = this.#parts.clock.monotonicMs();
    await Promise.all([found.usage.recount.known(), this.#uploads.leftovers(owner).known()]);
    return found.usage;
  }
}

/** Whether anything has to be counted for it. */
function hasQuota({ quotaBytes, quotaFiles }: Grant): boolean {
  return quotaBytes !== undefined || quotaFiles !== undefined;
}

function etagOf(done: unknown): unknown {
  return (done as { etag?: unknown } | null | undefined)?.etag;
}

function quotaExceeded({ quotaBytes, quotaFiles }: Grant, { bytes, files }: Amount): SealiftError {
  const shares = [
    ...(quotaBytes === undefined ? [] : [`${formatSize(bytes)} of ${formatSize(quotaBytes)}`]),
    ...(quotaFiles === undefined ? [] : [`${files} of ${quotaFiles} files and directories`]),
  ];
  return new SealiftError(
    'quota-exceeded',
    `Your quota does not suffice: taken are ${shares.join(' and ')}, versions and unfinished uploads included.`,
  );
}

function nothing(): void {
  // Nobody waits.
}
