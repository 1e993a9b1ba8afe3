import type { Clock } from '../clock.ts';
import type { Client } from './client.ts';
import { SendWindow } from './send-window.ts';
import type { SharedTasks } from './shared-tasks.ts';

/** Does a task; calls `onReceived` as soon as its bytes are no longer under way, if that shows before it is done. */
export type Carry<T> = (task: T, onReceived: () => void) => Promise<void>;

/** Works on shared tasks on one connection, on as many at once as the way needs. */
export class ConnectionWorker<T extends object> {
  readonly #tasks: SharedTasks<T>;
  readonly #carry: Carry<T>;
  readonly #clock: Clock;
  readonly #window: SendWindow;
  readonly #underWay = new Set<Promise<void>>();
  #failure: { error: unknown } | undefined;

  constructor(
    client: Client,
    { tasks, carry, clock }: { tasks: SharedTasks<T>; carry: Carry<T>; clock: Clock },
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
    let isUnderWay = true;
    const leave = (latencyMs?: number) => {
      if (isUnderWay) this.#window.leave(latencyMs);
      isUnderWay = false;
    };
    const arrived = () => leave(this.#clock.monotonicMs() - startMs);
    try {
      await this.#carry(task, arrived);
      arrived();
      this.#tasks.done();
    } catch (error) {
      this.#failure ??= { error };
      this.#tasks.giveBack(task);
    } finally {
      leave();
    }
  }
}
