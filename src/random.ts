import { randomBytes } from 'node:crypto';

/** The only source of random numbers, so that a test can repeat a run. */
export interface Random {
  /** `length` unguessable bytes. */
  bytes(length: number): Buffer;
  /** A number from 0 up to, not including, 1; for jitter, not for secrets. */
  fraction(): number;
}

/** Random bytes for names and the like are taken from the system so many at once: asking for each alone takes six times as long. */
const POOL_BYTES = 4_096;
const MAX_POOLED_BYTES = 64;
let pool = Buffer.alloc(0);

/** The random numbers of this machine. */
export const systemRandom: Random = {
  bytes(length) {
    if (length > MAX_POOLED_BYTES) return randomBytes(length);
    if (pool.length < length) pool = randomBytes(POOL_BYTES);
    // Nobody else holds what is handed out, and it is not handed out again.
    const bytes = Buffer.from(pool.subarray(0, length));
    pool = pool.subarray(length);
    return bytes;
  },
  fraction: () => Math.random(),
};

/** Random numbers that are the same again for the same `seed`, of which 32 bits count (mulberry32). Nothing about them is secret. */
export function seededRandom(seed: number): Random {
  let state = seed | 0;
  const fraction = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    fraction,
    bytes: (length) => Buffer.from(Array.from({ length }, () => Math.floor(fraction() * 256))),
  };
}
