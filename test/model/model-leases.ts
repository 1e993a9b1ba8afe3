import type { FakeClock } from '../support/fake-clock.ts';
import { Refusal } from './refusal.ts';

interface Claim {
  name: string;
  holder: number | undefined;
}

/** Who holds what, and until when. */
export class ModelLeases {
  readonly #clock: FakeClock;
  readonly #byName = new Map<string, { owner: string; holder: number | undefined; expiresMs: number }>();

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  lock({ name, holder, ttlMs }: Claim & { ttlMs: number }, owner: string): void {
    this.#refuseOthers({ name, holder }, owner);
    this.#byName.set(name, { owner, holder, expiresMs: this.#clock.monotonicMs() + ttlMs });
  }

  unlock(claim: Claim, owner: string): void {
    this.#refuseOthers(claim, owner);
    this.#byName.delete(claim.name);
  }

  clear(): void {
    this.#byName.clear();
  }

  #refuseOthers({ name, holder }: Claim, owner: string): void {
    const lease = this.#byName.get(name);
    if (lease === undefined || lease.expiresMs <= this.#clock.monotonicMs()) return;
    if (lease.owner !== owner || lease.holder !== holder) throw new Refusal('locked');
  }
}
