import type { TestContext } from 'vitest';

import { seededRandom, systemRandom, type Random } from '../../src/random.ts';

/** The seed for trials of this run: that of `SEALIFT_TEST_SEED`, or a fresh one. */
export function freshSeed(): number {
  const given = process.env['SEALIFT_TEST_SEED'];
  const seed = given === undefined ? systemRandom.bytes(4).readUInt32BE() : Number(given);
  if (Number.isSafeInteger(seed)) return seed;
  throw new Error(`SEALIFT_TEST_SEED has to be a whole number, not ${given}.`);
}

/** Random numbers for the trials of one test. If it fails, the seed is told by which they come again. */
export function trialRandom({ onTestFailed }: Pick<TestContext, 'onTestFailed'>): Random {
  const seed = freshSeed();
  onTestFailed(() => console.error(`The same random choices again: SEALIFT_TEST_SEED=${seed}`));
  return seededRandom(seed);
}

/** A whole number from `least` to `most`. */
export function between(random: Random, least: number, most: number): number {
  return least + Math.floor(random.fraction() * (most - least + 1));
}

/** One of `choices`. */
export function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[between(random, 0, choices.length - 1)] as T;
}

/** `count` different ones of `choices`, or all of them where there are no more. */
export function pickSeveral<T>(random: Random, count: number, choices: readonly T[]): T[] {
  const left = [...choices];
  return Array.from({ length: Math.min(count, left.length) }, () => {
    const [picked] = left.splice(between(random, 0, left.length - 1), 1);
    return picked as T;
  });
}
