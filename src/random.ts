import { randomBytes } from 'node:crypto';

/** The only source of random numbers, so that a test can repeat a run. */
export interface Random {
  /** `length` unguessable bytes. */
  bytes(length: number): Buffer;
  /** A number from 0 up to, not including, 1; for jitter, not for secrets. */
  fraction(): number;
}

/** The random numbers of this machine. */
export const systemRandom: Random = {
  bytes: (length) => randomBytes(length),
  fraction: () => Math.random(),
};
