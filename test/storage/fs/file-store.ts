import { afterEach, beforeEach } from 'vitest';
import { FileStore, type FileStoreOptions } from '../../../src/storage/fs/fs-store.ts';
import type { FileSystem } from '../../../src/storage/fs/file-system.ts';
import { temporaryRoot, type TemporaryRoot } from '../temporary-root.ts';

/** A file store of its own for each test of a file, and the directory that it serves. */
export interface FileStoreSubject {
  readonly store: FileStore;
  readonly root: TemporaryRoot;
  /** Closes the store and opens it again, as a restart of the process would. */
  reopen(): Promise<FileStore>;
}

/** Opens a store before each test, over `files` if they are given, and removes it afterwards. */
export function useFileStore(
  files?: () => FileSystem,
  options: Pick<FileStoreOptions, 'clock' | 'keepVersionsMs'> = {},
): FileStoreSubject {
  let root: TemporaryRoot;
  let store: FileStore;
  const open = async () =>
    (store = await FileStore.open({
      root: root.path,
      ...options,
      ...(files === undefined ? {} : { files: files() }),
    }));

  beforeEach(async () => {
    root = temporaryRoot();
    await open();
  });
  afterEach(async () => {
    await store[Symbol.asyncDispose]();
    root.remove();
  });

  return {
    get store() {
      return store;
    },
    get root() {
      return root;
    },
    reopen: async () => {
      await store[Symbol.asyncDispose]();
      return open();
    },
  };
}
