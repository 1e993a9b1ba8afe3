import type { Clock } from '../../src/clock.ts';

/** A clock that stands still until a test moves it: no test waits for real time. */
export class FakeClock implements Clock {
  #nowMs: number;
  #monotonicMs = 0;
  readonly #timers = new Set<Timer>();
  readonly #waiters = new Set<{ count: number; resolve: () => void }>();

  /** `startMs` is the first wall-clock time, in milliseconds since 1970. */
  constructor(startMs = Date.UTC(2030, 0, 1)) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  schedule(delayMs: number, callback: () => void): () => void {
    const timer = { dueMs: this.#monotonicMs + Math.max(0, delayMs), callback };
    this.#timers.add(timer);
    for (const waiter of this.#waiters) {
      if (this.#timers.size < waiter.count) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
    return () => void this.#timers.delete(timer);
  }

  /** How many timers wait: 0 proves that all were taken back. */
  get pendingCount(): number {
    return this.#timers.size;
  }

  /** Milliseconds until the next timer is due; undefined if none waits. */
  get nextDelayMs(): number | undefined {
    const next = this.#next();
    return next && next.dueMs - this.#monotonicMs;
  }

  /**
   * Lets `ms` milliseconds pass: every timer due within them fires in order of time (then of scheduling), each
   * at its own moment; a timer set meanwhile fires too if it falls within them. Promises settle only afterwards.
   */
  advance(ms: number): void {
    const untilMs = this.#monotonicMs + ms;
    for (let next = this.#next(); next && next.dueMs <= untilMs; next = this.#next()) {
      this.#moveTo(next.dueMs);
      this.#timers.delete(next);
      next.callback();
    }
    this.#moveTo(untilMs);
  }

  /** Sets the wall clock forward (or back, when negative) without letting time pass: no timer fires. */
  jump(ms: number): void {
    this.#nowMs += ms;
  }

  /** Resolves as soon as at least `count` timers wait: the event to await before advancing. */
  async whenScheduled(count = 1): Promise<void> {
    if (this.#timers.size >= count) return;
    await new Promise<void>((resolve) => this.#waiters.add({ count, resolve }));
  }

  #next(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) if (next === undefined || timer.dueMs < next.dueMs) next = timer;
    return next;
  }

  #moveTo(monotonicMs: number): void {
    this.#nowMs += monotonicMs - this.#monotonicMs;
    this.#monotonicMs = monotonicMs;
  }
}

interface Timer {
  dueMs: number;
  callback: () => void;
}
