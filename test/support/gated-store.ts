import { MemoryStore } from '../../src/storage/memory-store.ts';
import type { Entry, StoredFile, StoredUpload } from '../../src/storage/store.ts';
import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';

/** A step of a store that waits. */
export interface Gate {
  /** Resolves when so many wait here. */
  reached(count?: number): Promise<void>;
  /** Lets all through, those that come later too. */
  open(): void;
}

/**
 * A store in memory in which a test can hold a step, to do something in the middle of a request. Steps are
 * `open PATH`, `read PATH BLOCK`, `put PATH`, `write BLOCK` of an upload, `entry NUMBER` of a listing, and `sync`.
 */
export class GatedStore extends MemoryStore {
  readonly #gates = new Map<string, { waiting: number; arrived: () => void; opened: Promise<void> }>();

  hold(step: string): Gate {
    const opened = Promise.withResolvers<void>();
    let arrival = Promise.withResolvers<void>();
    const gate = {
      waiting: 0,
      arrived: () => {
        arrival.resolve();
        arrival = Promise.withResolvers();
      },
      opened: opened.promise,
    };
    this.#gates.set(step, gate);
    return {
      reached: async (count = 1) => {
        while (gate.waiting < count) await arrival.promise;
      },
      open: opened.resolve,
    };
  }

  /** How often a step was come to from now on. */
  count(step: string): () => number {
    this.hold(step).open();
    const gate = this.#gates.get(step);
    return () => gate?.waiting ?? 0;
  }

  override async open(...args: Parameters<MemoryStore['open']>): Promise<StoredFile> {
    const [path] = args;
    await this.#pass(`open ${path}`);
    const file = await super.open(...args);
    return {
      entry: file.entry,
      read: async (target, position, length) => {
        await this.#pass(`read ${path} ${position / BLOCK_BYTES}`);
        await file.read(target, position, length);
      },
      assertUnchanged: () => file.assertUnchanged(),
      close: () => file.close(),
    };
  }

  override async openUpload(...args: Parameters<MemoryStore['openUpload']>): Promise<StoredUpload> {
    const upload = await super.openUpload(...args);
    return {
      base: upload.base,
      held: upload.held,
      write: async (index, content) => {
        await this.#pass(`write ${index}`);
        await upload.write(index, content);
      },
      publish: (...publication) => upload.publish(...publication),
      close: () => upload.close(),
      discard: () => upload.discard(),
    };
  }

  override async put(...args: Parameters<MemoryStore['put']>): Promise<Entry> {
    await this.#pass(`put ${args[0].path}`);
    return super.put(...args);
  }

  override async *list(...args: Parameters<MemoryStore['list']>): AsyncGenerator<Entry> {
    let number = 0;
    for await (const entry of super.list(...args)) {
      await this.#pass(`entry ${number}`);
      number += 1;
      yield entry;
    }
  }

  override async sync(paths: readonly string[]): Promise<void> {
    await this.#pass('sync');
    await super.sync(paths);
  }

  async #pass(step: string): Promise<void> {
    const gate = this.#gates.get(step);
    if (gate === undefined) return;
    gate.waiting += 1;
    gate.arrived();
    await gate.opened;
  }
}
