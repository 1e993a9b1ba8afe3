import type { Clock } from '../clock.ts';

/** Over so many answers the rate is taken, and over those of two round trips if they are more. */
const RATE_ANSWERS = 8;

export interface BandwidthDelayOptions {
  clock: Clock;
  /** What is known of the round trip at first, in milliseconds. Default: nothing. */
  rttMs?: number;
  /** How many are always let through, and how many at most. */
  min: number;
  max: number;
  /** Round trips shorter than this, in milliseconds, may be made of waiting for a busy processor, not of distance: `min` is enough for them. */
  localRttMs: number;
}

/**
 * How many of something may be on their way without an answer: as many as the way holds, which is the product of its rate
 * and its round trip. Twice that, so that the rate can grow.
 */
export class BandwidthDelay {
  /** So many. */
  limit: number;
  readonly #options: BandwidthDelayOptions;
  #rttMs: number;
  readonly #answeredAtMs: number[] = [];

  constructor(options: BandwidthDelayOptions) {
    this.#options = options;
    this.#rttMs = options.rttMs ?? Infinity;
    this.limit = options.min;
  }

  /** One was answered after `latencyMs`, or, without that, will never be. */
  answered(latencyMs = Infinity): void {
    const { clock, min, max, localRttMs } = this.#options;
    // What is told at first may have met a server that was still waking up; no answer comes faster than the way is long.
    this.#rttMs = Math.min(this.#rttMs, latencyMs);
    if (this.#rttMs < localRttMs) {
      this.limit = min;
      this.#answeredAtMs.length = 0;
      return;
    }
    const nowMs = clock.monotonicMs();
    this.#answeredAtMs.push(nowMs);
    while (
      this.#answeredAtMs.length > RATE_ANSWERS &&
      nowMs - (this.#answeredAtMs[1] ?? nowMs) >= 2 * this.#rttMs
    )
      this.#answeredAtMs.shift();
    const spanMs = nowMs - (this.#answeredAtMs[0] ?? nowMs);
    // What was asked for together is often answered together: the rate shows only over a round trip.
    if (spanMs < this.#rttMs) return;
    const perMs = (this.#answeredAtMs.length - 1) / spanMs;
    this.limit = Math.min(max, Math.max(min, Math.ceil(2 * perMs * this.#rttMs) + 1));
  }
}
