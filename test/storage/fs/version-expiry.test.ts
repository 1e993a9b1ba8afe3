import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { isSealiftError } from '../../../src/errors.ts';
import { putText, versionTexts } from '../../contract/store/samples.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FaultyFiles } from '../../support/faulty-files.ts';
import { useFileStore } from './file-store.ts';

const KEEP_MS = 1_000_000;

const clock = new FakeClock();
let files: FaultyFiles;
const subject = useFileStore(() => (files = new FaultyFiles()), { clock, keepVersionsMs: KEEP_MS });

const left = () => readdirSync(subject.root.at('.sealift', 'versions'), { recursive: true }).map(String);
const beingRemoved = () => readdirSync(subject.root.at('.sealift', 'removed'));

/** Retires files and a directory, all at once. */
async function retireSome(): Promise<void> {
  const { store } = subject;
  for (const path of ['top', 'a/b/c/file', 'a/other', 'tree/x/file', 'tree/file'])
    await putText(store, path, path);
  for (const path of ['top', 'a/b/c/file', 'a/other']) await putText(store, path, 'new');
  await store.remove('tree', { recursive: true });
}

test('with the last version the directories go that were made for it', async () => {
  await retireSome();
  await subject.store.expireVersions();
  expect(await versionTexts(subject.store, '', true)).toHaveLength(5);
  clock.advance(KEEP_MS + 1);
  await putText(subject.store, 'a/other', 'newer');
  await subject.store.expireVersions();
  expect(await versionTexts(subject.store, '', true)).toEqual(['a/other: new']);
  expect(left().filter((name) => !name.startsWith('a'))).toEqual([]);
  clock.advance(KEEP_MS + 1);
  await subject.store.expireVersions();
  expect(left()).toEqual([]);
  expect(beingRemoved()).toEqual([]);
});

test('directories that a crash left empty go, too', async () => {
  mkdirSync(subject.root.at('.sealift/versions/a/b/.sealift/file'), { recursive: true });
  mkdirSync(subject.root.at('.sealift/versions/a/c'), { recursive: true });
  await subject.store.expireVersions();
  expect(left()).toEqual([]);
});

test('what may not be changed goes as well, once it is old', async () => {
  await putText(subject.store, 'tree/below/file', 'text');
  chmodSync(subject.root.at('tree/below'), 0o500);
  chmodSync(subject.root.at('tree'), 0o500);
  await subject.store.remove('tree', { recursive: true });
  clock.advance(KEEP_MS + 1);
  await subject.store.expireVersions();
  expect(left()).toEqual([]);
  expect(beingRemoved()).toEqual([]);
});

test('what is no version stays, and keeps nothing from going', async () => {
  await retireSome();
  writeFileSync(subject.root.at('.sealift/versions/.sealift/top/something'), 'else');
  writeFileSync(subject.root.at('.sealift/versions/.sealift/stray'), 'file');
  clock.advance(KEEP_MS + 1);
  await subject.store.expireVersions().catch(() => undefined);
  expect(await versionTexts(subject.store, '', true)).toEqual([]);
  expect(existsSync(subject.root.at('.sealift/versions/.sealift/top/something'))).toBe(true);
  expect(left()).toHaveLength(4);
});

test('whatever call fails, nothing else is lost, and the next time all is removed', async () => {
  await retireSome();
  clock.advance(KEEP_MS + 1);
  files.heal();
  await subject.store.expireVersions();
  const { length } = files.calls;
  const handles = files.openCount;
  expect(length).toBeGreaterThan(50);
  for (let number = 1; number <= length; number += 1) {
    await retireSome();
    const { name, path } = await failing(number);
    const where = `call ${number}: ${name} ${path}`;
    expect(files.openCount, where).toBe(handles);
    for (const text of await versionTexts(subject.store, '', true))
      expect(text, where).toMatch(/^(.+): (\1|new)$/);
    await subject.store.expireVersions();
    expect(left(), where).toEqual([]);
  }
  await subject.reopen();
  expect(beingRemoved()).toEqual([]);
});

test('what another expiry has removed already, at whatever moment, is no failure', async () => {
  await retireSome();
  clock.advance(KEEP_MS + 1);
  files.heal();
  await subject.store.expireVersions();
  const { length } = files.calls;
  for (let number = 1; number <= length; number += 1) {
    await retireSome();
    clock.advance(KEEP_MS + 1);
    files.heal((_, each) => {
      if (each === number)
        for (const name of readdirSync(subject.root.at('.sealift/versions')))
          rmSync(subject.root.at('.sealift/versions', name), { recursive: true });
      return undefined;
    });
    await subject.store.expireVersions();
    expect(left(), `call ${number}`).toEqual([]);
  }
});

/** Lets call `number` of an expiry fail; it fails with that, unless it does not matter. */
async function failing(number: number) {
  clock.advance(KEEP_MS + 1);
  files.failCall(number, 'EIO');
  const error: unknown = await subject.store.expireVersions().catch((failure: unknown) => failure);
  const call = files.calls[number - 1] ?? { name: 'none', path: '' };
  if (call.name !== 'file.close') expect(isSealiftError(error, 'internal'), call.name).toBe(true);
  files.heal();
  return call;
}

test('an expiry that is ended has removed nothing more', async () => {
  await retireSome();
  clock.advance(KEEP_MS + 1);
  const ended = new AbortController();
  files.heal(({ name }) => {
    if (name === 'rename') ended.abort();
    return undefined;
  });
  await expect(subject.store.expireVersions({ signal: ended.signal })).rejects.toMatchObject({
    code: 'aborted',
  });
  expect((await versionTexts(subject.store, '', true)).length).toBeGreaterThan(0);
  files.heal();
  await subject.store.expireVersions();
  expect(left()).toEqual([]);
});
