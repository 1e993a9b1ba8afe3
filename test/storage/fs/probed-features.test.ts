import { readdirSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { expect, test } from 'vitest';
import { systemFiles, type FileSystem } from '../../../src/storage/fs/file-system.ts';
import { FileStore } from '../../../src/storage/fs/fs-store.ts';
import { ANY, putText, textOf } from '../../contract/store/samples.ts';
import { FaultyFiles } from '../../support/faulty-files.ts';
import { useFileStore } from './file-store.ts';

const subject = useFileStore();

const upperCase = (name: string) => name.toUpperCase();
const composed = (name: string) => name.normalize('NFC');

/** The file system of this machine, in whose directories names are the same that are after `fold`. */
function foldingFiles(fold: (name: string) => string): FileSystem {
  // Only what is reached through an open directory: the path of the root is this machine's.
  const folded = (path: string) =>
    path.startsWith('/proc/') ? `${dirname(path)}/${fold(basename(path))}` : path;
  return {
    ...systemFiles,
    open: (path, ...rest) => systemFiles.open(folded(path), ...rest),
    mkdir: (path, mode) => systemFiles.mkdir(folded(path), mode),
    lstat: (path) => systemFiles.lstat(folded(path)),
    unlink: (path) => systemFiles.unlink(folded(path)),
    rename: (from, to) => systemFiles.rename(folded(from), folded(to)),
  };
}

test.each<[string, (name: string) => string, boolean, boolean]>([
  ['nothing', (name) => name, true, true],
  ['case', upperCase, false, true],
  ['normalization form', composed, true, false],
  ['case and normalization form', (name) => composed(upperCase(name)), false, false],
])('where names are the same that differ in %s', async (_, fold, distinguishesCase, distinguishesForms) => {
  const store = await FileStore.open({ root: subject.root.path, files: foldingFiles(fold) });
  expect(store.features).toMatchObject({ distinguishesCase, distinguishesForms });
  await store[Symbol.asyncDispose]();
  const state = readdirSync(subject.root.path).find((name) => upperCase(name) === '.SEALIFT') ?? '';
  const names = readdirSync(subject.root.at(state), { recursive: true, encoding: 'utf8' });
  expect(names.filter((name) => !/^(uploads|removed|published)$/i.test(name))).toEqual([]);
});

test('a file whose name is spelt in another way by a move stays', async () => {
  const store = await FileStore.open({ root: subject.root.path, files: foldingFiles(upperCase) });
  await putText(store, 'd/file', 'text');
  await store.move('d/file', 'd/FILE', ANY);
  await store.move('d/FILE', 'D/FILE', ANY);
  expect(await textOf(store, 'd/file')).toBe('text');
  await store[Symbol.asyncDispose]();
});

test.each([2_000, 1_000, 10, 1])('where times are kept to %i ms', async (grain) => {
  const kept = (ms: number) => Math.floor(ms / grain) * grain;
  const files: FileSystem = {
    ...systemFiles,
    setTimes: (path, accessMs, modifiedMs) => systemFiles.setTimes(path, accessMs, kept(modifiedMs)),
  };
  const store = await FileStore.open({ root: subject.root.path, files });
  expect(store.features.timeGrainMs).toBe(grain);
  await store[Symbol.asyncDispose]();
});

test('on a disk that is full names and times are taken to differ, and what is on it is served', async () => {
  const files = new FaultyFiles();
  files.heal(({ name, path }) => (name === 'open' && path.includes('/probe-') ? 'ENOSPC' : undefined));
  const store = await FileStore.open({ root: subject.root.path, files });
  expect(store.features).toMatchObject({ distinguishesCase: true, distinguishesForms: true, timeGrainMs: 1 });
  await store[Symbol.asyncDispose]();
});
