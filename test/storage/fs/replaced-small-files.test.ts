import { readdirSync, readFileSync, readlinkSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { FileStore } from '../../../src/storage/fs/fs-store.ts';
import type { SmallFileAnswers } from '../../../src/storage/fs/small-file-messages.ts';
import type { BeginThread, SmallFileThread } from '../../../src/storage/fs/small-files.ts';
import type { Publication } from '../../../src/storage/store.ts';
import { ABSENT, ANY, codeOf, putText, textOf, versionTexts } from '../../contract/store/samples.ts';
import { temporaryRoot, type TemporaryRoot } from '../temporary-root.ts';
import { beginInSameThread } from './same-thread.ts';

let root: TemporaryRoot;
let store: FileStore;
let thread: SmallFileThread;
/** The kinds of the tasks that the thread was sent. */
let tasks: string[];
/** Whether the thread ends instead of telling what it has done. */
let isEndingUnheard: boolean;
/** Told of what the thread answers. */
let onAnswers: (answers: SmallFileAnswers['answers']) => void;
/** Called before a file is synced by itself, with its content. */
let beforeSync: (content: string) => Promise<void> | void;

const begin: BeginThread = (where) => {
  thread = beginInSameThread(where);
  const [post, on] = [thread.postMessage.bind(thread), thread.on.bind(thread)];
  thread.postMessage = (message: { items: string }, ...rest: []) => {
    tasks.push(...(JSON.parse(message.items) as { kind: string }[]).map(({ kind }) => kind));
    post(message, ...rest);
  };
  thread.on = ((event: string, listener: (message: unknown) => void) =>
    on(event, (message: unknown) => {
      const { items } = message as { items?: string };
      if (items !== undefined) onAnswers((JSON.parse(items) as SmallFileAnswers).answers);
      if (event === 'message' && isEndingUnheard) void thread.terminate();
      else listener(message);
    })) as typeof on;
  return thread;
};

beforeEach(async () => {
  root = temporaryRoot();
  onTestFinished(() => root.remove());
  tasks = [];
  isEndingUnheard = false;
  onAnswers = () => undefined;
  beforeSync = () => undefined;
  const handle = await open(import.meta.filename);
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  const { sync } = prototype;
  const spy = vi.spyOn(prototype, 'sync').mockImplementation(async function (this: FileHandle) {
    const path = readlinkSync(`/proc/self/fd/${this.fd}`);
    if (path.includes('/inline-')) await beforeSync(readFileSync(path, 'utf8'));
    await sync.call(this);
  });
  onTestFinished(() => spy.mockRestore());
});

async function opened(options: { keepVersionsMs?: number } = {}): Promise<void> {
  store = await FileStore.open({ root: root.path, beginThread: begin, ...options });
  onTestFinished(() => store[Symbol.asyncDispose]());
  await store.startThread();
}

/** What lies where data is until it has its name. */
const staged = () => readdirSync(root.at('.sealift/uploads'));

test('small files that take the place of others are on the disk before, and keep their permission bits', async () => {
  await opened();
  const names = Array.from({ length: 40 }, (_, index) => `d/${index}`);
  for (const name of names) await putText(store, name, 'old', { mode: 0o640 });
  const stoodAtSync: string[] = [];
  beforeSync = (content) => void stoodAtSync.push(readFileSync(root.at(`d/${content}`), 'utf8'));
  tasks.length = 0;
  const replace = (name: string) => putText(store, name, name.slice(2), { mtimeMs: 5_000 });
  const entries = await Promise.all(names.map(replace));
  expect(stoodAtSync).toEqual(names.map(() => 'old'));
  expect(tasks.toSorted()).toEqual([...names.map(() => 'publish'), ...names.map(() => 'put')].toSorted());
  for (const [index, name] of names.entries()) {
    expect(await textOf(store, name)).toBe(`${index}`);
    expect(entries[index]).toEqual(await store.stat(name));
    expect(entries[index]).toMatchObject({ mode: 0o640, mtimeMs: 5_000 });
  }
  expect(staged()).toEqual([]);
});

test('one that the disk does not take leaves the old one where it is, and nothing else', async () => {
  await opened();
  for (const name of ['lost', 'kept']) await putText(store, name, 'old');
  beforeSync = (content) => {
    if (content === 'lost') throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
  };
  const [lost] = await Promise.all([codeOf(putText(store, 'lost', 'lost')), putText(store, 'kept', 'kept')]);
  expect(lost).toBe('internal');
  expect([await textOf(store, 'lost'), await textOf(store, 'kept')]).toEqual(['old', 'kept']);
  expect(staged()).toEqual([]);
});

test.each<[string, (path: string) => void, string[]]>([
  ['is changed', (path) => writeFileSync(path, 'mine'), ['mine']],
  ['is removed', (path) => rmSync(path), []],
])('where what is to be replaced %s meanwhile, the condition fails', async (_, change, left) => {
  await opened();
  const { etag } = await putText(store, 'file', 'old');
  beforeSync = () => change(root.at('file'));
  const put = putText(store, 'file', 'new', { condition: { if: 'match', etag } });
  expect(await codeOf(put)).toBe('precondition-failed');
  const files = readdirSync(root.path).filter((name) => name === 'file');
  expect(files.map((name) => readFileSync(root.at(name), 'utf8'))).toEqual(left);
  expect(staged()).toEqual([]);
});

test('whoever may not replace, or asks for nothing to stand there, is refused before anything is synced', async () => {
  await opened();
  await putText(store, 'file', 'old');
  let syncs = 0;
  beforeSync = () => void (syncs += 1);
  expect(await codeOf(putText(store, 'file', 'new', ABSENT))).toBe('exists');
  expect(await codeOf(putText(store, 'file', 'new', { ...ANY, mayReplace: false }))).toBe('forbidden');
  expect([syncs, await textOf(store, 'file'), staged()]).toEqual([0, 'old', []]);
});

test('two at once for the same name come one after the other', async () => {
  await opened();
  await putText(store, 'file', 'old');
  const texts = ['one', 'two', 'three'];
  await Promise.all(texts.map((text) => putText(store, 'file', text)));
  expect(texts).toContain(await textOf(store, 'file'));
  expect(staged()).toEqual([]);
});

test('where the thread ends meanwhile, the file gets its name all the same', async () => {
  await opened();
  await putText(store, 'file', 'old');
  beforeSync = async () => void (await thread.terminate());
  await putText(store, 'file', 'new');
  expect([await textOf(store, 'file'), staged()]).toEqual(['new', []]);
});

test.each<[string, Partial<Publication>]>([
  ['whatever stood there', ANY],
  ['what stood there then', {}],
])('where it ends before it tells that %s was replaced, nobody says that it was not', async (_, given) => {
  await opened();
  const { etag } = await putText(store, 'file', 'old');
  beforeSync = () => void (isEndingUnheard = true);
  const put = putText(store, 'file', 'new', { condition: { if: 'match', etag }, ...given });
  expect(await codeOf(put)).toBe('internal');
  expect([await textOf(store, 'file'), staged()]).toEqual(['new', []]);
});

test('what takes the place of a large one, or removes it, keeps nobody waiting for the thread', async () => {
  await opened();
  for (const name of ['replaced', 'removed']) {
    writeFileSync(root.at(name), '');
    truncateSync(root.at(name), 2 ** 20 + 1);
  }
  const passed: string[] = [];
  onAnswers = (answers) => passed.push(...answers.map((answer) => Object.keys(answer).join()));
  await putText(store, 'replaced', 'small');
  await store.remove('removed', { recursive: false });
  expect(passed).toEqual(['staged', 'passed', 'passed']);
  expect([await textOf(store, 'replaced'), readdirSync(root.path).includes('removed')]).toEqual([
    'small',
    false,
  ]);
});

test('where versions are kept, the old one is', async () => {
  await opened({ keepVersionsMs: 86_400_000 });
  for (const text of ['one', 'two', 'three']) await putText(store, 'file', text);
  expect(await versionTexts(store, '')).toEqual(['file: one', 'file: two']);
  expect(tasks).toEqual(['put', 'put', 'put']);
});
