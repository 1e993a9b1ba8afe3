import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import type { Store } from '../../../src/storage/store.ts';
import { BLOCK_BYTES } from '../../../src/transfer/blocks.ts';
import {
  ABSENT,
  ANY,
  block,
  codeOf,
  failureOf,
  KEY,
  publication,
  putText,
  record,
  textOf,
  uploadOf,
  uploadOptions,
} from '../../contract/store/samples.ts';
import { FaultyFiles } from '../../support/faulty-files.ts';
import { useFileStore } from './file-store.ts';
import { useNobodysRights } from './nobodys-rights.ts';

let files: FaultyFiles;
const subject = useFileStore(() => (files = new FaultyFiles()));
useNobodysRights();

const bits = (...names: string[]) => (statSync(subject.root.at(...names)).mode & 0o777).toString(8);
/** Makes `read-only/sub/file` with `mode` for both directories. */
const makeReadOnly = async (mode = 0o555) => {
  await putText(subject.store, 'read-only/sub/file', 'text', { mode: 0o444 });
  for (const path of ['read-only/sub', 'read-only']) await subject.store.set(path, { mode });
};
// Or the root could not be removed.
afterEach(() => {
  for (const { parentPath, name } of readdirSync(subject.root.path, { withFileTypes: true }).filter((entry) =>
    entry.isDirectory(),
  ))
    openUp(`${parentPath}/${name}`);
});
function openUp(path: string): void {
  chmodSync(path, 0o755);
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) openUp(`${path}/${entry.name}`);
}

/** Everything that changes what a directory holds. */
const CHANGES: Record<string, (store: Store) => Promise<unknown>> = {
  'put of a new file': (store) => putText(store, 'read-only/new', ''),
  'put where nothing may stand': (store) => putText(store, 'read-only/new', '', ABSENT),
  'put below a new directory': (store) => putText(store, 'read-only/new/file', ''),
  'put over a file': (store) => putText(store, 'read-only/sub/file', ''),
  upload: async (store) => {
    const upload = await uploadOf(store, uploadOptions('read-only/new'), { 0: block(0) });
    return upload.publish(publication('read-only/new'), BLOCK_BYTES, record('read-only/new', BLOCK_BYTES));
  },
  mkdir: (store) => store.mkdir('read-only/new', {}),
  symlink: (store) => store.symlink('read-only/new', 'target', ANY),
  'symlink over a file': (store) => store.symlink('read-only/sub/file', 'target', ANY),
  'remove of a file': (store) => store.remove('read-only/sub/file', { recursive: false }),
  'remove of a directory': (store) => store.remove('read-only/sub', { recursive: true }),
  'move away': (store) => store.move('read-only/sub', 'moved', ANY),
  'move into it': (store) => store.move('other', 'read-only/other', ANY),
};

test.each(Object.entries(CHANGES))('%s: the directory does not permit it, and says so', async (_, change) => {
  const { store, root } = subject;
  await makeReadOnly();
  await putText(store, 'other', '');
  const error = await failureOf(change(store));
  expect(error).toMatchObject({ code: 'forbidden' });
  expect(error.message).toMatch(/: the directory does not permit it\.$/);
  expect(error.message).not.toContain(root.path);
  expect([bits('read-only'), bits('read-only', 'sub')]).toEqual(['555', '555']);
  expect(await textOf(store, 'read-only/sub/file')).toBe('text');
  expect(existsSync(root.at('read-only', 'new'))).toBe(false);
  // Once it is opened, all goes well.
  for (const path of ['read-only', 'read-only/sub']) await store.set(path, { mode: 0o755 });
  await change(store);
});

test.each([0o555, 0o500, 0o577])('a directory of mode %o is removed with all in it', async (mode) => {
  await makeReadOnly(mode);
  await subject.store.remove('read-only', { recursive: true });
  expect(readdirSync(subject.root.path)).toEqual(['.sealift']);
  expect(readdirSync(subject.root.at('.sealift', 'removed'))).toEqual([]);
});

test('what a process died at removing is deleted when the store opens', async () => {
  const { store, root } = subject;
  await makeReadOnly();
  files.heal(({ name }) => (name === 'removeTree' ? 'EIO' : undefined));
  expect(await codeOf(store.remove('read-only', { recursive: true }))).toBe('internal');
  expect([bits('read-only'), bits('read-only', 'sub')]).toEqual(['555', '555']);
  mkdirSync(root.at('.sealift', 'removed', 'left', 'sub'), { recursive: true });
  writeFileSync(root.at('.sealift', 'removed', 'left', 'sub', 'file'), '');
  chmodSync(root.at('.sealift', 'removed', 'left', 'sub'), 0);
  await subject.reopen();
  expect(readdirSync(root.at('.sealift', 'removed'))).toEqual([]);
});

describe('a directory of mode 555', () => {
  test('moves to another parent, and keeps its bits', async () => {
    await makeReadOnly();
    await subject.store.move('read-only', 'a/moved', ABSENT);
    expect([bits('a', 'moved'), bits('a', 'moved', 'sub')]).toEqual(['555', '555']);
    expect(await textOf(subject.store, 'a/moved/sub/file')).toBe('text');
  });

  test('keeps its bits also where it cannot move', async () => {
    await makeReadOnly();
    await putText(subject.store, 'full/file', '');
    expect(await codeOf(subject.store.move('read-only', 'full', ANY))).toBe('not-empty');
    expect(bits('read-only')).toBe('555');
  });
});

test('a file of mode 444 is read, synced, replaced and moved as any other', async () => {
  const { store } = subject;
  await putText(store, 'file', 'text', { mode: 0o444, durability: 'disk' });
  await store.sync(['file']);
  await putText(store, 'file', 'replaced');
  await store.set('file', { mtimeMs: 1000 });
  await store.move('file', 'moved', ABSENT);
  expect(await store.stat('moved')).toMatchObject({ mode: 0o444, mtimeMs: 1000 });
  expect(await textOf(store, 'moved')).toBe('replaced');
});

test('an upload whose publication broke off after it got its bits goes on', async () => {
  const { store } = subject;
  const upload = await uploadOf(store, uploadOptions('file'), { 0: block(0) });
  files.failNamed('rename', 'EIO');
  const named = publication('file', { mode: 0o444 });
  expect(await codeOf(upload.publish(named, BLOCK_BYTES, record('file', BLOCK_BYTES)))).toBe('internal');
  const again = await store.openUpload(KEY, uploadOptions('file'));
  expect(again.held.has(0)).toBe(true);
  await again.write(1, block(1, 5));
  await again.publish(named, BLOCK_BYTES + 5, record('file', BLOCK_BYTES + 5));
  expect(await store.stat('file')).toMatchObject({ mode: 0o444, size: BLOCK_BYTES + 5 });
});
