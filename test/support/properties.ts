import fc from 'fast-check';
import type { TestContext } from 'vitest';

import { effort, held, isLongRun } from './cases.ts';
import { freshSeed } from './seeded.ts';

/** Below the time that a test has, so that the seed of a run that hangs is told; in milliseconds. */
const MAX_MS = isLongRun ? 5 * 3_600_000 : 25_000;

/** Texts of any characters, control characters and halves of some among them. */
export const anyString = fc.string({ unit: fc.nat(0xffff).map((unit) => String.fromCharCode(unit)) });

interface Runs {
  /** How many in a normal run; a long one does a hundred times as many. Default 100. */
  numRuns?: number;
  /** What is counted. Default `properties`. */
  kind?: string;
}

/**
 * Tries a property with values of chance, counts those for which it held, and fails with the smallest for which it did
 * not. The seed is told then; with it in SEALIFT_TEST_SEED the same values come again.
 */
export async function holds<Values>(
  context: Pick<TestContext, 'task'>,
  property: fc.IRawProperty<Values>,
  { numRuns = 100, kind = 'properties', ...rest }: Runs & Pick<fc.Parameters<Values>, 'examples'> = {},
): Promise<void> {
  const runs = numRuns * effort(1, 100);
  const details = await fc.check(property, {
    ...rest,
    numRuns: runs,
    seed: freshSeed(),
    // What was found by then is told, also if it could be made smaller still.
    interruptAfterTimeLimit: MAX_MS,
    markInterruptAsFailure: true,
  });
  if (details.failed) {
    throw new Error(`${fc.defaultReportMessage(details)}\n\nAgain: SEALIFT_TEST_SEED=${details.seed}`, {
      cause: details.errorInstance,
    });
  }
  held(context, kind, details.numRuns);
}
