import { systemClock, type Clock } from '../../clock.ts';
import { toSealiftError, type SealiftError } from '../../errors.ts';
import { BLOCK_BYTES } from '../../transfer/blocks.ts';
import { lostConnection } from '../../transport/lost-connection.ts';

/** After so many receipts, or bytes, a sync is asked for while the work goes on, so that little is void if the connection ends: at first, and after syncs that succeeded. */
const MAX_WAITING = { count: 2_048, bytes: 256 * 2 ** 20 };
/** After so many milliseconds as well: over a slow way few receipts are much work. */
const MAX_WAITING_MS = 5_000;

/** Where something was done that is good only once a `sync` there has succeeded: a connection to a server, or this machine. */
export interface Unsynced {
  sync(): Promise<void>;
  /** Ends it, if it is a connection; what is under way there fails with `reason`. */
  close?(reason: SealiftError): Promise<void>;
}

/** What was done at one place, and its size. */
class Waiting<T> {
  readonly items: T[] = [];
  bytes = 0;
}

/** What is done in memory only: done for good once its connection to the server, or this machine, is synced. */
export class UnsyncedReceipts<T> {
  readonly #settled: (item: T) => void;
  readonly #voided: (item: T, reason: SealiftError) => void;
  readonly #clock: Clock;
  #waiting = new Map<Unsynced, Waiting<T>>();
  /** How much may wait: where connections end sooner than they bring so much, less. */
  #limit = MAX_WAITING;
  /** When the first that waits came. */
  #sinceMs = 0;
  #syncing: Promise<void> = Promise.resolve();

  /** `settled` is told of what is on the disk, `voided` of what may not be, and has to be done again. */
  constructor(
    settled: (item: T) => void,
    voided: (item: T, reason: SealiftError) => void,
    clock: Clock = systemClock,
  ) {
    this.#settled = settled;
    this.#voided = voided;
    this.#clock = clock;
  }

  /** Takes note of what was done at `place`; `bytes` is its size. */
  add(place: Unsynced, item: T, bytes: number): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#waiting.size === 0) this.#sinceMs = nowMs;
    // A new connection means that the one before is gone, with all that waits for it.
    else if (!this.#waiting.has(place)) void this.settle();
    const here = this.#waiting.get(place) ?? new Waiting<T>();
    this.#waiting.set(place, here);
    here.items.push(item);
    here.bytes += bytes;
    const { count, bytes: maxBytes } = this.#limit;
    const isMuch = here.items.length >= count || here.bytes >= maxBytes;
    if (isMuch || nowMs - this.#sinceMs >= MAX_WAITING_MS) void this.settle();
  }

  /** Resolves when everything noted so far is settled or void. */
  settle(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = new Map();
    this.#syncing = this.#syncing.then(async () => {
      for (const [place, there] of waiting) await this.#sync(place, there);
    });
    return this.#syncing;
  }

  async #sync(place: Unsynced, { items, bytes }: Waiting<T>): Promise<void> {
    try {
      await place.sync();
    } catch (error) {
      const reason = toSealiftError(error);
      const later = this.#waiting.get(place)?.items ?? [];
      this.#waiting.delete(place);
      for (const item of [...items, ...later]) this.#voided(item, reason);
      if (reason.retryable) this.#limit = halfOf(items.length, bytes);
      // A server has forgotten what it could not sync, also that of which the receipt is still on its way: on a connection that
      // is gone none is taken for good.
      await place.close?.(lostConnection(reason));
      return;
    }
    for (const item of items) this.#settled(item);
    this.#limit = {
      count: Math.min(2 * this.#limit.count, MAX_WAITING.count),
      bytes: Math.min(2 * this.#limit.bytes, MAX_WAITING.bytes),
    };
  }
}

/** What the next connection is likely to bring before it ends as well. */
function halfOf(count: number, bytes: number): typeof MAX_WAITING {
  return { count: Math.ceil(count / 2), bytes: Math.max(Math.ceil(bytes / 2), BLOCK_BYTES) };
}
