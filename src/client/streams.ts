import { anySignal, systemClock } from '../clock.ts';
import { toSealiftError } from '../errors.ts';
import type { Client } from './client.ts';
import type { Connector } from './connector.ts';
import { ConnectionWorker } from './connection-worker.ts';
import { SharedTasks } from './shared-tasks.ts';
import { retrying, type TransferOptions } from './transfer-options.ts';

/** The tasks of one transfer, and how one of them is done on a connection. */
export interface StreamedWork<T extends object> {
  /** Made one after the other, when somebody has time for it; `over` fires when no more are wanted. */
  tasks: (over: AbortSignal) => AsyncIterable<T>;
  /**
   * Does one task; `signal` fires when it is not wanted any more. May be called again for a task that failed.
   * `onReceived`: as for `Carry`. `onPartDone`: to be called when some of the task is done for good.
   */
  carry: (
    task: T,
    stream: {
      client: Client;
      signal: AbortSignal | undefined;
      onReceived?: () => void;
      onPartDone?: () => void;
    },
  ) => Promise<void>;
}

export interface StreamsOptions extends TransferOptions {
  connector: Connector;
  /** Its connection. */
  client: Client;
  /** Counts retries. */
  run: { retries: number };
}

/**
 * Works through tasks on `streams` connections at once; each takes the next task when it has room, so that a slow one
 * holds nobody up. A connection that breaks is replaced by the retry policy, while the others do its tasks too; one
 * that never comes about, or not again, is done without. Throws the first failure that another connection would not
 * mend, and the last one's when all are gone. On a single connection nothing is retried: who asked knows better where
 * to begin again.
 */
export async function workOverStreams<T extends object>(
  work: StreamedWork<T>,
  options: StreamsOptions,
): Promise<void> {
  const { connector, client, streams = 1, clock = systemClock, signal } = options;
  const over = new AbortController();
  const tasks = new SharedTasks(work.tasks(over.signal));
  try {
    if (streams > 1) return await new Streams(tasks, work.carry, options).work(connector.streams(streams));
    await new ConnectionWorker(client, {
      tasks,
      carry: (task, onReceived) => work.carry(task, { client, signal, onReceived }),
      clock,
    }).run();
  } finally {
    // The next may be waiting for room that those have which are not done.
    over.abort();
    await tasks.stop();
  }
}

class Streams<T extends object> {
  readonly #tasks: SharedTasks<T>;
  readonly #carry: StreamedWork<T>['carry'];
  readonly #options: StreamsOptions;
  /** Fires when all is done, or no more is to be done. */
  readonly #over = new AbortController();
  readonly #signal: AbortSignal;
  #left = 0;
  #failure: { error: unknown } | undefined;

  constructor(tasks: SharedTasks<T>, carry: StreamedWork<T>['carry'], options: StreamsOptions) {
    this.#tasks = tasks;
    this.#carry = carry;
    this.#options = options;
    const { signal } = options;
    this.#signal = anySignal(this.#over.signal, signal);
  }

  async work(streams: readonly Connector[]): Promise<void> {
    this.#left = streams.length;
    await Promise.all(streams.map((stream) => this.#run(stream)));
    if (this.#failure) throw this.#failure.error;
  }

  async #run(stream: Connector): Promise<void> {
    const { connector, run } = this.#options;
    try {
      // One that cannot be had at all is not waited for.
      if (stream !== connector) await stream.use(this.#signal);
      // Its own progress: to whoever tries the whole transfer again, that a stream had nothing more to do is none.
      const options = { ...this.#options, signal: this.#signal, sharedProgress: { count: 0 } };
      await retrying(options, run, (progressed) => this.#workOn(stream, progressed));
      this.#over.abort();
    } catch (error) {
      if (this.#over.signal.aborted) return;
      this.#left -= 1;
      if (this.#left === 0 || this.#options.signal?.aborted === true) return this.#fail(error);
      connector.dropStream(stream);
      this.#options.onStreamLost?.(toSealiftError(error));
    }
  }

  async #workOn(stream: Connector, progressed: () => void): Promise<void> {
    const { clock = systemClock } = this.#options;
    const client = await stream.use(this.#signal);
    // What a server has received, but may not hold yet, another connection would send once more if this one broke: here
    // only what is done leaves room for more.
    const carry = async (task: T) => {
      await this.#carry(task, { client, signal: this.#signal, onPartDone: progressed });
      progressed();
    };
    try {
      await new ConnectionWorker(client, { tasks: this.#tasks, carry, clock }).run();
    } catch (error) {
      // What is not the connection's fault would happen on another one, too.
      if (client.isAlive || !toSealiftError(error).retryable) this.#fail(error);
      else throw error;
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#over.abort();
    void this.#tasks.stop();
  }
}
