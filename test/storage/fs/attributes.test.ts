import {
  appendFileSync,
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { expect, test } from 'vitest';
import { codeOf, pathsIn, putText, textOf } from '../../contract/store/samples.ts';
import { useFileStore } from './file-store.ts';

const subject = useFileStore();

test('a file is an ordinary file under its own name, with nothing beside it', async () => {
  const { store, root } = subject;
  await putText(store, 'a/file', 'text', { mode: 0o640, mtimeMs: 1_234_567 });
  const stats = statSync(root.at('a', 'file'));
  expect(stats).toMatchObject({ size: 4, nlink: 1 });
  expect(Math.floor(stats.mtimeMs)).toBe(1_234_567);
  expect(stats.mode & 0o7777).toBe(0o640);
  expect(readdirSync(root.at('a'))).toEqual(['file']);
  expect(readdirSync(root.path).sort()).toEqual(['.sealift', 'a']);
});

test('what other programs put there is served as well', async () => {
  const { store, root } = subject;
  mkdirSync(root.at('directory'));
  writeFileSync(root.at('directory', 'file'), 'text');
  expect(await textOf(store, 'directory/file')).toBe('text');
  expect((await pathsIn(store, '', true)).sort()).toEqual(['directory', 'directory/file']);
});

test('bits beyond the permissions are neither shown, taken over nor set', async () => {
  const { store, root } = subject;
  const bits = (name: string) => (statSync(root.at(name)).mode & 0o7777).toString(8);
  writeFileSync(root.at('file'), '');
  chmodSync(root.at('file'), 0o6754);
  mkdirSync(root.at('directory'));
  chmodSync(root.at('directory'), 0o1777);
  expect(await store.stat('file')).toMatchObject({ mode: 0o754 });
  expect(await store.stat('directory')).toMatchObject({ mode: 0o777 });
  await putText(store, 'file', 'replaced');
  expect(bits('file')).toBe('754');
  await putText(store, 'put', '', { mode: 0o4755 });
  await store.mkdir('made', { mode: 0o3755 });
  await store.set('file', { mode: 0o4711 });
  expect([bits('put'), bits('made'), bits('file')]).toEqual(['755', '755', '711']);
});

test('a file that replaces a link or nothing gets the bits of a new file', async () => {
  const { store } = subject;
  await putText(store, 'new', '');
  await store.symlink('link', 'new', { condition: { if: 'any' }, mayReplace: true });
  await putText(store, 'link', '');
  expect((await store.stat('link')).mode).toBe((await store.stat('new')).mode);
  expect((await store.stat('new')).mode & 0o111).toBe(0);
});

// The disk keeps microseconds or nanoseconds, of which only whole milliseconds are told.
test.each([
  [0, 0],
  [1.0009, 1000],
  [1.0010005, 1001],
  [-0.001, -1],
  [-0.0005, -1],
  [-1.9995, -2000],
])('the time of %d seconds is told as %i milliseconds', async (seconds, mtimeMs) => {
  const { store, root } = subject;
  writeFileSync(root.at('file'), '');
  utimesSync(root.at('file'), String(seconds), String(seconds));
  expect((await store.stat('file')).mtimeMs).toBe(mtimeMs);
});

test('setting a time leaves that of a link’s target alone', async () => {
  const { store, root } = subject;
  await putText(store, 'file', '', { mtimeMs: 1000 });
  await store.symlink('link', 'file', { condition: { if: 'any' }, mayReplace: true });
  await store.set('link', { mtimeMs: -5000 });
  expect(Math.floor(lstatSync(root.at('link')).mtimeMs)).toBe(-5000);
  expect(Math.floor(statSync(root.at('file')).mtimeMs)).toBe(1000);
});

test('the etag changes when a file is changed in place', async () => {
  const { store, root } = subject;
  const etags = [(await putText(store, 'file', 'text', { mtimeMs: 1000 })).etag];
  const changes = [
    () => appendFileSync(root.at('file'), 'more'),
    () => utimesSync(root.at('file'), 2, 2),
    () => truncateSync(root.at('file'), 2),
    () => writeFileSync(root.at('file'), 'another'),
  ];
  for (const change of changes) {
    change();
    etags.push((await store.stat('file')).etag);
  }
  expect(new Set(etags).size).toBe(5);
});

test('the etag of what is not changed stays, also after a restart', async () => {
  const { etag } = await putText(subject.store, 'file', 'text');
  await textOf(subject.store, 'file');
  expect((await subject.store.stat('file')).etag).toBe(etag);
  await subject.reopen();
  expect((await subject.store.stat('file')).etag).toBe(etag);
});

test('a reader is told of a change in place, and of what is gone', async () => {
  const { store, root } = subject;
  await putText(store, 'file', 'some text', { mtimeMs: 1000 });
  const target = Buffer.alloc(9);
  for (const change of [
    () => appendFileSync(root.at('file'), 'more'),
    () => truncateSync(root.at('file'), 9),
    // Within the same millisecond.
    () => utimesSync(root.at('file'), '1.0005', '1.0005'),
    () => utimesSync(root.at('file'), '1', '1'),
  ]) {
    const file = await store.open('file');
    await file.assertUnchanged();
    change();
    expect(await codeOf(file.assertUnchanged())).toBe('precondition-failed');
    await file.read(target, 0, 9);
    await file.close();
  }
  const file = await store.open('file');
  truncateSync(root.at('file'), 4);
  await file.read(target, 0, 4);
  expect(await codeOf(file.read(target, 0, 5))).toBe('precondition-failed');
  await file.close();
});

test('a reader is told of more bytes also where the time is what it was', async () => {
  const { store, root } = subject;
  await putText(store, 'file', 'text', { mtimeMs: 1000 });
  const file = await store.open('file');
  appendFileSync(root.at('file'), 'more');
  await store.set('file', { mtimeMs: 1000 });
  expect(await codeOf(file.assertUnchanged())).toBe('precondition-failed');
  await file.close();
});
