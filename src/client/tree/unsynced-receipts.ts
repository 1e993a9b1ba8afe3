import { toSealiftError, type SealiftError } from '../../errors.ts';
import type { Client } from '../client.ts';

/** After so many receipts, or bytes, a sync is asked for while the work goes on, so that little is void if the connection ends. */
const SYNC_AFTER = { count: 1_024, bytes: 256 * 2 ** 20 };

/** What a server has told to be done with durability `memory`: done only once it has answered a `sync` on the same connection. */
export class UnsyncedReceipts<T> {
  readonly #settled: (item: T) => void;
  readonly #voided: (item: T, reason: SealiftError) => void;
  #waiting = new Map<Client, T[]>();
  #count = 0;
  #bytes = 0;
  #syncing: Promise<void> = Promise.resolve();

  /** `settled` is told of what is on the server's disk, `voided` of what may not be, and has to be done again. */
  constructor(settled: (item: T) => void, voided: (item: T, reason: SealiftError) => void) {
    this.#settled = settled;
    this.#voided = voided;
  }

  /** Takes note of what came on `client`; `bytes` is its size. */
  add(client: Client, item: T, bytes: number): void {
    const items = this.#waiting.get(client);
    if (items === undefined) this.#waiting.set(client, [item]);
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
      for (const [client, items] of waiting) await this.#sync(client, items);
    });
    return this.#syncing;
  }

  async #sync(client: Client, items: readonly T[]): Promise<void> {
    try {
      await client.sync();
    } catch (error) {
      const reason = toSealiftError(error);
      const later = this.#waiting.get(client) ?? [];
      this.#waiting.delete(client);
      for (const item of [...items, ...later]) this.#voided(item, reason);
      // The server has forgotten what it could not sync, also that of which the receipt is still on its way: on a connection that
      // is gone none is taken for good.
      await client.close();
      return;
    }
    for (const item of items) this.#settled(item);
  }
}
