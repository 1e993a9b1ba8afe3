import { mkdirSync } from 'node:fs';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { FileStore } from '../../../src/storage/fs/fs-store.ts';
import type { SmallFileAnswers, SmallFileBatch } from '../../../src/storage/fs/small-file-messages.ts';
import { putText } from '../../contract/store/samples.ts';
import { temporaryRoot, type TemporaryRoot } from '../temporary-root.ts';
import { directoryNode } from './directory-node.ts';
import { FakeThread } from './fake-thread.ts';
import { watchSyncs } from './watched-syncs.ts';

/** A thread that makes the directory `d` for each batch, and answers when it is told to. */
class SlowThread extends FakeThread {
  readonly #made: () => void;
  readonly #batch = Promise.withResolvers<void>();

  constructor(made: () => void) {
    super();
    this.#made = made;
  }

  /** Resolves once it has made the directory for its first batch. */
  get reached(): Promise<void> {
    return this.#batch.promise;
  }

  postMessage(): void {
    this.#made();
    this.#batch.resolve();
  }

  answer(answered: SmallFileAnswers): void {
    const batch: SmallFileBatch = { items: JSON.stringify(answered), contents: new ArrayBuffer(0) };
    this.emit('message', batch);
  }
}

let root: TemporaryRoot;
let store: FileStore;
let thread: SlowThread;
let synced: string[];

beforeEach(async () => {
  root = temporaryRoot();
  onTestFinished(() => root.remove());
  thread = new SlowThread(() => mkdirSync(root.at('d')));
  store = await FileStore.open({ root: root.path, beginThread: () => thread.begin() });
  onTestFinished(() => store[Symbol.asyncDispose]());
  await store.startThread();
  synced = await watchSyncs(root.path);
  await putToDisk('e/first');
});

/** The directories that are synced for a file that has to be on disk. */
async function putToDisk(path: string): Promise<string[]> {
  synced.splice(0);
  await putText(store, path, '', { durability: 'disk' });
  return [...synced];
}

test('a way that the thread has made and not told of yet is synced whole', async () => {
  expect(await putToDisk('e/second')).toEqual(['/e']);
  const inMemory = putText(store, 'd/in memory', '');
  await thread.reached;
  expect(await putToDisk('d/file')).toEqual(['', '/d']);
  expect(await putToDisk('d/another')).toEqual(['', '/d']);
  thread.answer({ answers: [{ passed: true }], made: [await directoryNode(root.path)] });
  await inMemory;
  // What it has told of is known, and need not be doubted any more.
  expect(await putToDisk('d/third')).toEqual(['', '/d']);
  expect(await putToDisk('d/fourth')).toEqual(['/d']);
});

test('so is one of which it could not tell any more', async () => {
  const inMemory = putText(store, 'd/in memory', '');
  await thread.reached;
  await thread.terminate();
  await inMemory;
  expect(await putToDisk('d/file')).toEqual(['', '/d']);
  expect(await putToDisk('d/another')).toEqual(['/d']);
});

test('reading makes nothing, and casts no doubt', async () => {
  const reading = store.open('e/first');
  await thread.reached;
  expect(await putToDisk('e/second')).toEqual(['/e']);
  thread.answer({ answers: [{ passed: true }], made: [] });
  await (await reading).close();
});
