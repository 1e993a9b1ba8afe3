import { isSealiftError } from '../errors.ts';
import type { Upload } from './upload.ts';

/** Failed blocks remembered for each upload: enough for any client that means well, and the commit finds the rest. */
const MAX_FAILED = 10_000;

/**
 * The blocks that one connection has sent, in their order: the answer to a block means that all sent before it
 * for the same upload on this connection are held, or have been refused by an error of their own.
 */
export class BlockTracker {
  readonly #last = new Map<Upload, Promise<unknown>>();
  readonly #failed = new Map<Upload, Set<number>>();

  /** Runs `write`, and resolves once those before it have ended too; false if one of them is still not held. */
  async track(upload: Upload, index: number, write: () => Promise<void>): Promise<boolean> {
    const before = this.#last.get(upload);
    const writing = write();
    // Without a result, which would hold that of the one before, and so on.
    const both = Promise.allSettled([before, writing]).then(() => undefined);
    this.#last.set(upload, both);
    try {
      await writing;
      this.#failed.get(upload)?.delete(index);
    } catch (error) {
      // What is no block of this upload at all will never be held, and is not waited for.
      if (!isSealiftError(error, 'bad-request')) this.#remember(upload, index);
      throw error;
    } finally {
      await both;
      if (this.#last.get(upload) === both) this.#last.delete(upload);
    }
    return [...(this.#failed.get(upload) ?? [])].every((failed) => upload.held.has(failed));
  }

  /** Resolves once all that came until now for an upload is held or refused. */
  async settled(upload: Upload): Promise<void> {
    await this.#last.get(upload);
  }

  /** Forgets an upload that has ended. */
  forget(upload: Upload): void {
    this.#failed.delete(upload);
  }

  #remember(upload: Upload, index: number): void {
    const failed = this.#failed.get(upload) ?? new Set();
    this.#failed.set(upload, failed);
    if (failed.size < MAX_FAILED) failed.add(index);
  }
}
