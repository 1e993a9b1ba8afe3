import { toSealiftError, type SealiftError } from '../../errors.ts';
import { lostConnection } from '../../transport/lost-connection.ts';

/** After so many receipts, or bytes, a sync is asked for while the work goes on, so that little is void if the connection ends. */
const SYNC_AFTER = { count: 2_048, bytes: 256 * 2 ** 20 };

/** Where something was done that is good only once a `sync` there has succeeded: a connection to a server, or this machine. */
export interface Unsynced {
  sync(): Promise<void>;
  /** Ends it, if it is a connection; what is under way there fails with `reason`. */
  close?(reason: SealiftError): Promise<void>;
}

/** What is done in memory only: done for good once its connection to the server, or this machine, is synced. */
export class UnsyncedReceipts<T> {
  readonly #settled: (item: T) => void;
  readonly #voided: (item: T, reason: SealiftError) => void;
  #waiting = new Map<Unsynced, T[]>();
  #count = 0;
  #bytes = 0;
  #syncing: Promise<void> = Promise.resolve();

  /** `settled` is told of what is on the disk, `voided` of what may not be, and has to be done again. */
  constructor(settled: (item: T) => void, voided: (item: T, reason: SealiftError) => void) {
    this.#settled = settled;
    this.#voided = voided;
  }

  /** Takes note of what was done at `place`; `bytes` is its size. */
  add(place: Unsynced, item: T, bytes: number): void {
    const items = this.#waiting.get(place);
    if (items === undefined) this.#waiting.set(place, [item]);
    else items.push(item);
    this.#count += 1;
    this.#bytes += bytes;
    if (this.#count >= SYNC_AFTER.count || this.#bytes >= SYNC_AFTER.bytes) void this.settle();
  }

  /** Resolves when everything noted so far is settled or void. */
  settle(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = new Map();
    this.#count = 0;
    this.#bytes = 0;
    this.#syncing = this.#syncing.then(async () => {
      for (const [place, items] of waiting) await this.#sync(place, items);
    });
    return this.#syncing;
  }

  async #sync(place: Unsynced, items: readonly T[]): Promise<void> {
    try {
      await place.sync();
    } catch (error) {
      const reason = toSealiftError(error);
      const later = this.#waiting.get(place) ?? [];
      this.#waiting.delete(place);
      for (const item of [...items, ...later]) this.#voided(item, reason);
      // A server has forgotten what it could not sync, also that of which the receipt is still on its way: on a connection that
      // is gone none is taken for good.
      await place.close?.(lostConnection(reason));
      return;
    }
    for (const item of items) this.#settled(item);
  }
}
