import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';

/** How old a count may be that somebody relies on, in milliseconds: files may change behind the server's back. */
export const MAX_COUNT_AGE_MS = 600_000;
/** The same where somebody would be refused for it. */
const MAX_AGE_AT_REFUSAL_MS = 10_000;

/** Counts something that takes long to count: once for the first who wants to know, and anew now and then. */
export class Recount {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #count: () => Promise<void>;
  #countedMs = -Infinity;
  #counting: Promise<void> | undefined;

  constructor({ clock, logger }: { clock: Clock; logger: Logger }, count: () => Promise<void>) {
    this.#clock = clock;
    this.#logger = logger;
    this.#count = count;
  }

  /** Resolves once it was counted at all. An old count is renewed, and not waited for. Throws what counting throws. */
  async known(): Promise<void> {
    if (this.#ageMs > MAX_COUNT_AGE_MS) await this.#orOld(this.#begin());
  }

  /** Counts anew before somebody is refused, and tells whether that was worth trying: a count of a moment ago is not. */
  async renewed(): Promise<boolean> {
    if (this.#ageMs <= MAX_AGE_AT_REFUSAL_MS) return false;
    await this.#begin();
    return true;
  }

  get #ageMs(): number {
    return this.#clock.monotonicMs() - this.#countedMs;
  }

  async #orOld(counting: Promise<void>): Promise<void> {
    if (this.#countedMs === -Infinity) return counting;
    counting.catch((error: unknown) => this.#logger.warn({ err: error }, 'counting what lies here failed'));
  }

  #begin(): Promise<void> {
    this.#counting ??= this.#run().finally(() => (this.#counting = undefined));
    return this.#counting;
  }

  async #run(): Promise<void> {
    const beganMs = this.#clock.monotonicMs();
    await this.#count();
    this.#countedMs = beganMs;
  }
}
