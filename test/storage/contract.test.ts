import { FileStore } from '../../src/storage/fs/fs-store.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { describeStoreContract } from '../contract/store.ts';
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

describeStoreContract('FileStore', async () => {
  const root = temporaryRoot();
  let store = await FileStore.open({ root: root.path });
  return {
    store,
    reopen: async () => {
      await store[Symbol.asyncDispose]();
      return (store = await FileStore.open({ root: root.path }));
    },
    close: async () => {
      await store[Symbol.asyncDispose]();
      root.remove();
    },
  };
});
