import { linkSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { systemFiles, type FileSystem } from '../../../src/storage/fs/file-system.ts';
import { FileStore } from '../../../src/storage/fs/fs-store.ts';
import { ANY, pathsIn, putText, textOf, versionTexts } from '../../contract/store/samples.ts';
import { FaultyFiles } from '../../support/faulty-files.ts';
import { composed, foldingFiles, upperCase } from '../../support/folding-files.ts';
import { useFileStore } from './file-store.ts';

const subject = useFileStore();

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

describe.each([0, 60_000])(
  'where case does not count, and versions are kept for %i ms,',
  (keepVersionsMs) => {
    const cannotLink = () => Promise.reject(Object.assign(new Error('no links'), { code: 'EPERM' }));

    test.each([true, false])('what a move spells in another way stays (with links: %s)', async (hasLinks) => {
      const folding = foldingFiles(upperCase);
      const files = hasLinks ? folding : { ...folding, link: cannotLink };
      const store = await FileStore.open({ root: subject.root.path, files, keepVersionsMs });
      await putText(store, 'd/file', 'text');
      await putText(store, 'd/UPPER', 'other text');
      for (const [path, to] of [
        ['d/file', 'd/FILE'],
        ['d/FILE', 'd/file'],
        ['d/File', 'D/file'],
        ['d/UPPER', 'D/upper'],
        ['d', 'D'],
      ] as const)
        await store.move(path, to, ANY);
      expect(await textOf(store, 'd/file')).toBe('text');
      expect(await textOf(store, 'd/upper')).toBe('other text');
      expect((await pathsIn(store, '', true)).sort()).toEqual(['d', 'd/UPPER', 'd/file']);
      if (keepVersionsMs > 0) expect(await versionTexts(store, '', true)).toEqual([]);
      await store[Symbol.asyncDispose]();
    });

    test('a move onto another name of the same file leaves that alone', async () => {
      const store = await FileStore.open({
        root: subject.root.path,
        files: foldingFiles(upperCase),
        keepVersionsMs,
      });
      await putText(store, 'd/file', 'text');
      linkSync(subject.root.at('d/file'), subject.root.at('d/again'));
      await store.move('d/file', 'd/again', ANY);
      expect(await pathsIn(store, '', true)).toEqual(['d', 'd/again']);
      expect(await textOf(store, 'd/again')).toBe('text');
      await store[Symbol.asyncDispose]();
    });
  },
);

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
