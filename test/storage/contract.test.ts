import { systemFiles, type FileSystem } from '../../src/storage/fs/file-system.ts';
import { FileStore } from '../../src/storage/fs/fs-store.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { describeStoreContract, type OpenedStore, type OpenStoreOptions } from '../contract/store.ts';
import { beginInSameThread } from './fs/same-thread.ts';
import { temporaryRoot } from './temporary-root.ts';

const DAY_MS = 86_400_000;

describeStoreContract('MemoryStore', openMemoryStore);
describeStoreContract('MemoryStore with versions', (options) =>
  openMemoryStore({ keepVersionsMs: DAY_MS, ...options }),
);

describeStoreContract('FileStore', (options) => openFileStore(systemFiles, options));
describeStoreContract('FileStore with versions', (options) =>
  openFileStore(systemFiles, { keepVersionsMs: DAY_MS, ...options }),
);

async function openMemoryStore(options?: OpenStoreOptions): Promise<OpenedStore> {
  const store = new MemoryStore(options);
  return {
    store,
    reopen: async () => {
      await store[Symbol.asyncDispose]();
      return store;
    },
    close: async () => store[Symbol.asyncDispose](),
  };
}

// As it is where directories cannot be reached through their open handles: elsewhere than on Linux.
describeStoreContract('FileStore by paths', (options) =>
  openFileStore(
    { ...systemFiles, childPath: (_, directoryPath, name) => `${directoryPath}/${name}` },
    options,
  ),
);

describeStoreContract('FileStore with a thread for small files', async (options) => {
  const root = temporaryRoot();
  const open = async () => {
    const opened = await FileStore.open({ root: root.path, beginThread: beginInSameThread, ...options });
    await opened.startThread();
    return Object.assign(opened, {
      // What has to reach the disk at once is none of the thread's business.
      put: (...[publication, content]: Parameters<FileStore['put']>) =>
        FileStore.prototype.put.call(opened, { ...publication, durability: 'memory' }, content),
    });
  };
  let store = await open();
  return {
    store,
    reopen: async () => {
      await store[Symbol.asyncDispose]();
      return (store = await open());
    },
    close: async () => {
      await store[Symbol.asyncDispose]();
      root.remove();
    },
  };
});

async function openFileStore(files: FileSystem, options?: OpenStoreOptions): Promise<OpenedStore> {
  const root = temporaryRoot();
  const open = () => FileStore.open({ root: root.path, files, ...options });
  let store = await open();
  return {
    store,
    reopen: async () => {
      await store[Symbol.asyncDispose]();
      return (store = await open());
    },
    close: async () => {
      await store[Symbol.asyncDispose]();
      root.remove();
    },
  };
}
