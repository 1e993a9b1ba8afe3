import { hash, timingSafeEqual } from 'node:crypto';

import type { Clock } from '../clock.ts';
import type { Random } from '../random.ts';

/** How long a join code lives unless it is issued otherwise. */
export const JOIN_CODE_LIFETIME_MS = 15 * 60_000;

/**
 * The join codes that wait to be exchanged for a lasting token. Each works once and for a short time, and lives in
 * the memory of this process only: a restart voids it.
 */
export class JoinCodes {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #codes = new Set<PendingCode>();

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** A new code: 128 random bits as 26 characters that are safe in a URL and hard to misread (Crockford's base 32). */
  issue({ lifetimeMs = JOIN_CODE_LIFETIME_MS }: { lifetimeMs?: number } = {}): string {
    const code = base32(this.#random.bytes(CODE_BYTES));
    const monotonicMs = this.#clock.monotonicMs() + lifetimeMs;
    this.#codes.add({ hash: hashOf(code), monotonicMs, wallMs: this.#clock.now() + lifetimeMs });
    return code;
  }

  /**
   * Whether `code` was issued, lives and was not redeemed before; it is void afterwards. Letter case, hyphens and
   * spaces do not matter, and O, I and L are read as the digits they look like.
   */
  redeem(code: string): boolean {
    this.#dropExpired();
    const presented = hashOf(normalize(code));
    let found: PendingCode | undefined;
    for (const pending of this.#codes) if (timingSafeEqual(pending.hash, presented)) found = pending;
    return found !== undefined && this.#codes.delete(found);
  }

  /** How many codes could still be redeemed. */
  get pending(): number {
    this.#dropExpired();
    return this.#codes.size;
  }

  // Either clock may end a code: the wall clock can be set back, the monotonic one may stand still while a machine
  // sleeps.
  #dropExpired(): void {
    for (const code of this.#codes) {
      if (this.#clock.monotonicMs() >= code.monotonicMs || this.#clock.now() >= code.wallMs)
        this.#codes.delete(code);
    }
  }
}

interface PendingCode {
  hash: Buffer;
  monotonicMs: number;
  wallMs: number;
}

const CODE_BYTES = 16;
const CODE_CHARACTERS = 26;
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

function base32(bytes: Buffer): string {
  const number = BigInt(`0x${bytes.toString('hex')}`);
  const character = (place: number) => ALPHABET.charAt(Number((number >> BigInt(place * 5)) & 31n));
  return Array.from({ length: CODE_CHARACTERS }, (_, i) => character(CODE_CHARACTERS - 1 - i)).join('');
}

function normalize(code: string): string {
  return code.toUpperCase().replace(/[\s-]/g, '').replaceAll('O', '0').replace(/[IL]/g, '1');
}

function hashOf(code: string): Buffer {
  return hash('sha256', code, 'buffer');
}
