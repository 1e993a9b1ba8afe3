import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { systemFiles, type FileSystem } from '../../../src/storage/fs/file-system.ts';
import { FileStore } from '../../../src/storage/fs/fs-store.ts';
import { SpareHandles } from '../../../src/storage/fs/kept-directory.ts';
import { listTree } from '../../../src/storage/fs/listing.ts';
import { Tree } from '../../../src/storage/fs/tree.ts';
import { codeOf, pathsIn } from '../../contract/store/samples.ts';
import { FaultyFiles } from '../../support/faulty-files.ts';
import { useFileStore } from './file-store.ts';

let files: FaultyFiles;
const subject = useFileStore(() => (files = new FaultyFiles()));

/** Makes a tree of `depth` levels, in each of whose directories are `width` others and a file; answers all paths. */
function makeTree(depth: number, width: number): string[] {
  const paths: string[] = [];
  const fill = (directory: string, levels: number) => {
    paths.push(`${directory}file`);
    writeFileSync(subject.root.at(`${directory}file`), '');
    for (let index = 0; levels > 0 && index < width; index += 1) {
      paths.push(`${directory}${index}`);
      mkdirSync(subject.root.at(`${directory}${index}`));
      fill(`${directory}${index}/`, levels - 1);
    }
  };
  fill('', depth);
  return paths.sort();
}

test.each([
  ['wide', 2, 25],
  ['deep', 60, 1],
  ['both', 4, 4],
])('a tree that is %s is listed whole, each directory before what it holds', async (_, depth, width) => {
  const expected = makeTree(depth, width);
  const handles = files.openCount;
  const paths = await pathsIn(subject.store, '', true);
  const seen = new Set(['']);
  for (const path of paths) {
    expect(seen).toContain(path.slice(0, Math.max(0, path.lastIndexOf('/'))));
    seen.add(path);
  }
  expect(paths.sort()).toEqual(expected);
  expect(files.openCount).toBe(handles);
});

test('a directory of many more names than are looked at together is listed whole', async () => {
  const names = Array.from({ length: 1_100 }, (_, index) => `file ${index}`);
  for (const name of names) writeFileSync(subject.root.at(name), '');
  expect((await pathsIn(subject.store, '', true)).sort()).toEqual(names.sort());
});

test.each([1, 2, 10, 80])('who stops after %i entries leaves nothing open', async (count) => {
  makeTree(3, 6);
  // Of more names than are looked at together, so that reading them is under way.
  for (let index = 0; index < 300; index += 1)
    for (const name of ['0', '1', '5/5']) writeFileSync(subject.root.at(name, `file ${index}`), '');
  const handles = files.openCount;
  let seen = 0;
  for await (const _ of subject.store.list('', { recursive: true })) {
    seen += 1;
    if (seen === count) break;
  }
  expect(files.openCount).toBe(handles);
});

test('listings that nobody reads on hold a bounded number of handles, and others end', async () => {
  const expected = makeTree(3, 9);
  const handles = files.openCount;
  const listings = Array.from({ length: 60 }, () => subject.store.list('', { recursive: true }));
  for (const listing of listings) {
    for (let entry = 0; entry < 15; entry += 1) await listing[Symbol.asyncIterator]().next();
  }
  expect(files.openCount - handles).toBeLessThanOrEqual(256 + 2 * listings.length);
  expect(await pathsIn(subject.store, '', true)).toHaveLength(expected.length);
  for (const listing of listings) await (listing as AsyncGenerator).return(undefined);
  expect(files.openCount).toBe(handles);
});

test.each<[string, (listing: AsyncGenerator<unknown>) => Promise<unknown>]>([
  ['whole', (listing) => Array.fromAsync(listing)],
  ['stopped', (listing) => listing.next().then(() => listing.return(undefined))],
  ['failed', (listing) => Array.fromAsync(listing).catch(() => undefined)],
])('a listing that is %s gives its spare handles back', async (how, end) => {
  makeTree(3, 5);
  const spare = new SpareHandles();
  const tree = await Tree.open(files, subject.root.path);
  if (how === 'failed') files.failNamed('names', 'EIO', { occurrence: 12 });
  await end(listTree({ files, tree, spare }, '', { recursive: true }));
  expect(spare.take(256)).toBe(true);
  expect(spare.take(1)).toBe(false);
  await tree.close();
});

test('a deep tree is gone down once, also where others hold all spare handles', async () => {
  makeTree(150, 1);
  mkdirSync(subject.root.at('wide'));
  const wide = `${'0/'.repeat(150)}wide`;
  for (let index = 0; index < 100; index += 1)
    mkdirSync(subject.root.at(`${wide}/${index}`), { recursive: true });
  const spare = new SpareHandles();
  spare.take(256);
  const tree = await Tree.open(files, subject.root.path);
  const handles = files.openCount;
  files.heal();
  let [count, mostHandles] = [0, 0];
  for await (const _ of listTree({ files, tree, spare }, '', { recursive: true })) {
    count += 1;
    mostHandles = Math.max(mostHandles, files.openCount - handles);
  }
  expect(count).toBe(1 + 2 * 150 + 1 + 1 + 100);
  expect(files.calls.filter(({ name }) => name === 'open').length).toBeLessThan(4 * count);
  expect(mostHandles).toBeLessThanOrEqual(3);
  expect(files.openCount).toBe(handles);
  await tree.close();
});

test('one listing does not take all spare handles', async () => {
  // More on each level than are read at once: some wait until all below the one that goes on was read.
  const names = [...'abcdefghijklmnopqrst'];
  for (let [depth, path] = [0, '']; depth < 200; depth += 1, path += 'j/')
    for (const name of names) mkdirSync(subject.root.at(`${path}${name}`));
  const spare = new SpareHandles();
  const tree = await Tree.open(files, subject.root.path);
  const paths: string[] = [];
  for await (const { path } of listTree({ files, tree, spare }, '', { recursive: true })) {
    paths.push(path);
    expect(spare.take(128)).toBe(true);
    spare.give(128);
  }
  expect(new Set(paths).size).toBe(200 * names.length);
  expect(paths).toHaveLength(200 * names.length);
  expect(spare.take(256)).toBe(true);
  await tree.close();
});

test('a failure in the middle ends a listing, and leaves nothing open', async () => {
  makeTree(3, 5);
  const handles = files.openCount;
  for (const occurrence of [1, 3, 8, 20]) {
    files.failNamed('names', 'EIO', { occurrence });
    expect(await codeOf(pathsIn(subject.store, '', true))).toBe('internal');
    expect(files.openCount).toBe(handles);
  }
});

test.each([
  ['EACCES', 'forbidden'],
  ['EIO', 'internal'],
])('a directory of which a part was listed does not seem whole when %s ends that', async (errno, code) => {
  mkdirSync(subject.root.at('many'));
  for (let index = 0; index < 600; index += 1) writeFileSync(subject.root.at('many', `${index}`), '');
  let named = 0;
  const breaking: FileSystem = {
    ...systemFiles,
    names: async function* (...args) {
      for await (const name of systemFiles.names(...args)) {
        if (/^\d+$/.test(name) && (named += 1) > 300) throw Object.assign(new Error(errno), { code: errno });
        yield name;
      }
    },
  };
  const store = await FileStore.open({ root: subject.root.path, files: breaking });
  expect(await codeOf(pathsIn(store, '', true))).toBe(code);
  await store[Symbol.asyncDispose]();
});

test('what vanishes while it is listed is passed over, with all in it', async () => {
  makeTree(2, 20);
  let isFirst = true;
  const paths: string[] = [];
  for await (const { path } of subject.store.list('', { recursive: true })) {
    if (isFirst)
      for (let index = 0; index < 20; index += 1) rmSync(subject.root.at(`${index}`), { recursive: true });
    isFirst = false;
    paths.push(path);
  }
  expect(paths).toEqual(expect.arrayContaining(['file', '0', '19']));
  expect(paths.length).toBeLessThan(441);
});
