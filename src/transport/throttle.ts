import { sleep, type Clock } from '../clock.ts';

/** Keeps a transfer under a rate: so many bytes are paid for with as much time, the first block at once. */
export class Throttle {
  readonly #bytesPerMs: number;
  readonly #clock: Clock;
  readonly #signal: AbortSignal | undefined;
  #paidUntilMs: number;

  constructor({
    bytesPerSecond,
    clock,
    signal,
  }: {
    bytesPerSecond: number;
    clock: Clock;
    signal?: AbortSignal | undefined;
  }) {
    this.#bytesPerMs = bytesPerSecond / 1_000;
    this.#clock = clock;
    this.#signal = signal;
    this.#paidUntilMs = clock.monotonicMs();
  }

  /** Resolves when `bytes` may be moved. `signal` ends this wait, which then costs those nothing who come later. */
  async take(bytes: number, signal = this.#signal): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    // Time in which nothing was moved is not saved up: the rate is a limit, not a budget.
    const startMs = Math.max(nowMs, this.#paidUntilMs);
    const costMs = bytes / this.#bytesPerMs;
    this.#paidUntilMs = startMs + costMs;
    if (startMs === nowMs) return;
    try {
      await sleep(this.#clock, startMs - nowMs, signal);
    } catch (error) {
      this.#paidUntilMs -= costMs;
      throw error;
    }
  }
}
