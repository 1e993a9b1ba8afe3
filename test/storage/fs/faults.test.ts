import { hash } from 'node:crypto';
import { mkdirSync, readdirSync } from 'node:fs';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { isSealiftError, type SealiftError } from '../../../src/errors.ts';
import { FileStore } from '../../../src/storage/fs/fs-store.ts';
import { contentOf, putText } from '../../contract/store/samples.ts';
import { FaultyFiles, type Errno, type FileCall } from '../../support/faulty-files.ts';
import { temporaryRoot, type TemporaryRoot } from '../temporary-root.ts';
import { SCENARIO_KEY, SCENARIOS, standing, type Scenario } from './scenarios.ts';

/** What the client is told, for each way in which the system fails. */
const CODES: readonly (readonly [Errno, string])[] = [
  ['EIO', 'internal'],
  ['ENOSPC', 'no-space'],
  ['EMFILE', 'busy'],
  ['EACCES', 'forbidden'],
];

const KEPT = [
  ['where no versions are kept', 0],
  ['where versions are kept', 86_400_000],
] as const;

let keepVersionsMs: number;
let root: TemporaryRoot;
let files: FaultyFiles;
let store: FileStore;
let handles: number;

beforeEach(async () => {
  root = temporaryRoot();
  files = new FaultyFiles();
  await openStore();
  handles = files.openCount;
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  expect(files.openCount).toBe(0);
  root.remove();
});

describe.each(KEPT)('%s', (_, keepMs) => {
  beforeAll(() => void (keepVersionsMs = keepMs));

  describe.each(SCENARIOS)('$name', (scenario) => {
    test('fails at every call, and says why', async () => {
      const { calls, before, after } = await undisturbed(scenario);
      const named = calls.findIndex(isNaming);
      expect(calls.length).toBeGreaterThan(0);
      for (const { call, index, errno, code } of failures(scenario, calls)) {
        const base = `attempt ${index} ${errno}`;
        const where = `${errno} at ${call.name} ${call.path} (call ${index + 1} of ${calls.length})`;
        await prepare(scenario, base);
        failSame(calls, index, base, errno);
        const failure = await failureOf(scenario.run(store, base));
        files.heal();

        // Either it failed and said why, or what failed did not matter and everything was done.
        if (failure === undefined) expect(isHarmless(call, index > named), where).toBe(true);
        else expect(failure.code, where).toBe(code);
        const now = standing(root.at(base));
        if (failure === undefined) expect(now, where).toEqual(after);
        else if (index <= named || named === -1) expect(now.files, where).toEqual(before.files);
        else expect([before.files, after.files], where).toContainEqual(now.files);
        expect(files.openCount, where).toBe(handles);
        await expectNothingLost(before.files, base, where);

        // Said again it succeeds, unless it had been done.
        const again = await failureOf(scenario.run(store, base));
        if (again !== undefined) {
          expect(again.code, where).toBe(scenario.saidAgain);
          expect(now.files, where).toEqual(after.files);
        }
        expect(standing(root.at(base)), where).toEqual(after);
        await expectNothingLost(before.files, base, where);
        await sweep();
        expect(leftovers(), where).toEqual([]);
        expect(files.openCount, where).toBe(handles);
      }
    });
  });

  describe('a process that dies', () => {
    test.each(SCENARIOS)('during $name', async (scenario) => {
      const { calls, before, after } = await undisturbed(scenario);
      for (const [index, call] of calls.entries()) {
        const base = `attempt ${index}`;
        const where = `${call.name} ${call.path} (call ${index + 1} of ${calls.length})`;
        await prepare(scenario, base);
        // From here on nothing reaches the disk: what the code does about it is as if it had never run.
        files.failFrom(index + 1, 'EIO');
        await failureOf(scenario.run(store, base));
        await store[Symbol.asyncDispose]();
        files.heal();

        await openStore();
        const now = standing(root.at(base));
        expect([before.files, after.files], where).toContainEqual(now.files);
        await expectNothingLost(before.files, base, where);
        const published = await store.published('upload-1');
        if (published !== undefined) expect(now.files, where).toEqual(after.files);
        const again = await failureOf(scenario.run(store, base));
        if (again !== undefined) expect(again.code, where).toBe(scenario.saidAgain);
        expect(standing(root.at(base)).files, where).toEqual(after.files);
        await expectNothingLost(before.files, base, where);
        await sweep();
        expect(leftovers(), where).toEqual([]);
      }
    });
  });
});

/** Opens a store that knows its root to be on disk, so that the same calls are made whichever scenario comes first. */
async function openStore(): Promise<void> {
  store = await FileStore.open({ root: root.path, files, keepVersionsMs });
  await putText(store, 'before/file', '', { durability: 'disk' });
}

/** What is made to fail: every call in every way where a small file is put, elsewhere in one way each, in turn. */
function* failures(scenario: Scenario, calls: readonly FileCall[]) {
  // What the client is told does not depend on whether versions are kept: there the ways take turns.
  const inEveryWay = scenario.name.startsWith('a small file') && keepVersionsMs === 0;
  for (const [index, call] of calls.entries()) {
    const harming = CODES.filter(([errno]) => scenario.isHarmed?.(errno) !== false);
    for (const [turn, [errno, code]] of harming.entries())
      if (inEveryWay || turn === index % harming.length) yield { call, index, errno, code };
  }
}

/**
 * Lets the call fail that call `index` was when nothing was in the way. By name and path, where the path tells: what is
 * done at once may come in another order the next time.
 */
function failSame(calls: readonly FileCall[], index: number, base: string, errno: Errno): void {
  const call = calls[index] as FileCall;
  if (!call.path.includes('undisturbed')) {
    files.failCall(index + 1, errno);
    return;
  }
  const alike = ({ name, path }: FileCall) => name === call.name && path === call.path;
  const occurrence = calls.slice(0, index + 1).filter(alike).length;
  files.failNamed(call.name, errno, { occurrence, path: call.path.replace('undisturbed', base) });
}

/** Runs a scenario once with nothing in its way. */
async function undisturbed(scenario: Scenario) {
  await prepare(scenario, 'undisturbed');
  const before = standing(root.at('undisturbed'));
  files.heal();
  await scenario.run(store, 'undisturbed');
  const calls = [...files.calls];
  const after = standing(root.at('undisturbed'));
  await sweep();
  return { calls, before, after };
}

async function prepare(scenario: Scenario, base: string): Promise<void> {
  mkdirSync(root.at(base));
  await scenario.prepare(store, base);
}

/** Where versions are kept, every content that stood stands still, by whatever name, or is one of them. */
async function expectNothingLost(before: readonly string[], base: string, where: string): Promise<void> {
  if (!store.features.versions) return;
  const contents = standing(root.at(base)).files.map(hashIn);
  for await (const { path, version } of store.list(base, { recursive: true, versions: true }))
    contents.push(hash('sha256', await contentOf(store, path, version)));
  for (const content of before.map(hashIn)) expect([...contents, undefined], where).toContain(content);
}

/** The hash of the content in a line of `standing`; undefined for a link. */
function hashIn(line: string): string | undefined {
  return /: ([0-9a-f]{64})$/.exec(line)?.[1];
}

/** What a server does with what nobody works at any more. */
async function sweep(): Promise<void> {
  for await (const { key } of store.uploads()) await store.discardUpload(key);
  await store.forgetPublished(Number.MAX_SAFE_INTEGER);
}

function leftovers(): string[] {
  return ['uploads', 'removed', 'published'].flatMap((name) => readdirSync(root.at('.sealift', name)));
}

async function failureOf(promise: Promise<unknown>): Promise<SealiftError | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (isSealiftError(error)) return error;
    throw error;
  }
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
