import type { Clock } from '../clock.ts';

/** One thing that must not take too long. */
interface Deadline {
  dueMs: number;
  onMissed: () => void;
}

/**
 * Any number of named deadlines behind one timer, which is set again only when it fires: moving a deadline
 * further away, as every byte does, costs no timer. Times are those of `Clock.monotonicMs`.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #deadlines = new Map<string | number, Deadline>();
  #cancelTimer: (() => void) | undefined;
  #timerDueMs = Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** From now on `name` is missed after `delayMs`, unless it is set again or cleared before. */
  set(name: string | number, delayMs: number, onMissed: () => void): void {
    const dueMs = this.#clock.monotonicMs() + delayMs;
    const existing = this.#deadlines.get(name);
    if (existing === undefined) this.#deadlines.set(name, { dueMs, onMissed });
    else {
      existing.dueMs = dueMs;
      existing.onMissed = onMissed;
    }
    if (dueMs < this.#timerDueMs) this.#arm(dueMs);
  }

  has(name: string | number): boolean {
    return this.#deadlines.has(name);
  }

  clear(name: string | number): void {
    this.#deadlines.delete(name);
  }

  /** Takes all deadlines back, for good or until the next `set`. */
  clearAll(): void {
    this.#deadlines.clear();
    this.#cancelTimer?.();
    this.#timerDueMs = Infinity;
  }

  #arm(dueMs: number): void {
    this.#cancelTimer?.();
    this.#timerDueMs = dueMs;
    this.#cancelTimer = this.#clock.schedule(Math.max(0, dueMs - this.#clock.monotonicMs()), () =>
      this.#onTimer(),
    );
  }

  #onTimer(): void {
    this.#timerDueMs = Infinity;
    const nowMs = this.#clock.monotonicMs();
    for (const [name, deadline] of this.#deadlines) {
      if (deadline.dueMs > nowMs) continue;
      this.#deadlines.delete(name);
      deadline.onMissed();
    }
    const next = Math.min(...[...this.#deadlines.values()].map(({ dueMs }) => dueMs));
    if (next < this.#timerDueMs) this.#arm(next);
  }
}
