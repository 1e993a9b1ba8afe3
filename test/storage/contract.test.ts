import { systemFiles, type FileSystem } from '../../src/storage/fs/file-system.ts';
import { FileStore } from '../../src/storage/fs/fs-store.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { describeStoreContract, type OpenedStore } from '../contract/store.ts';
import { beginInSameThread } from './fs/same-thread.ts';
import { temporaryRoot } from './temporary-root.ts';

describeStoreContract('MemoryStore', async () => {
  const store = new MemoryStore();
  return {
    store,
    reopen: async () => {
      await store[Symbol.asyncDispose]();
      return store;
    },
    close: async () => store[Symbol.asyncDispose](),
  };
});

describeStoreContract('FileStore', () => openFileStore(systemFiles));

// As it is where directories cannot be reached through their open handles: elsewhere than on Linux.
describeStoreContract('FileStore by paths', () =>
  openFileStore({ ...systemFiles, childPath: (_, directoryPath, name) => `${directoryPath}/${name}` }),
);

describeStoreContract('FileStore with a thread for small files', async () => {
  const root = temporaryRoot();
  const open = async () => {
    const opened = await FileStore.open({ root: root.path, beginThread: beginInSameThread });
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

async function openFileStore(files: FileSystem): Promise<OpenedStore> {
  const root = temporaryRoot();
  let store = await FileStore.open({ root: root.path, files });
  return {
    store,
    reopen: async () => {
      await store[Symbol.asyncDispose]();
      return (store = await FileStore.open({ root: root.path, files }));
    },
    close: async () => {
      await store[Symbol.asyncDispose]();
      root.remove();
    },
  };
}
