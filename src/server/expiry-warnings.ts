import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';

/** Something that is valid until a known moment. */
export interface Ending {
  /** As people call it. */
  what: string;
  /** Milliseconds since 1970. */
  endsMs: number;
  /** What is to be done about it. */
  remedy: string;
}

/** So many days before the end a line is written, and one when it has come. */
const WARNED_DAYS = [30, 14, 7, 1, 0] as const;
const DAY_MS = 86_400_000;
const INTERVAL_MS = 3_600_000;

/** Tells the operator in time what will expire: once at each of the days above, and at the start if one has passed. */
export class ExpiryWarnings {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #endings: () => readonly Ending[];
  /** The last of the days that was warned of, by what it was and when it ends. */
  #warned = new Map<string, number>();
  #cancel: () => void = () => undefined;
  #isClosed = false;

  /** `endings` are asked for at each look, for they change when files are read again. */
  constructor(clock: Clock, logger: Logger, endings: () => readonly Ending[]) {
    this.#clock = clock;
    this.#logger = logger;
    this.#endings = endings;
  }

  /** Looks now, and then every hour until `close`. */
  look(): void {
    // A reload may end only when the server is closed already.
    if (this.#isClosed) return;
    this.#cancel();
    this.#cancel = this.#clock.schedule(INTERVAL_MS, () => this.look());
    const warned = new Map<string, number>();
    for (const ending of this.#endings()) {
      const key = `${ending.what} ${ending.endsMs}`;
      const daysLeft = (ending.endsMs - this.#clock.now()) / DAY_MS;
      const passed = WARNED_DAYS.findLast((days) => daysLeft <= days);
      if (passed === undefined) continue;
      if (passed !== this.#warned.get(key)) this.#warn(ending, daysLeft);
      warned.set(key, passed);
    }
    // What is not there any more is forgotten.
    this.#warned = warned;
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
  }

  #warn({ what, endsMs, remedy }: Ending, daysLeft: number): void {
    const facts = { what, ends: new Date(endsMs).toISOString(), remedy };
    if (daysLeft <= 0) this.#logger.error(facts, 'expired');
    else this.#logger.warn({ ...facts, daysLeft: Math.ceil(daysLeft) }, 'expires soon');
  }
}
