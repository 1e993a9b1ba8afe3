import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { silentLogger } from '../../src/logger.ts';
import { systemRandom } from '../../src/random.ts';
import { Uploads } from '../../src/server/uploads.ts';
import { systemFiles } from '../../src/storage/fs/file-system.ts';
import { FileStore } from '../../src/storage/fs/fs-store.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import type { Store } from '../../src/storage/store.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { holds } from '../support/properties.ts';
import { temporaryDirectory } from '../support/test-server.ts';
import { anyErrand, Errands } from './errands.ts';
import { isExplained } from './linear.ts';
import { Sequencer } from './sequencer.ts';

/** Nothing that nobody works with is kept, however new it is. */
const GIVEN_UP = { maxAgeMs: -1e9, maxCountPerOwner: 100, maxBytesPerOwner: 2 ** 30 };
const KEPT = { keepVersionsMs: 86_400_000 };

/** What is open for trials, and what of it is left behind. */
interface Opened {
  store: Store;
  leftovers: () => Promise<string[]>;
  /** A long run tries thousands. */
  remove: () => Promise<void>;
}

/** Which calls come in an order of chance, how often that can be tried within a few seconds, and about how many calls an upload makes. */
const stores: [
  string,
  { numRuns: number; calls: number },
  (sequencer: Sequencer, clock: FakeClock) => Promise<Opened>,
][] = [
  [
    'of a store in memory',
    { numRuns: 1_000, calls: 10 },
    async (sequencer, clock) => {
      const store = new MemoryStore({ clock, ...KEPT });
      return {
        store: sequencer.sequenced<Store>(store),
        leftovers: () => keysOf(store),
        remove: async () => undefined,
      };
    },
  ],
  [
    'of the file system below a store',
    { numRuns: 120, calls: 40 },
    async (sequencer, clock) => {
      const root = await temporaryDirectory();
      const files = sequencer.sequenced(systemFiles);
      const store = await FileStore.open({ root, files, clock, ...KEPT });
      return {
        store,
        leftovers: () => readdir(join(root, '.sealift', 'uploads')),
        remove: () => rm(root, { recursive: true }),
      };
    },
  ],
];

describe.each(stores)('whatever the order of the calls %s,', (_, { numRuns, calls }, open) => {
  test('uploads, take-overs, commits, removals and sweeps end as if one had come after the other', async (context) => {
    const timed = fc.record({ errand: anyErrand, afterTurns: fc.nat(calls) });
    const errands = fc.noBias(fc.array(timed, { minLength: 2, maxLength: 5 }));
    await holds(
      context,
      fc.asyncProperty(fc.scheduler(), errands, async (scheduler, todo) => {
        const clock = new FakeClock(Date.now());
        const sequencer = new Sequencer(scheduler);
        const { store, leftovers, remove } = await open(sequencer, clock);
        const parts = { store, clock, random: systemRandom, logger: silentLogger, caps: GIVEN_UP };
        const uploads = new Uploads(parts);
        const done = new Errands(uploads, store);
        try {
          await sequencer.drive(() =>
            Promise.all(
              todo.map(async ({ errand, afterTurns }, index) => {
                await sequencer.pass(afterTurns);
                await done.run(errand, `file ${index}`);
              }),
            ),
          );
          await done.read();
          expect(isExplained(done.deeds, undefined)).toBe(true);
          const stands = await done.content();
          // Nothing that was acknowledged is lost, nor anything else there.
          expect([...(await done.kept()), ...(stands === undefined ? [] : [stands])].sort()).toEqual(
            done.written.sort(),
          );
          await uploads.sweep();
          expect(await leftovers()).toEqual([]);
        } finally {
          await uploads.close();
          await store[Symbol.asyncDispose]();
          await remove();
        }
      }),
      { numRuns, kind: 'schedules' },
    );
  });
});

async function keysOf(store: Store): Promise<string[]> {
  return (await Array.fromAsync(store.uploads())).map(({ key }) => key);
}
