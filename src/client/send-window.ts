import type { Clock } from '../clock.ts';
import { BandwidthDelay } from './bandwidth-delay.ts';

/** Blocks that may be on their way without an answer, however short the way: one being worked on, one arriving. More would only have to be sent again after a cut. */
const MIN_BLOCKS = 2;
/** With a round trip of so many milliseconds, two blocks still carry 100 MB/s. */
const LOCAL_RTT_MS = 20;

/** How many blocks may be on their way without an answer: on a long way as many as it holds, on a short one two. */
export class SendWindow {
  readonly #held: BandwidthDelay;
  readonly #waiting: (() => void)[] = [];
  #underWay = 0;

  constructor({ clock, rttMs, maxBlocks }: { clock: Clock; rttMs: number; maxBlocks: number }) {
    this.#held = new BandwidthDelay({
      clock,
      rttMs,
      min: MIN_BLOCKS,
      max: maxBlocks,
      localRttMs: LOCAL_RTT_MS,
    });
  }

  /** Resolves when one more block may be sent. */
  async enter(): Promise<void> {
    while (this.#underWay >= this.#held.limit)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#underWay += 1;
  }

  /** A block was answered after `latencyMs`, or, without that, will never be. */
  leave(latencyMs?: number): void {
    this.#underWay -= 1;
    this.#held.answered(latencyMs);
    for (const admit of this.#waiting.splice(0)) admit();
  }
}
