import { describe, expect, test } from 'vitest';
import type { Random } from '../../../src/random.ts';
import { effort, held } from '../../support/cases.ts';
import type { PowerFailure } from '../../support/disk/kept.ts';
import { pick, trialRandom } from '../../support/seeded.ts';
import { SCENARIOS } from './scenarios.ts';
import { hashIn, pathIn, type Standing } from './standing.ts';
import {
  BASE,
  begun,
  dying,
  expectNoLeftovers,
  expectNothingLost,
  KEPT,
  opened,
  prepared,
  sayAgain,
  standingOn,
  type Prepared,
  type Trial,
} from './trials.ts';

/** How often the power fails behind each call, each time with another outcome. */
const OUTCOMES = effort(1, 100);

describe.each(KEPT)('%s', (_, keepVersionsMs) => {
  test.for(SCENARIOS)('the power may fail behind every call of $name', async (scenario, context) => {
    const random = trialRandom(context);
    const preparation = await prepared(scenario, keepVersionsMs);
    for (let last = 0, isOver = false; !isOver; last += 1) {
      const dead = await begun(preparation);
      const told = { isDone: false, isSynced: false };
      ({ isOver } = await dying(dead, last, async () => {
        await scenario.run(dead.store, BASE);
        told.isDone = true;
        await synced(dead, preparation);
        told.isSynced = true;
      }));
      const { name, path } = dead.files.calls[last - 1] ?? { name: 'nothing', path: '' };
      const isPromised = told.isSynced || (told.isDone && scenario.isDurable === true);
      for (let outcome = 0; outcome < OUTCOMES; outcome += 1) {
        const failure = powerFailure(random);
        const where = `behind call ${last}, ${name} ${path}, survival ${failure.survival}`;
        const trial = await opened(dead.disk.afterPowerFailure(failure), keepVersionsMs);
        await expectRecovery(random, trial, preparation, isPromised, where);
        held(context, 'power failures');
      }
    }
  });
});

/** What was promised stands; what was not is old or new; and in the end all is as it should be, for good. */
async function expectRecovery(
  random: Random,
  trial: Trial,
  preparation: Prepared,
  isPromised: boolean,
  where: string,
): Promise<void> {
  const { keepVersionsMs, after } = preparation;
  const now = await standingOn(trial.disk);
  if (isPromised) expect(now.files, where).toEqual(after.files);
  else expectOldOrNew(now, preparation, where);
  await expectNothingLost(trial, preparation, now, where);
  const published = await trial.store.published('upload-1');
  if (published !== undefined) expect(now.files, where).toEqual(after.files);

  await sayAgain(trial, preparation, now, where);
  await synced(trial, preparation);
  await trial.store[Symbol.asyncDispose]();
  const nothingMore = { random, survival: 0 };
  const again = await opened(trial.disk.afterPowerFailure(nothingMore), keepVersionsMs, { life: 4 });
  const last = await standingOn(again.disk);
  expect(last.files, where).toEqual(after.files);
  await expectNothingLost(again, preparation, last, where);
  await expectNoLeftovers(again, keepVersionsMs, where);
}

/** Each file is as it was or as it was to be, and neither is missing where both had it. */
function expectOldOrNew(now: Standing, { scenario, before, after }: Prepared, where: string): void {
  const wasThere = new Set(before.files.map(pathIn));
  for (const line of now.files)
    if (scenario.mayTear !== true || wasThere.has(pathIn(line)))
      expect([...before.files, ...after.files], where).toContain(line);
  const paths = now.files.map(pathIn);
  for (const path of after.files.map(pathIn)) if (wasThere.has(path)) expect(paths, where).toContain(path);
  const contents = now.files.map(hashIn);
  const lasting = before.files.map(hashIn).filter((each) => after.files.map(hashIn).includes(each));
  for (const content of lasting) expect(contents, where).toContain(content);
}

/** Brings to the disk what a scenario changed, as the server does before it says that it is there. */
async function synced({ store }: Trial, { before, after }: Prepared): Promise<void> {
  const names = [before, after].flatMap(({ files, directories }) => [...files.map(pathIn), ...directories]);
  await store.sync([...new Set(names)].map((name) => `${BASE}${name}`));
}

// All, nothing, half, or nearly all of what was not synced: of many pages together the rest is never seen else.
function powerFailure(random: Random): PowerFailure {
  return { random, survival: pick(random, [0, 1, 0.5, 0.999, random.fraction()]) };
}
