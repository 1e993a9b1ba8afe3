/** Keeps bytes to a rate, in bytes per second; `Infinity` is none. Pure arithmetic: the caller brings the time. */
export class Pace {
  #freeAtMs = 0;

  /** How many milliseconds to wait before the next piece. */
  earlyMs(rate: number, nowMs: number): number {
    return rate === Infinity ? 0 : Math.max(0, this.#freeAtMs - nowMs);
  }

  /** The largest piece that may go at once, in bytes: at least 1. */
  pieceBytes(rate: number): number {
    return Math.max(1, Math.floor((rate * SLICE_MS) / 1000));
  }

  /** Counts a piece that goes now. */
  spend(bytes: number, rate: number, nowMs: number): void {
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs - SLICE_MS) + (bytes / rate) * 1000;
  }
}

/** A rate is kept in slices of so many milliseconds, and what a late timer lost is made good up to one slice. */
const SLICE_MS = 20;
