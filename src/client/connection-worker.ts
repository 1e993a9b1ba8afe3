import type { Clock } from '../clock.ts';
import type { Client } from './client.ts';
import { SendWindow } from './send-window.ts';
import type { SharedTasks } from './shared-tasks.ts';

/** Works on shared tasks on one connection, on as many at once as the way needs. */
export class ConnectionWorker<T extends object> {
  readonly #tasks: SharedTasks<T>;
  readonly #carry: (task: T) => Promise<void>;
  readonly #clock: Clock;
  readonly #window: SendWindow;
  readonly #underWay = new Set<Promise<void>>();
  #failure: { error: unknown } | undefined;

  constructor(
    client: Client,
    { tasks, carry, clock }: { tasks: SharedTasks<T>; carry: (task: T) => Promise<void>; clock: Clock },
  ) {
    this.#tasks = tasks;
    this.#carry = carry;
    this.#clock = clock;
    this.#window = new SendWindow({
      clock,
      rttMs: client.rttMs,
      // One request is kept free for whatever else there is to say.
      maxBlocks: Math.max(2, client.hello.maxRequests - 2),
    });
  }

  /** Resolves when all tasks are done, by whomever. Throws the first failure, once what was under way here has ended; what failed is given back. */
  async run(): Promise<void> {
    try {
      while (await this.#begin());
    } finally {
      await Promise.all(this.#underWay);
    }
    if (this.#failure) throw this.#failure.error;
  }

  async #begin(): Promise<boolean> {
    // Before there is room for it, so that it is ready when there is.
    const task = await this.#tasks.take();
    if (task === undefined) return false;
    await this.#window.enter();
    if (this.#failure) {
      this.#tasks.giveBack(task);
      return false;
    }
    const working = this.#work(task).finally(() => this.#underWay.delete(working));
    this.#underWay.add(working);
    return true;
  }

  async #work(task: T): Promise<void> {
    const startMs = this.#clock.monotonicMs();
    let latencyMs = Infinity;
    try {
      await this.#carry(task);
      latencyMs = this.#clock.monotonicMs() - startMs;
      this.#tasks.done();
    } catch (error) {
      this.#failure ??= { error };
      this.#tasks.giveBack(task);
    } finally {
      this.#window.leave(latencyMs);
    }
  }
}
