import { setImmediate } from 'node:timers/promises';
import type fc from 'fast-check';

/** Turns of the event loop in which something must happen, or nothing ever will. */
const MAX_IDLE_TURNS = 200;

/** Lets asynchronous calls begin one at a time, in an order of chance. */
export class Sequencer {
  readonly #scheduler: fc.Scheduler;
  #running = 0;
  #isActive = false;

  constructor(scheduler: fc.Scheduler) {
    this.#scheduler = scheduler;
  }

  /** Whose calls wait for their turn while `drive` is at work; what they resolve with too, where that has calls of its own. */
  sequenced<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (_, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) =>
          this.#call(String(name), () => Reflect.apply(value, target, args) as unknown);
      },
    });
  }

  /** Waits for so many turns of its own. */
  async pass(turns: number): Promise<void> {
    for (let turn = 0; turn < turns; turn += 1) await this.#inTurn('nothing', () => undefined);
  }

  /** Lets calls begin until `work` has settled, and nothing waits behind it. Throws if it never would. */
  async drive<T>(work: () => Promise<T>): Promise<T> {
    this.#isActive = true;
    const end = { isReached: false };
    const settled = work().finally(() => (end.isReached = true));
    settled.catch(() => undefined);
    for (let idle = 0; idle < MAX_IDLE_TURNS; idle += 1) {
      await setImmediate();
      if (this.#running > 0) idle = 0;
      else if (this.#scheduler.count() > 0) {
        idle = 0;
        await this.#scheduler.waitNext(1);
      } else if (end.isReached) {
        this.#isActive = false;
        return settled;
      }
    }
    throw new Error('Everybody waits, and for nothing.');
  }

  #call(name: string, call: () => unknown): unknown {
    if (!this.#isActive) return this.#wrapped(call());
    // What tells how something is reached, or begins a listing, is no call of its own.
    if (name === 'childPath') return call();
    if (name === 'names' || name === 'uploads' || name === 'list')
      return this.#steps(name, call() as AsyncIterable<unknown>);
    return this.#inTurn(name, call);
  }

  async #inTurn(name: string, call: () => unknown): Promise<unknown> {
    await this.#scheduler.schedule(Promise.resolve(), name);
    this.#running += 1;
    try {
      return this.#wrapped(await call());
    } finally {
      this.#running -= 1;
    }
  }

  async *#steps(name: string, items: AsyncIterable<unknown>): AsyncGenerator {
    const iterator = items[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = (await this.#inTurn(name, () => iterator.next())) as IteratorResult<unknown>;
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      await iterator.return?.();
    }
  }

  #wrapped(result: unknown): unknown {
    if (result instanceof Promise) return result.then((value) => this.#wrapped(value));
    const isOpen = typeof result === 'object' && result !== null && 'close' in result;
    return isOpen ? this.sequenced(result) : result;
  }
}
