import { onTestFinished } from 'vitest';

import { FileStore, type FileStoreOptions } from '../../../src/storage/fs/fs-store.ts';
import { FaultyFiles } from '../../support/faulty-files.ts';
import { temporaryRoot } from '../temporary-root.ts';

/** A store in a new directory, and how often it made a call of the file system since its files were healed; both are gone at the end of the test. */
export async function storeOfCountedCalls(options: Pick<FileStoreOptions, 'clock' | 'keepVersionsMs'> = {}) {
  const [root, files] = [temporaryRoot(), new FaultyFiles()];
  const store = await FileStore.open({ root: root.path, files, ...options });
  onTestFinished(async () => {
    await store[Symbol.asyncDispose]();
    root.remove();
  });
  const counted = (name: string) => files.calls.filter((call) => call.name === name).length;
  return { store, files, root, counted };
}
