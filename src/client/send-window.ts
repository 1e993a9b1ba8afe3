import type { Clock } from '../clock.ts';

/** Blocks that may be on their way without an answer, however short the way: one being worked on, one arriving. More would only have to be sent again after a cut. */
const MIN_BLOCKS = 2;
/** Round trips shorter than this, in milliseconds, may be made of waiting for a busy processor, not of distance; two blocks then still carry 100 MB/s. */
const LOCAL_RTT_MS = 20;
/** Over so many answers the rate is taken, and over those of two round trips if they are more. */
const RATE_ANSWERS = 8;

/**
 * How many blocks may be on their way without an answer. On a long way as many as it holds (twice the product of
 * its rate and its round trip, so that the rate can grow), on a short one two.
 */
export class SendWindow {
  readonly #clock: Clock;
  #rttMs: number;
  readonly #maxBlocks: number;
  readonly #waiting: (() => void)[] = [];
  readonly #answeredAtMs: number[] = [];
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
    // The hello may have met a server that was still waking up; no answer comes faster than the way is long.
    this.#rttMs = Math.min(this.#rttMs, latencyMs);
    this.#adapt(this.#clock.monotonicMs());
    for (const admit of this.#waiting.splice(0)) admit();
  }

  #adapt(nowMs: number): void {
    this.#answeredAtMs.push(nowMs);
    while (
      this.#answeredAtMs.length > RATE_ANSWERS &&
      nowMs - (this.#answeredAtMs[1] ?? nowMs) >= 2 * this.#rttMs
    )
      this.#answeredAtMs.shift();
    if (this.#rttMs < LOCAL_RTT_MS) {
      this.#limit = MIN_BLOCKS;
      return;
    }
    const spanMs = nowMs - (this.#answeredAtMs[0] ?? nowMs);
    // What was asked for together is often answered together: the rate shows only over a round trip.
    if (spanMs < this.#rttMs) return;
    const blocksPerMs = (this.#answeredAtMs.length - 1) / spanMs;
    const wanted = Math.ceil(2 * blocksPerMs * this.#rttMs) + 1;
    this.#limit = Math.min(this.#maxBlocks, Math.max(MIN_BLOCKS, wanted));
  }
}
