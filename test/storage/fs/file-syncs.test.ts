import { writeFile } from 'node:fs/promises';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { FileSyncs, type SyncedFiles } from '../../../src/storage/fs/file-syncs.ts';
import { temporaryRoot, type TemporaryRoot } from '../temporary-root.ts';
import { FakeThread } from './fake-thread.ts';

/** A thread for which a file takes `fileMs` milliseconds, and that says of those in `failing` that the disk is gone. */
class SyncingThread extends FakeThread {
  fileMs = 0;
  failing: string[] = [];
  /** What it was sent. */
  readonly groups: (readonly string[])[] = [];
  isMute = false;

  postMessage(paths: readonly string[]): void {
    this.groups.push(paths);
    const lost = [...paths.entries()].filter(([, path]) => this.failing.includes(path));
    const failures = lost.map(([index]) => ({ index, code: 'EIO', message: 'EIO: i/o error' }));
    const answer: SyncedFiles = { failures, tookMs: paths.length * this.fileMs };
    if (!this.isMute) setImmediate(() => this.emit('message', answer));
  }
}

let root: TemporaryRoot;
let thread: SyncingThread;
let syncs: FileSyncs;
/** Of files that are there. */
let paths: string[];

beforeEach(async () => {
  root = temporaryRoot();
  onTestFinished(() => root.remove());
  thread = new SyncingThread();
  syncs = new FileSyncs(() => thread.begin());
  onTestFinished(() => syncs.close());
  paths = Array.from({ length: 20 }, (_, index) => root.at(`${index}`));
  for (const path of paths) await writeFile(path, '');
});

const syncAll = () => Promise.all(paths.map((path) => syncs.sync(path)));

/** As many as it takes until the thread is used. */
async function syncMany(): Promise<void> {
  while (thread.groups.length === 0) await syncAll();
}

test('the first ones are synced without a thread, then one shows what the disk takes, and then all that come together go there', async () => {
  for (let round = 0; round < 3; round += 1) await syncAll();
  expect(thread.groups).toEqual([]);
  await syncMany();
  await syncAll();
  expect(thread.groups).toEqual([paths.slice(0, 1), paths]);
});

test('where the disk has to be waited for, one of each group shows for how long', async () => {
  thread.fileMs = 5;
  await syncMany();
  await syncAll();
  expect(thread.groups).toEqual([paths.slice(0, 1), paths.slice(0, 1)]);
  thread.fileMs = 0.01;
  await syncAll();
  await syncAll();
  expect(thread.groups.slice(2)).toEqual([paths.slice(0, 1), paths]);
});

test.each(['in the thread', 'without it'])('a failure is that of one file %s', async (where) => {
  if (where === 'in the thread') {
    await syncMany();
    thread.failing = [paths[7] as string];
  } else paths[7] = root.at('gone');
  const [lost] = paths.splice(7, 1) as [string];
  await Promise.all([
    syncAll(),
    expect(syncs.sync(lost)).rejects.toMatchObject({ code: where === 'in the thread' ? 'EIO' : 'ENOENT' }),
  ]);
  await syncAll();
});

test('what comes while others are synced goes together then', async () => {
  await syncMany();
  thread.groups.length = 0;
  const first = syncs.sync(paths[0] as string);
  await new Promise<void>((resolve) => setImmediate(resolve));
  await Promise.all([first, ...paths.slice(1).map((path) => syncs.sync(path))]);
  expect(thread.groups).toEqual([paths.slice(0, 1), paths.slice(1)]);
});

test('what a thread was asked that ends has failed, since a sync that is said again would lie; others go on without', async () => {
  await syncMany();
  thread.isMute = true;
  const asked = syncs.sync(paths[0] as string);
  await new Promise<void>((resolve) => setImmediate(resolve));
  expect(thread.isRefed).toBe(true);
  thread.emit('error', new Error('out of memory'));
  await expect(asked).rejects.toThrow('out of memory');
  expect(thread.isRefed).toBe(false);
  await syncAll();
});

test('where no thread can be begun, all is done without', async () => {
  syncs = new FileSyncs(() => {
    throw new Error('none here');
  });
  for (let round = 0; round < 10; round += 1) await syncAll();
});

test('a real thread syncs files, and tells what it cannot open', async () => {
  const real = new FileSyncs();
  for (let round = 0; round < 100; round += 1) {
    await Promise.all([
      ...paths.map((path) => real.sync(path)),
      expect(real.sync(root.at('gone'))).rejects.toMatchObject({ code: 'ENOENT' }),
    ]);
  }
  await real.close();
  await real.close();
  await real.sync(paths[0] as string);
});
