import { hash } from 'node:crypto';

import type { Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import { networkOf } from '../transport/peer.ts';

/** Failures that an address may have before it is slowed. */
const FREE_FAILURES = 5;
/** How long a failure counts, in milliseconds. */
const MEMORY_MS = 60_000;
/** The longest that an address is made to wait, in milliseconds. */
const MAX_DELAY_MS = 30_000;
/** Addresses remembered; beyond it the ones that failed longest ago are forgotten. */
const MAX_ADDRESSES = 10_000;
/** Logins remembered that once were right; beyond it the oldest are forgotten. */
const MAX_KNOWN = 10_000;

interface Failures {
  count: number;
  lastMs: number;
}

/**
 * Slows whoever guesses: after a few failures an address has to wait, each time twice as long. Others may share the
 * address, behind a router that translates: a token that was right from there before does not wait with the guesser.
 */
export class FailedLogins {
  readonly #clock: Clock;
  readonly #byAddress = new Map<string, Failures>();
  readonly #known = new Set<string>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Throws `rate-limited` while `address` has to wait to try another `secret`. */
  assertMayTry(address: string, secret: string): void {
    if (this.#known.has(knownAs(address, secret))) return;
    const failures = this.#recent(networkOf(address));
    if (failures === undefined || failures.count < FREE_FAILURES) return;
    const delayMs = Math.min(MAX_DELAY_MS, 1_000 * 2 ** (failures.count - FREE_FAILURES));
    const waitMs = failures.lastMs + delayMs - this.#clock.monotonicMs();
    if (waitMs > 0) {
      throw new SealiftError(
        'rate-limited',
        'Too many failed logins came from this address; wait before the next.',
        { retryAfterMs: waitMs },
      );
    }
  }

  /** A token was right. */
  recordRight(address: string, token: string): void {
    const known = knownAs(address, token);
    this.#known.delete(known);
    this.#known.add(known);
    for (const oldest of this.#known) {
      if (this.#known.size <= MAX_KNOWN) break;
      this.#known.delete(oldest);
    }
  }

  record(peerAddress: string): void {
    const address = networkOf(peerAddress);
    const count = (this.#recent(address)?.count ?? 0) + 1;
    // Put at the end, so that the map's order is that of the last failure.
    this.#byAddress.delete(address);
    this.#byAddress.set(address, { count, lastMs: this.#clock.monotonicMs() });
    for (const oldest of this.#byAddress.keys()) {
      if (this.#byAddress.size <= MAX_ADDRESSES) break;
      this.#byAddress.delete(oldest);
    }
  }

  #recent(address: string): Failures | undefined {
    const failures = this.#byAddress.get(address);
    return failures !== undefined && this.#clock.monotonicMs() - failures.lastMs < MEMORY_MS
      ? failures
      : undefined;
  }
}

// Not the secret itself, which has no business in the memory of a server.
function knownAs(address: string, secret: string): string {
  return `${networkOf(address)} ${hash('sha256', secret)}`;
}
