import { describe, expect, test } from 'vitest';
import type { Random } from '../../../src/random.ts';
import { effort, held } from '../../support/cases.ts';
import type { ModelDisk } from '../../support/disk/model-disk.ts';
import type { Fault, FaultyFiles, FileCall } from '../../support/faulty-files.ts';
import { pickSeveral, trialRandom } from '../../support/seeded.ts';
import { SCENARIO_KEY, SCENARIOS, type Scenario } from './scenarios.ts';
import {
  BASE,
  begun,
  dying,
  expectNoLeftovers,
  expectNothingLost,
  failureOf,
  KEPT,
  opened,
  prepared,
  sayAgain,
  standingOn,
  STATE,
} from './trials.ts';

/** What the client is told, for each way in which the system fails. */
const CODES = {
  EIO: 'internal',
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
  EROFS: 'forbidden',
  EMFILE: 'busy',
  EACCES: 'forbidden',
} as const;
/** With how many of them each call fails; chance chooses which. */
const ERRORS_PER_CALL = effort(2, Object.keys(CODES).length);

/** Ways in which a write takes less than it was given; undefined: the rest follows, and nobody is told. */
const SHORT_WRITES: readonly { name: string; code: string | undefined; faults: readonly Fault[] }[] = [
  { name: 'a write of one byte', faults: [{ takes: 1 }], code: undefined },
  { name: 'a write of nothing', faults: [{ takes: 0 }], code: 'no-space' },
  {
    name: 'a write of one byte on a disk that is full then',
    faults: [{ takes: 1 }, 'ENOSPC'],
    code: 'no-space',
  },
];

describe.each(KEPT)('%s', (_, keepVersionsMs) => {
  describe.each(SCENARIOS)('$name', (scenario) => {
    test('fails at every call, and says why', async (context) => {
      const random = trialRandom(context);
      const preparation = await prepared(scenario, keepVersionsMs);
      const { calls, before, after } = preparation;
      const named = calls.findIndex(isNaming);
      expect(calls.length).toBeGreaterThan(0);
      for (const [index, call] of calls.entries()) {
        for (const { name, code, faults } of waysToFail(call, scenario, random)) {
          const where = `${name} at ${call.name} ${call.path} (call ${index + 1} of ${calls.length})`;
          const trial = await begun(preparation);
          failFrom(trial.files, index + 1, faults);
          const failure = await failureOf(scenario.run(trial.store, BASE));
          expect(trial.files.calls[index], where).toEqual(call);
          trial.files.heal();

          // Either it failed and said why, or what failed did not matter and everything was done.
          if (failure !== undefined) {
            expect(failure.code, where).toBe(code);
            expect(await temporaries(trial.disk), where).toEqual([]);
          } else if (code !== undefined) expect(isHarmless(call, index > named), where).toBe(true);
          const now = await standingOn(trial.disk);
          if (failure === undefined) expect(now, where).toEqual(after);
          else if (index <= named || named === -1) expect(now.files, where).toEqual(before.files);
          else expect([before.files, after.files], where).toContainEqual(now.files);
          expect(trial.files.openCount, where).toBe(trial.handles);
          await expectNothingLost(trial, preparation, now, where);

          if (isSyncOfSource(call, scenario)) {
            expect((await failureOf(scenario.run(trial.store, BASE)))?.retryable, where).toBe(false);
            expect((await standingOn(trial.disk)).files, where).toEqual(before.files);
            await scenario.prepare(trial.store, BASE);
          }
          const isDone = await sayAgain(trial, preparation, now, where);
          const last = await standingOn(trial.disk);
          expect(last, where).toEqual(after);
          if (isDone && scenario.isDurable === true) {
            const disk = trial.disk.afterPowerFailure({ random, survival: 0 });
            expect((await standingOn(disk)).files, where).toEqual(after.files);
          }
          await expectNothingLost(trial, preparation, last, where);
          await expectNoLeftovers(trial, keepVersionsMs, where);
          held(context, 'failpoints');
        }
      }
    });

    test('may die before every call, and after the last', async (context) => {
      const preparation = await prepared(scenario, keepVersionsMs);
      const { calls, before, after } = preparation;
      for (let last = 0; last <= calls.length; last += 1) {
        const where = `after call ${last} of ${calls.length}, ${calls[last - 1]?.name} ${calls[last - 1]?.path}`;
        const dead = await begun(preparation);
        const { failure } = await dying(dead, last, () => scenario.run(dead.store, BASE));

        const trial = await opened(dead.disk, keepVersionsMs);
        const now = await standingOn(trial.disk);
        if (failure === undefined) expect(now, where).toEqual(after);
        expect([before.files, after.files], where).toContainEqual(now.files);
        await expectNothingLost(trial, preparation, now, where);
        const published = await trial.store.published('upload-1');
        if (published !== undefined) expect(now.files, where).toEqual(after.files);
        await sayAgain(trial, preparation, now, where);
        const then = await standingOn(trial.disk);
        expect(then.files, where).toEqual(after.files);
        await expectNothingLost(trial, preparation, then, where);
        await expectNoLeftovers(trial, keepVersionsMs, where);
        held(context, 'deaths');
      }
    });
  });
});

function waysToFail({ name }: FileCall, { isHarmed = () => true }: Scenario, random: Random) {
  const harmful = Object.entries(CODES).filter(([errno]) => isHarmed(errno));
  const errors = pickSeveral(random, ERRORS_PER_CALL, harmful).map(([errno, code]) => ({
    name: errno,
    code,
    faults: [errno as Fault],
  }));
  return name === 'file.write' ? [...errors, ...SHORT_WRITES] : errors;
}

/** The calls from number `number` on fail, each in its way. */
function failFrom(files: FaultyFiles, number: number, faults: readonly Fault[]): void {
  files.heal((_, each) => faults[each - number]);
}

/** Whether what the scenario starts from can be relied on no more if this call fails. */
function isSyncOfSource({ name, path }: FileCall, { source }: Scenario): boolean {
  return name === 'file.sync' && source !== undefined && path.endsWith(`/${BASE}/${source}`);
}

/** What a call that failed should have taken away again. */
async function temporaries(disk: ModelDisk): Promise<string[]> {
  const names = await Array.fromAsync(disk.names(`${STATE}/uploads`));
  return names.filter((name) => name !== SCENARIO_KEY);
}

/** Whether a call is the one by which everybody sees that something changed. */
function isNaming({ name, path, detail }: FileCall): boolean {
  if (name === 'rename') return !detail?.includes('/.sealift/uploads/');
  if (name === 'link') return !detail?.includes('/.sealift/');
  return ['unlink', 'rmdir', 'symlink'].includes(name) && !path.includes('/.sealift/');
}

/** Whether an operation has succeeded although this call failed. */
function isHarmless({ name, path }: FileCall, isDone: boolean): boolean {
  // Closing what was only read.
  if (name === 'file.close') return !path.includes(SCENARIO_KEY) && !path.includes('/inline-');
  // After the file has its name: its old one stays for the sweep, its record is found by the first line.
  return isDone && (path.includes('/.sealift/uploads/') || path.includes('/.sealift/published/'));
}
