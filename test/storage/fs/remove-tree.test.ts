import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';

import { systemFiles } from '../../../src/storage/fs/file-system.ts';
import { ANY, pathsIn } from '../../contract/store/samples.ts';
import { useFileStore } from './file-store.ts';

const subject = useFileStore();

/** Removes a tree, and tells how much was asked of the system, and open, at once beyond what was before. */
async function removing(path: string): Promise<{ requests: number; handles: number }> {
  const requests = () => process.getActiveResourcesInfo().filter((name) => name.startsWith('FSReq')).length;
  const handles = () => readdirSync('/proc/self/fd').length;
  const before = { requests: requests(), handles: handles() };
  const most = { requests: 0, handles: 0 };
  let isOver = false;
  const over = subject.store.remove(path, { recursive: true }).finally(() => (isOver = true));
  while (!isOver) {
    most.requests = Math.max(most.requests, requests() - before.requests);
    most.handles = Math.max(most.handles, handles() - before.handles);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await over;
  expect(readdirSync(subject.root.at('.sealift', 'removed'))).toEqual([]);
  return most;
}

test('a few files at a time are removed, however many there are', async () => {
  const { root } = subject;
  mkdirSync(root.at('a'));
  for (let number = 0; number < 3_000; number += 1) writeFileSync(root.at('a', `file ${number}`), '');
  expect((await removing('a')).requests).toBeLessThan(50);
  expect(existsSync(root.at('a'))).toBe(false);
});

test('a few directories at a time are removed, however many there are', async () => {
  const { root } = subject;
  for (let number = 0; number < 1_000; number += 1)
    mkdirSync(root.at('a', `directory ${number}`, 'sub'), { recursive: true });
  const most = await removing('a');
  expect(most.requests).toBeLessThan(50);
  expect(most.handles).toBeLessThan(100);
  expect(existsSync(root.at('a'))).toBe(false);
});

test('a tree is removed whose paths are longer than any that the system takes', async () => {
  const { store } = subject;
  const way = Array.from({ length: 100 }, () => 'a name of a directory that is long').join('/');
  for (const path of ['one', 'two', 'three']) await store.mkdir(`${path}/${way}`, {});
  await store.move('two', `one/${way}/two`, ANY);
  await store.move('one', `three/${way}/one`, ANY);
  expect((await removing('three')).handles).toBeLessThan(100);
  expect(await pathsIn(store, '')).toEqual([]);
});

test('what has no name that is text is removed, and where a link leads nothing is', async () => {
  const { root } = subject;
  mkdirSync(root.at('a'));
  mkdirSync(root.at('other'));
  writeFileSync(root.at('other', 'file'), '');
  symlinkSync(root.at('other'), root.at('a', 'link'));
  const bytes = (name: string) => Buffer.concat([Buffer.from(root.at('a', name)), Buffer.from([0xff, 0xfe])]);
  writeFileSync(bytes('file'), '');
  mkdirSync(bytes('directory'));
  writeFileSync(Buffer.concat([bytes('directory'), Buffer.from('/'), Buffer.from([0xff])]), '');
  execFileSync('mkfifo', [root.at('a', 'fifo')]);
  await removing('a');
  expect(existsSync(root.at('a'))).toBe(false);
  expect(readdirSync(root.at('other'))).toEqual(['file']);
});

test('a tree that others are removing, too, is removed', async () => {
  const { root } = subject;
  for (let number = 0; number < 300; number += 1)
    mkdirSync(root.at('a', `directory ${number}`, 'sub', 'deeper'), { recursive: true });
  await Promise.all([1, 2, 3].map(() => systemFiles.removeTree(root.at('a'))));
  expect(existsSync(root.at('a'))).toBe(false);
});

test('what cannot be removed keeps its permission bits but for what its owner needs', async (context) => {
  const { root } = subject;
  const mounted = root.at('a', 'sub', 'mounted');
  mkdirSync(mounted, { recursive: true });
  if (!isMounted(mounted)) return context.skip('This process may mount nothing.');
  try {
    chmodSync(root.at('a', 'sub'), 0o2555);
    await expect(systemFiles.removeTree(root.at('a'))).rejects.toMatchObject({ code: 'EXDEV' });
    expect(statSync(root.at('a', 'sub')).mode & 0o7777).toBe(0o2755);
  } finally {
    execFileSync('umount', [mounted]);
  }
});

/** Whether this process may mount something at `path`, which it then did. */
function isMounted(path: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', 'none', path], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

test('of another file system that is mounted in what is left of a removal nothing is removed', async (context) => {
  const left = subject.root.at('.sealift', 'removed', 'left');
  const mounted = `${left}/sub/mounted`;
  mkdirSync(mounted, { recursive: true });
  if (!isMounted(mounted)) return context.skip('This process may mount nothing.');
  try {
    writeFileSync(`${mounted}/file`, '');
    await subject.reopen();
    expect(readdirSync(mounted)).toEqual(['file']);
  } finally {
    // Before the root is removed.
    execFileSync('umount', [mounted]);
  }
});
