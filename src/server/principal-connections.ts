import type { Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import { Throttle } from '../transport/throttle.ts';
import type { Grant } from '../trust/grant.ts';

/** What a client is told to wait that comes once too often, in milliseconds. */
const RETRY_AFTER_MS = 1_000;

/** What the connections of one principal share. */
interface Shared {
  count: number;
  pace: { bytesPerSecond: number; received: Throttle; sent: Throttle } | undefined;
}

/** One of the connections of a principal. */
export interface PrincipalConnection {
  /** Resolves when so many bytes of content may be moved by what is granted now; undefined: at once. The signal of `ending` ends the wait, and is asked for only where there is one. */
  pace(
    way: 'received' | 'sent',
    bytes: number,
    grant: Grant,
    ending: Pick<AbortController, 'signal'>,
  ): Promise<void> | undefined;
  /** May be called again. */
  leave(): void;
}

/** The connections of each principal: how many there are, and how fast they move contents together. */
export class PrincipalConnections {
  readonly #clock: Clock;
  readonly #byName = new Map<string, Shared>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Counts a connection. Throws `busy` if the principal has as many as are granted. */
  enter(name: string, { maxConnections = Infinity }: Grant): PrincipalConnection {
    const shared = this.#byName.get(name) ?? { count: 0, pace: undefined };
    if (shared.count >= maxConnections) {
      throw new SealiftError(
        'busy',
        `You may have ${maxConnections} connections here at once, and have them.`,
        {
          retryAfterMs: RETRY_AFTER_MS,
        },
      );
    }
    this.#byName.set(name, shared);
    shared.count += 1;
    let isInside = true;
    return {
      pace: (way, bytes, { bytesPerSecond }, ending) =>
        bytesPerSecond === undefined || bytes === 0
          ? undefined
          : this.#paceOf(shared, bytesPerSecond)[way].take(bytes, ending.signal),
      leave: () => {
        if (isInside) shared.count -= 1;
        isInside = false;
        if (shared.count === 0 && this.#byName.get(name) === shared) this.#byName.delete(name);
      },
    };
  }

  #paceOf(shared: Shared, bytesPerSecond: number): NonNullable<Shared['pace']> {
    if (shared.pace?.bytesPerSecond !== bytesPerSecond) {
      const options = { bytesPerSecond, clock: this.#clock };
      shared.pace = { bytesPerSecond, received: new Throttle(options), sent: new Throttle(options) };
    }
    return shared.pace;
  }
}
