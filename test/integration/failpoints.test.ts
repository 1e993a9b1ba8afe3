import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import type { Connector } from '../../src/client/connector.ts';
import { isSealiftError } from '../../src/errors.ts';
import type { Random } from '../../src/random.ts';
import { FileStore } from '../../src/storage/fs/fs-store.ts';
import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { AT_ONCE, fetchTo, noise, passUntilSettled, send } from '../client/setting.ts';
import { publication, record, uploadOptions } from '../contract/store/samples.ts';
import { hashIn, hashOfContent, standing } from '../storage/fs/standing.ts';
import { expectNoLeftovers, failureOf, opened } from '../storage/fs/trials.ts';
import { held, isLongRun } from '../support/cases.ts';
import { DISK_ROOT, ModelDisk } from '../support/disk/model-disk.ts';
import { FakeClock } from '../support/fake-clock.ts';
import type { Errno } from '../support/faulty-files.ts';
import { PowerHost } from '../support/power-host.ts';
import { pick, trialRandom } from '../support/seeded.ts';
import { temporaryDirectory } from '../support/test-server.ts';

const OLD = Buffer.from('old');
const SMALL = Buffer.from('new');
const LARGE = noise(BLOCK_BYTES + 5);
const PATH = 'directory/file';

/** What a client is told of each failure of the disk, if it does not get over it. */
const CODES: Record<Errno, string> = {
  EIO: 'retries-exhausted',
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
  EROFS: 'forbidden',
  EMFILE: 'retries-exhausted',
  EACCES: 'forbidden',
};
/** How many of the calls fail in a normal run, for each errand. */
const CALLS = 3;
const ERRNOS = Object.keys(CODES) as Errno[];

/** Where an errand is run. */
interface Place {
  connector: Connector;
  /** The time of its retries. */
  clock: FakeClock;
  /** The local file. */
  local: string;
}

/** What a client does until it has succeeded. */
interface Errand {
  name: string;
  /** What stands under the path before, and after. */
  before: Buffer | undefined;
  after: Buffer;
  /** Whether a loss of power may leave anything, until the errand is done. */
  mayTear?: true;
  run(place: Place): Promise<unknown>;
}

const sending = (options: Parameters<typeof send>[3]) => (place: Place) =>
  send(place.connector, place.local, PATH, { clock: place.clock, retry: AT_ONCE, ...options });

const ERRANDS: readonly Errand[] = [
  { name: 'a new small file', before: undefined, after: SMALL, run: sending({ if: 'absent' }) },
  { name: 'a small file that replaces another', before: OLD, after: SMALL, run: sending({}) },
  { name: 'a new large file', before: undefined, after: LARGE, run: sending({ if: 'absent' }) },
  { name: 'a large file that replaces another', before: OLD, after: LARGE, run: sending({}) },
  {
    name: 'a new small file in memory, and a sync',
    before: undefined,
    after: SMALL,
    mayTear: true,
    run: sendAndSync('absent'),
  },
  {
    name: 'a large file in memory, and a sync',
    before: undefined,
    after: LARGE,
    mayTear: true,
    run: sendAndSync('any'),
  },
  {
    name: 'a new large file in memory, and a sync',
    before: undefined,
    after: LARGE,
    mayTear: true,
    run: sendAndSync('absent'),
  },
  { name: 'a download', before: LARGE, after: LARGE, run: fetchWhole },
];

describe.each([
  ['where no versions are kept', 0],
  ['where versions are kept', 86_400_000],
])('%s', (_, keepVersionsMs) => {
  describe.each(ERRANDS)('$name', (errand) => {
    test('gets over a failure of any call, or says why not', async (context) => {
      const random = trialRandom(context);
      const directory = await temporaryDirectory();
      const count = await callCount(errand, directory, keepVersionsMs);
      for (const number of chosenCalls(count, random)) {
        for (const errno of isLongRun ? ERRNOS : [pick(random, ERRNOS)]) {
          const where = `${errno} at call ${number} of ${count}`;
          await withHost(errand, directory, keepVersionsMs, async (host, place) => {
            host.files.failCall(number, errno);
            const failure = await failureOf(passUntilSettled(place.clock, errand.run(place)));
            if (failure === undefined) return expectDone(host, errand, random, where);
            expect(failure.code, where).toBe(CODES[errno]);
            await expectOldOrNew(host.disk, errand, where);
            // Said again it succeeds, unless it had been done.
            const again = await failureOf(passUntilSettled(place.clock, errand.run(place)));
            if (again === undefined) return expectDone(host, errand, random, where);
            expect(again.code, where).toBe('exists');
            expect(await hashStanding(host.disk), where).toBe(hashOf(errand.after));
          });
          held(context, 'failpoints');
        }
      }
    });

    test('gets there although the server dies at any call, or its power fails', async (context) => {
      const random = trialRandom(context);
      const directory = await temporaryDirectory();
      const count = await callCount(errand, directory, keepVersionsMs);
      for (const number of chosenCalls(count, random)) {
        for (const losesPower of [false, true]) {
          const survival = pick(random, [0, 1, 0.5, 0.999]);
          const where = `${losesPower ? `power, survival ${survival},` : 'death'} at call ${number} of ${count}`;
          await withHost(errand, directory, keepVersionsMs, async (host, place) => {
            host.dieAt(number);
            const done = errand.run(place);
            await Promise.race([host.died, done.catch(() => undefined)]);
            const disk = losesPower ? host.disk.afterPowerFailure({ random, survival }) : host.disk;
            if (errand.mayTear !== true || !losesPower) await expectOldOrNew(disk, errand, where);
            await host.replace(disk);
            await passUntilSettled(place.clock, done);
            await expectDone(host, errand, random, where);
          });
          held(context, losesPower ? 'power failures' : 'deaths');
        }
      }
    });
  });
});

/** All of them in the long run, else a few. */
function chosenCalls(count: number, random: Random): number[] {
  const all = Array.from({ length: count }, (_, index) => index + 1);
  return isLongRun ? all : Array.from({ length: CALLS }, () => pick(random, all));
}

/** How many calls a server makes for an errand with nothing in its way. */
async function callCount(errand: Errand, directory: string, keepVersionsMs: number): Promise<number> {
  let count = 0;
  await withHost(errand, directory, keepVersionsMs, async (host, place) => {
    await passUntilSettled(place.clock, errand.run(place));
    count = host.files.calls.length;
  });
  return count;
}

/** Runs `task` with a server of its own, on whose disk is what the errand needs. */
async function withHost(
  { before, after }: Errand,
  directory: string,
  keepVersionsMs: number,
  task: (host: PowerHost, place: Place) => Promise<void>,
): Promise<void> {
  const disk = new ModelDisk();
  const store = await FileStore.open({ root: DISK_ROOT, files: disk });
  if (before !== undefined) await put(store, before);
  await store[Symbol.asyncDispose]();
  disk.syncAll();
  const local = join(directory, 'local');
  await writeFile(local, after);
  const host = await PowerHost.start(disk, keepVersionsMs);
  const connector = host.connector();
  try {
    // Connected before anything fails, so that it is the errand that meets the failure.
    await connector.use();
    host.files.heal();
    await task(host, { connector, local, clock: new FakeClock() });
  } finally {
    await connector[Symbol.asyncDispose]();
    await host[Symbol.asyncDispose]();
  }
}

/** A file of any size, as it is put through the store. */
async function put(store: FileStore, content: Buffer): Promise<void> {
  const upload = await store.openUpload('0a-1b', uploadOptions(PATH));
  for (let index = 0; index * BLOCK_BYTES < content.length; index += 1)
    await upload.write(index, content.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES));
  await upload.publish(publication(PATH), content.length, record(PATH, content.length));
  await store.forgetPublished(Number.MAX_SAFE_INTEGER);
}

/**
 * Puts a file in memory and has it synced. A receipt that was not synced is worth nothing, and what stands may be torn:
 * then it is put again, whatever stands there.
 */
function sendAndSync(condition: 'any' | 'absent') {
  return async (place: Place): Promise<void> => {
    for (let round = 1; ; round += 1) {
      try {
        const given = round === 1 ? condition : 'any';
        const { client } = await sending({ durability: 'memory', if: given })(place);
        return await client.sync();
      } catch (error) {
        if (round === 3 || !isSealiftError(error) || !(error.retryable || error.code === 'exists'))
          throw error;
      }
    }
  };
}

async function fetchWhole({ connector, clock, local }: Place): Promise<void> {
  await rm(local, { force: true });
  await fetchTo(connector, PATH, local, { clock });
  expect((await readFile(local)).equals(LARGE)).toBe(true);
}

/** Under the name stands what stood there, or what is to stand there; and no third thing. */
async function expectOldOrNew(disk: ModelDisk, { before, after }: Errand, where: string): Promise<void> {
  expect([hashOf(before), hashOf(after)], where).toContain(await hashStanding(disk));
}

/** What the client was told stands for good, even if the power fails now; and nothing temporary is left. */
async function expectDone(host: PowerHost, { after }: Errand, random: Random, where: string): Promise<void> {
  expect(await hashStanding(host.disk), where).toBe(hashOf(after));
  const disk = host.disk.afterPowerFailure({ random, survival: 0 });
  expect(await hashStanding(disk), `${where}, and another loss of power`).toBe(hashOf(after));
  await expectNoLeftovers(await opened(host.disk, host.keepVersionsMs), host.keepVersionsMs, where);
}

async function hashStanding(disk: ModelDisk): Promise<string | undefined> {
  const { files } = await standing(disk, DISK_ROOT);
  const line = files.find((each) => each.startsWith(`/${PATH}: `));
  return line === undefined ? undefined : hashIn(line);
}

function hashOf(content: Buffer | undefined): string | undefined {
  return content && hashOfContent(content);
}
