import { abortedError, throwIfAborted } from '../clock.ts';

/** So many units of something (requests, bytes) at once; who wants more waits, in order. */
export class Budget {
  readonly #total: number;
  readonly #waiting: { amount: number; admit: () => void }[] = [];
  #free: number;

  constructor(total: number) {
    this.#total = total;
    this.#free = total;
  }

  /** Resolves with the function that gives `amount` back, once so much is free. More than there is counts as all. `signal` ends the wait, which rejects with `aborted` then. */
  async take(amount: number, signal?: AbortSignal): Promise<() => void> {
    const given = this.takeNow(amount);
    if (given !== undefined) return given;
    const taken = Math.min(amount, this.#total);
    await this.#wait(taken, signal);
    return this.#giver(taken);
  }

  /** The same where nobody has to wait, and undefined otherwise: a promise for each of many small files is not for nothing. */
  takeNow(amount: number): (() => void) | undefined {
    const taken = Math.min(amount, this.#total);
    if (this.#waiting.length > 0 || taken > this.#free) return undefined;
    this.#free -= taken;
    return this.#giver(taken);
  }

  #giver(taken: number): () => void {
    let isGiven = false;
    return () => {
      if (isGiven) return;
      isGiven = true;
      this.#free += taken;
      this.#admitWaiting();
    };
  }

  #wait(amount: number, signal: AbortSignal | undefined): Promise<void> {
    throwIfAborted(signal);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const admit = () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    };
    const waiter = { amount, admit };
    const onAbort = () => {
      this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
      reject(abortedError(signal));
      // Those behind may want less.
      this.#admitWaiting();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#waiting.push(waiter);
    return promise;
  }

  #admitWaiting(): void {
    for (
      let next = this.#waiting[0];
      next !== undefined && next.amount <= this.#free;
      next = this.#waiting[0]
    ) {
      this.#waiting.shift();
      this.#free -= next.amount;
      next.admit();
    }
  }
}
