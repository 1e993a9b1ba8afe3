import type { Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import { MAX_LEASES_PER_PRINCIPAL } from '../protocol/limits.ts';

/** A lease as somebody asks for it. */
export interface LeaseClaim {
  name: string;
  /** The principal's name; the empty string stands for all anonymous clients. */
  owner: string;
  /** What one run of the principal made up, to be told from its other runs. */
  holder?: string | undefined;
}

interface Lease extends LeaseClaim {
  /** By the clock that never runs backwards. */
  expiresMs: number;
}

/** All leases of a server, by name. They are kept in memory only: when the server ends, so do they. */
export class Leases {
  readonly #clock: Clock;
  readonly #byName = new Map<string, Lease>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes a lease for `ttlMs` from now, or renews it. Throws `forbidden`, `locked`, or `busy` for one too many. */
  lock(claim: LeaseClaim, ttlMs: number): void {
    assertNotAnonymous(claim);
    this.#dropExpired();
    if (this.#held(claim) === undefined) this.#assertRoom(claim.owner);
    this.#byName.set(claim.name, { ...claim, expiresMs: this.#clock.monotonicMs() + ttlMs });
  }

  /** Gives a lease back; one that is not held is none to give back, which is no failure. Throws `forbidden` or `locked`. */
  unlock(claim: LeaseClaim): void {
    assertNotAnonymous(claim);
    this.#dropExpired();
    if (this.#held(claim) !== undefined) this.#byName.delete(claim.name);
  }

  /** The lease, if it is the claimant's; undefined if nobody has it. Throws `locked` if it is somebody else's. */
  #held({ name, owner, holder }: LeaseClaim): Lease | undefined {
    const lease = this.#byName.get(name);
    if (lease === undefined || (lease.owner === owner && lease.holder === holder)) return lease;
    throw new SealiftError('locked', 'Somebody else holds this lease.', {
      retryAfterMs: lease.expiresMs - this.#clock.monotonicMs(),
    });
  }

  #assertRoom(owner: string): void {
    const ends = [...this.#byName.values()].flatMap((lease) =>
      lease.owner === owner ? lease.expiresMs : [],
    );
    if (ends.length < MAX_LEASES_PER_PRINCIPAL) return;
    throw new SealiftError('busy', 'You hold too many leases; give some back.', {
      retryAfterMs: Math.min(...ends) - this.#clock.monotonicMs(),
    });
  }

  #dropExpired(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const { name, expiresMs } of this.#byName.values())
      if (expiresMs <= nowMs) this.#byName.delete(name);
  }
}

// All strangers are the same to the server: a lease of one would be everybody's, and principals would wait for it.
function assertNotAnonymous({ owner }: LeaseClaim): void {
  if (owner !== '') return;
  throw new SealiftError('forbidden', 'Leases are for those who log in, by token or by certificate.');
}
