import { test } from 'vitest';

import { effort, held } from '../support/cases.ts';
import { cutPointsOf, someOf } from '../support/cut-points.ts';
import { CutTrials } from '../support/cut-trials.ts';
import { ERRANDS } from '../support/errands.ts';
import { trialRandom } from '../support/seeded.ts';

/** Cuts of each errand: some of those that there are, or all. */
const CUTS = effort(5, Infinity);

test.for(ERRANDS)('$name, cut in any message', async (errand, context) => {
  const random = trialRandom(context);
  const trials = await CutTrials.start();
  const points = cutPointsOf(await trials.record(errand));
  for (const point of someOf(points, CUTS, random)) {
    const where = `${point.way}, message ${point.message}, ${point.place}, by ${point.kind}`;
    const isCut = await trials.cut(errand, point).catch((cause: unknown) => {
      throw new Error(`The cut ${where} did harm.`, { cause });
    });
    if (isCut) held(context, 'cuts');
  }
});
