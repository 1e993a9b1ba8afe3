import { hash } from 'node:crypto';
import { expect } from 'vitest';
import { isSealiftError, type SealiftError } from '../../../src/errors.ts';
import { seededRandom } from '../../../src/random.ts';
import { FileStore } from '../../../src/storage/fs/fs-store.ts';
import { contentOf } from '../../contract/store/samples.ts';
import { DISK_ROOT, ModelDisk } from '../../support/disk/model-disk.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FaultyFiles, type FileCall } from '../../support/faulty-files.ts';
import type { Scenario } from './scenarios.ts';
import { hashIn, standing, type Standing } from './standing.ts';

/** Below it everything of a scenario happens. */
export const BASE = 'base';

/** What the store keeps for itself. */
export const STATE = `${DISK_ROOT}/.sealift`;

/** Stores that keep no versions, and such that do. */
export const KEPT = [
  ['where no versions are kept', 0],
  ['where versions are kept', 86_400_000],
] as const;

/** A store over a disk whose calls can be made to fail. */
export interface Trial {
  disk: ModelDisk;
  files: FaultyFiles;
  store: FileStore;
  /** Handles that the store holds while nothing happens. */
  handles: number;
}

/** A scenario that was prepared, all of it being on the disk; and what it does when nothing is in its way. */
export interface Prepared {
  scenario: Scenario;
  keepVersionsMs: number;
  disk: ModelDisk;
  calls: readonly FileCall[];
  before: Standing;
  after: Standing;
}

/** Prepares a scenario and runs it once. */
export async function prepared(scenario: Scenario, keepVersionsMs: number): Promise<Prepared> {
  const disk = new ModelDisk();
  await disk.mkdir(`${DISK_ROOT}/${BASE}`, 0o755);
  const { store } = await opened(disk, keepVersionsMs, { life: 1 });
  await scenario.prepare(store, BASE);
  await store[Symbol.asyncDispose]();
  // Where nothing of an earlier store is needed, there was none.
  const state = await standing(disk, STATE);
  if (state.files.length === 0) await disk.removeTree(STATE);
  disk.syncAll();
  const trial = await opened(copyOf(disk), keepVersionsMs, { life: 2 });
  await scenario.run(trial.store, BASE);
  const calls = [...trial.files.calls];
  await trial.store[Symbol.asyncDispose]();
  const before = await standingOn(disk);
  return { scenario, keepVersionsMs, disk, calls, before, after: await standingOn(trial.disk) };
}

/** A store over a copy of what was prepared, just opened. The same calls follow as when nothing was in the way. */
export function begun({ disk, keepVersionsMs }: Prepared): Promise<Trial> {
  return opened(copyOf(disk), keepVersionsMs, { life: 2 });
}

/** A store over `disk`, as a process that has just begun opens it. The random choices of each `life` are its own, and the same again in every trial. */
export async function opened(
  disk: ModelDisk,
  keepVersionsMs: number,
  { life = 3 }: { life?: number } = {},
): Promise<Trial> {
  const files = new FaultyFiles(disk);
  const random = seededRandom(life);
  const store = await FileStore.open({
    root: DISK_ROOT,
    files,
    keepVersionsMs,
    random,
    clock: new FakeClock(),
  });
  files.heal();
  return { disk, files, store, handles: files.openCount };
}

export function standingOn(disk: ModelDisk): Promise<Standing> {
  return standing(disk, `${DISK_ROOT}/${BASE}`);
}

/** Where versions are kept, every content that stood stands still, by whatever name, or is one of them. `now` is what stands. */
export async function expectNothingLost(
  { store }: Trial,
  { before }: Prepared,
  now: Standing,
  where: string,
): Promise<void> {
  if (!store.features.versions) return;
  const contents = now.files.map(hashIn);
  for await (const { path, version } of store.list(BASE, { recursive: true, versions: true }))
    contents.push(hash('sha256', await contentOf(store, path, version)));
  for (const content of before.files.map(hashIn)) expect([...contents, undefined], where).toContain(content);
}

/** Runs `task` and lets nothing reach the disk behind call number `last`: what the code does then is as if it had never run. `isOver`: there was nothing more to do. */
export async function dying<T>(
  { files, store }: Trial,
  last: number,
  task: () => Promise<T>,
): Promise<{ failure: SealiftError | undefined; isOver: boolean }> {
  files.failFrom(last + 1, 'EIO');
  const failure = await failureOf(task());
  const isOver = files.calls.length <= last;
  await store[Symbol.asyncDispose]();
  return { failure, isOver };
}

/** Says the same again, where `now` stands: it succeeds, unless it had been done and nobody was told; then false. */
export async function sayAgain(
  { store }: Trial,
  { scenario, after }: Prepared,
  now: Standing,
  where: string,
): Promise<boolean> {
  const failure = await failureOf(scenario.run(store, BASE));
  if (failure === undefined) return true;
  expect(failure.code, where).toBe(scenario.saidAgain);
  expect(now.files, where).toEqual(after.files);
  return false;
}

/** Nothing temporary is left once a server has swept, and is begun again. The store is closed. */
export async function expectNoLeftovers(
  { store, disk, files, handles }: Trial,
  keepVersionsMs: number,
  where: string,
): Promise<void> {
  for await (const { key } of store.uploads()) await store.discardUpload(key);
  await store.forgetPublished(Number.MAX_SAFE_INTEGER);
  expect(files.openCount, where).toBe(handles);
  await store[Symbol.asyncDispose]();
  expect(files.openCount, where).toBe(0);
  const clock = new FakeClock();
  clock.jump(2 * keepVersionsMs + 1);
  const later = await FileStore.open({ root: DISK_ROOT, files, keepVersionsMs, clock });
  await later.expireVersions();
  await later[Symbol.asyncDispose]();
  const left = await standing(disk, STATE);
  expect(left.files, where).toEqual([]);
  const own = ['/published', '/removed', '/uploads', ...(keepVersionsMs > 0 ? ['/versions'] : [])];
  expect(left.directories, where).toEqual(own);
}

export async function failureOf(promise: Promise<unknown>): Promise<SealiftError | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (isSealiftError(error)) return error;
    throw error;
  }
}

// With nothing left to lose, a loss of power takes nothing.
function copyOf(disk: ModelDisk): ModelDisk {
  return disk.afterPowerFailure({ random: seededRandom(1), survival: 1 });
}
