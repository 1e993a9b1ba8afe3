import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { isSealiftError } from '../../src/errors.ts';
import { silentLogger } from '../../src/logger.ts';
import { isGranted } from '../../src/server/authorization.ts';
import type { Change } from '../../src/server/change-effects.ts';
import { Quotas, type Changer } from '../../src/server/quotas.ts';
import { whatStands } from '../../src/server/what-stands.ts';
import { FileStore } from '../../src/storage/fs/fs-store.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import type { Store } from '../../src/storage/store.ts';
import { isWithin } from '../../src/transfer/remote-path.ts';
import { unlimitedGrant } from '../../src/trust/grant.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { holds } from '../support/properties.ts';
import { temporaryDirectory } from '../support/test-server.ts';

const QUOTA_BYTES = 300;
const QUOTA_FILES = 12;
const NO_LIMITS = unlimitedGrant([]);
const ANYTHING = { condition: { if: 'any' }, mayReplace: true } as const;

const path = fc
  .array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 })
  .map((names) => names.join('/'));
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ type: fc.constant('put' as const), path, bytes: fc.nat(60) }),
  fc.record({ type: fc.constant('make' as const), path }),
  fc.record({ type: fc.constant('remove' as const), path, isRecursive: fc.boolean() }),
  fc.record({ type: fc.constant('move' as const), path, to: path }),
);
const prefixes = fc
  .uniqueArray(fc.oneof(fc.constant(''), path), { minLength: 1, maxLength: 2 })
  .filter(([one = '', two]) => two === undefined || !(isWithin(one, two) || isWithin(two, one)));

async function make(store: Store, wanted: Change): Promise<unknown> {
  switch (wanted.type) {
    case 'put':
      return store.put({ ...ANYTHING, path: wanted.path, durability: 'memory' }, Buffer.alloc(wanted.bytes));
    case 'make':
      return store.mkdir(wanted.path, {});
    case 'remove':
      return store.remove(wanted.path, { recursive: wanted.isRecursive });
    case 'move':
      return store.move(wanted.path, wanted.to, ANYTHING);
  }
}

/** What really lies under the prefixes, by a fresh listing of all there is. */
async function lying(store: Store, granted: readonly string[]): Promise<{ bytes: number; files: number }> {
  const entries = await Array.fromAsync(store.list('', { recursive: true }));
  if (store.features.versions)
    entries.push(...(await Array.fromAsync(store.list('', { recursive: true, versions: true }))));
  const counted = entries.filter((entry) => isGranted(entry.path, granted));
  return { bytes: counted.reduce((sum, { size }) => sum + size, 0), files: counted.length };
}

/** Whether there would be room for a file, which is then not made. */
async function hasRoom(quotas: Quotas, by: Changer, file: { path: string; bytes: number }): Promise<boolean> {
  const stop = new Error('there is room');
  try {
    return await quotas.change(by, { type: 'put', ...file }, () => Promise.reject(stop));
  } catch (error) {
    if (error === stop) return true;
    if (isSealiftError(error, 'quota-exceeded')) return false;
    throw error;
  }
}

/** Where to count, and how often it can be tried there within a few seconds. */
const places: [string, number, (clock: FakeClock) => Promise<Store>][] = [
  ['in memory', 200, async (clock) => new MemoryStore({ clock })],
  ['in memory, with versions', 200, async (clock) => new MemoryStore({ clock, keepVersionsMs: 60_000 })],
  ['in a directory', 25, async (clock) => FileStore.open({ root: await temporaryDirectory(), clock })],
  [
    'in a directory, with versions',
    25,
    async (clock) => FileStore.open({ root: await temporaryDirectory(), clock, keepVersionsMs: 60_000 }),
  ],
];

/** Changes at once of which one makes or removes a directory in the moment in which another one looks. */
const CROSSING: Change[][] = [
  [
    { type: 'put', path: 'c/a', bytes: 1 },
    { type: 'move', path: 'c', to: 'a' },
  ],
  [
    { type: 'put', path: 'c/c/a', bytes: 0 },
    { type: 'remove', path: 'c/c', isRecursive: true },
    { type: 'remove', path: 'c', isRecursive: true },
  ],
  [
    { type: 'put', path: 'a', bytes: 0 },
    { type: 'make', path: 'a' },
    { type: 'remove', path: 'a', isRecursive: false },
    { type: 'put', path: 'a/a', bytes: 0 },
  ],
];

describe.each(places)('what is counted is what a listing finds, %s,', (_, numRuns, open) => {
  const steps = fc.array(fc.record({ change, who: fc.nat(2) }), { maxLength: 30 });
  /** Two principals with a quota, and one without, in a new store. Both counts are made, and then only kept up: the clock stands still. */
  async function start(granted: readonly (readonly string[])[]) {
    const clock = new FakeClock();
    const store = await open(clock);
    const quotas = new Quotas({ store, clock, logger: silentLogger });
    const limited = granted.map((each) => ({
      owner: each.join(),
      grant: { ...NO_LIMITS, prefixes: each, quotaBytes: QUOTA_BYTES, quotaFiles: QUOTA_FILES },
    }));
    for (const by of limited) await hasRoom(quotas, by, { path: 'first', bytes: 0 });
    const changers: Changer[] = [...limited, { owner: 'free', grant: NO_LIMITS }];
    return { store, quotas, limited, changers };
  }

  /** Changes something, if that is possible at all: what is not changes nothing, and has to count as nothing. */
  async function tryTo(wanted: Change, by: Changer, { quotas, store }: { quotas: Quotas; store: Store }) {
    await quotas.change(by, wanted, () => make(store, wanted)).catch(passOver);
  }

  async function expectExact({ store, quotas, limited }: Awaited<ReturnType<typeof start>>) {
    for (const { owner, grant } of limited) {
      const { bytes, files } = await lying(store, grant.prefixes);
      const path = [grant.prefixes[0], 'new'].filter((name) => name !== '').join('/');
      const added = await filesAddedBy(store, path, grant.prefixes);
      const exact = { owner, grant: { ...grant, quotaBytes: bytes + 9, quotaFiles: files + added } };
      expect(await hasRoom(quotas, exact, { path, bytes: 9 })).toBe(true);
      expect(await hasRoom(quotas, exact, { path, bytes: 10 })).toBe(false);
      const fewer = { owner, grant: { ...exact.grant, quotaFiles: files + added - 1 } };
      expect(await hasRoom(quotas, fewer, { path, bytes: 0 })).toBe(false);
    }
    await store[Symbol.asyncDispose]();
  }

  test('whatever was done by whom, and nobody got beyond their quota', async (context) => {
    await holds(
      context,
      fc.asyncProperty(prefixes, prefixes, steps, async (ones, others, todo) => {
        const started = await start([ones, others]);
        for (const { change: wanted, who } of todo) {
          const by = started.changers[who] as Changer;
          const { quotaBytes = Infinity, quotaFiles = Infinity, prefixes: own } = by.grant;
          const before = await lying(started.store, own);
          await tryTo(wanted, by, started);
          const after = await lying(started.store, own);
          expect(after.bytes).toBeLessThanOrEqual(Math.max(before.bytes, quotaBytes));
          expect(after.files).toBeLessThanOrEqual(Math.max(before.files, quotaFiles));
        }
        await expectExact(started);
      }),
      { numRuns },
    );
  });

  test('also when all is done at once', async (context) => {
    await holds(
      context,
      fc.asyncProperty(prefixes, prefixes, steps, async (ones, others, todo) => {
        const started = await start([ones, others]);
        await Promise.all(
          todo.map(({ change: wanted, who }) => tryTo(wanted, started.changers[who] as Changer, started)),
        );
        await expectExact(started);
      }),
      {
        numRuns,
        examples: CROSSING.flatMap((changes) => {
          const todo = changes.map((each) => ({ change: each, who: 0 }));
          return [
            [[''], ['a'], todo],
            [['a'], ['a'], todo],
          ];
        }),
      },
    );
  });
});

/** A new file, and those of its parents under the prefixes that are missing. */
async function filesAddedBy(store: Store, path: string, granted: readonly string[]): Promise<number> {
  const parents = path.split('/').map((_, index, names) => names.slice(0, index + 1).join('/'));
  const stands = await Promise.all(parents.map((each) => whatStands(store, each)));
  return parents.filter((each, index) => stands[index] === undefined && isGranted(each, granted)).length;
}

function passOver(error: unknown): void {
  if (!isSealiftError(error)) throw error;
}
