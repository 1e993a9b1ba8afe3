import type { Clock } from '../clock.ts';

/** Blocks that may be on their way without an answer, however short the way: one being worked on, one arriving. More would only have to be sent again after a cut. */
const MIN_BLOCKS = 2;
/** With a round trip of so many milliseconds, two blocks still carry 100 MB/s; and a shorter one may be made of waiting for a busy processor, not of distance. */
const LOCAL_RTT_MS = 20;
/** Over so many answers the rate is taken, and over those of two round trips if they are more. */
const RATE_ANSWERS = 8;

/**
 * How many blocks may be on their way without an answer: on a short way two, on a long one as many as it holds, which is the
 * product of its rate and its round trip. Twice that, so that the rate can grow.
 */
export class SendWindow {
  readonly #clock: Clock;
  readonly #maxBlocks: number;
  readonly #waiting: (() => void)[] = [];
  readonly #answeredAtMs: number[] = [];
  #rttMs: number;
  #limit = MIN_BLOCKS;
  #underWay = 0;

  constructor({ clock, rttMs, maxBlocks }: { clock: Clock; rttMs: number; maxBlocks: number }) {
    this.#clock = clock;
    this.#rttMs = rttMs;
    this.#maxBlocks = maxBlocks;
  }

  /** Resolves when one more block may be sent. */
  async enter(): Promise<void> {
    while (this.#underWay >= this.#limit) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#underWay += 1;
  }

  /** A block was answered after `latencyMs`, or, without that, will never be. */
  leave(latencyMs = Infinity): void {
    this.#underWay -= 1;
    this.#answered(latencyMs);
    for (const admit of this.#waiting.splice(0)) admit();
  }

  #answered(latencyMs: number): void {
    // What is told at first may have met a server that was still waking up; no answer comes faster than the way is long.
    this.#rttMs = Math.min(this.#rttMs, latencyMs);
    const times = this.#answeredAtMs;
    if (this.#rttMs < LOCAL_RTT_MS) {
      this.#limit = MIN_BLOCKS;
      times.length = 0;
      return;
    }
    const nowMs = this.#clock.monotonicMs();
    times.push(nowMs);
    while (times.length > RATE_ANSWERS && nowMs - (times[1] ?? nowMs) >= 2 * this.#rttMs) times.shift();
    const spanMs = nowMs - (times[0] ?? nowMs);
    // What was asked for together is often answered together: the rate shows only over a round trip.
    if (spanMs < this.#rttMs) return;
    const perMs = (times.length - 1) / spanMs;
    this.#limit = Math.min(this.#maxBlocks, Math.max(MIN_BLOCKS, Math.ceil(2 * perMs * this.#rttMs) + 1));
  }
}
