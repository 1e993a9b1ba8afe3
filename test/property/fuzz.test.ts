import { test } from 'vitest';

import { effort, held } from '../support/cases.ts';
import { FUZZED } from '../support/fuzz/targets.ts';
import { freshSeed } from '../support/seeded.ts';

/** Rounds of each kind; what one of them costs differs. */
const ROUNDS = {
  messages: effort(200, 100_000),
  answers: effort(100, 30_000),
  handshakes: effort(400, 300_000),
};

test.for(['messages', 'answers', 'handshakes'] as const)('fuzzed %s do no harm', async (kind, context) => {
  const seed = freshSeed();
  // Where its time is over no round can tell which one it was.
  context.onTestFailed(() => console.error(`The same rounds again: SEALIFT_TEST_SEED=${seed}`));
  const rounds = await FUZZED[kind]({
    seed,
    isOver: (done) => done >= ROUNDS[kind],
    command: (again) => `npm run fuzz -- --only ${kind} --seconds 0 --seed ${again}`,
  });
  held(context, `fuzzed ${kind}`, rounds);
});
