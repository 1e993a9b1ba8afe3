// How long to soak, and by what chance.
import { parseArgs } from 'node:util';

import { freshSeed } from '../../test/support/seeded.ts';
import { parseCount, parseDuration } from '../../src/units.ts';

export interface SoakOptions {
  seconds: number;
  /** By which the same disturbances come again. */
  seed: number;
}

export const USAGE = `Usage: npm run soak -- [options]

  --seconds N   how long (default: 3600; also as 30m or 2h)
  --seed N      repeat the random choices of the run that told it`;

/** Reads the command line; undefined: only help was asked for. Throws for what makes no sense. */
export function parseSoakOptions(args: readonly string[]): SoakOptions | undefined {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: { seconds: text, seed: text, help: { type: 'boolean', default: false } },
  });
  if (values.help) return undefined;
  return {
    seconds: parseDuration(values.seconds ?? '3600') / 1_000,
    seed: values.seed === undefined ? freshSeed() : parseCount(values.seed),
  };
}
