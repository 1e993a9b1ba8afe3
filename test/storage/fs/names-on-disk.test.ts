import { mkdirSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { beforeEach, expect, test } from 'vitest';
import { ANY, codeOf, pathsIn, putText } from '../../contract/store/samples.ts';
import { useFileStore } from './file-store.ts';

const subject = useFileStore();

// Linux takes any bytes for a name but a slash and a NUL; the protocol does not.
beforeEach(async () => {
  const { store, root } = subject;
  await putText(store, 'directory/good', 'text');
  const bytes = (name: string, ...rest: number[]) =>
    Buffer.concat([Buffer.from(`${root.path}/${name}`), Buffer.from(rest)]);
  writeFileSync(root.at('directory', 'new\nline'), '');
  writeFileSync(root.at('directory', 'escape\u001b[31m'), '');
  writeFileSync(root.at('directory', 'c1\u0085'), '');
  writeFileSync(bytes('directory/invalid', 0xff, 0xfe), '');
  writeFileSync(bytes('directory/surrogate', 0xed, 0xa0, 0x80), '');
  mkdirSync(root.at('tab\t'));
  writeFileSync(root.at('tab\t', 'file'), '');
  mkdirSync(bytes('latin1', 0xe9));
  writeFileSync(Buffer.concat([bytes('latin1', 0xe9), Buffer.from('/file')]), '');
});

test('names that the protocol cannot say are not shown, and break no listing', async () => {
  expect(await pathsIn(subject.store, 'directory')).toEqual(['directory/good']);
  expect(await pathsIn(subject.store, '', true)).toEqual(['directory', 'directory/good']);
});

test('of each directory that holds some it is told how many, and of those that only look so none', async () => {
  const { store, root } = subject;
  // The first is really called so; the second is decoded to the same.
  writeFileSync(root.at('directory', 'really\ufffd'), '');
  writeFileSync(Buffer.concat([Buffer.from(root.at('directory', 'really')), Buffer.from([0xff])]), '');
  const told: Record<string, number> = {};
  const onUnlisted = (directory: string, count: number) => (told[directory] = count);
  const found = await Array.fromAsync(store.list('', { recursive: true, onUnlisted }), ({ path }) => path);
  expect(found.sort()).toEqual(['directory', 'directory/good', 'directory/really\ufffd']);
  expect(told).toEqual({ '': 2, directory: 6 });
});

test('nor are they reached', async () => {
  for (const path of ['directory/new\nline', 'tab\t', 'tab\t/file'])
    expect(await codeOf(subject.store.stat(path))).toBe('bad-name');
  for (const path of ['directory/invalid\ufffd\ufffd', 'latin1\ufffd/file'])
    expect(await codeOf(subject.store.stat(path))).toBe('not-found');
});

test('a directory that holds one is not empty, and is removed with it if it is asked to be', async () => {
  const { store, root } = subject;
  await store.remove('directory/good', { recursive: false });
  expect(await pathsIn(store, 'directory')).toEqual([]);
  expect(await codeOf(store.remove('directory', { recursive: false }))).toBe('not-empty');
  await store.remove('directory', { recursive: true });
  expect(await pathsIn(store, '')).toEqual([]);
  expect(readdirSync(root.at('.sealift', 'removed'))).toEqual([]);
});

test('a link whose target is no UTF-8 is shown without it, and moved and removed like others', async () => {
  const { store, root } = subject;
  symlinkSync(Buffer.from([0x74, 0xff]), root.at('link'));
  expect(await store.stat('link')).toMatchObject({ type: 'symlink', size: 2 });
  expect(await store.stat('link')).not.toHaveProperty('target');
  await store.move('link', 'moved', ANY);
  expect(readlinkSync(root.at('moved'), 'buffer')).toEqual(Buffer.from([0x74, 0xff]));
  await store.remove('moved', { recursive: false });
  expect(await pathsIn(store, '')).toEqual(['directory']);
});
