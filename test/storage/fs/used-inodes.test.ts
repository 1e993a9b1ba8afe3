import { statSync } from 'node:fs';
import { expect, test } from 'vitest';

import { systemFiles } from '../../../src/storage/fs/file-system.ts';
import { codeOf, putText } from '../../contract/store/samples.ts';
import { useFileStore } from './file-store.ts';

/** A disk that gives every file the number of an inode that was freed just before. */
const subject = useFileStore(() => ({
  ...systemFiles,
  lstat: async (path) => Object.assign(await systemFiles.lstat(path), { ino: 1n }),
}));

test('what took the place of a removed file is another, also with the number of its inode', async () => {
  const { store, root } = subject;
  const bornNs = () => statSync(root.at('file'), { bigint: true }).birthtimeNs;
  const { etag: made } = await putText(store, 'file', 'text', { mtimeMs: 5_000 });
  const first = bornNs();
  // The clock of a file system ticks every few milliseconds.
  do {
    await store.remove('file', { recursive: false });
    await putText(store, 'file', 'text', { mtimeMs: 5_000 });
  } while (bornNs() === first);
  expect(await codeOf(store.set('file', { mtimeMs: 9_000 }, { made }))).toBe('forbidden');
  expect((await store.stat('file')).mtimeMs).toBe(5_000);
});
