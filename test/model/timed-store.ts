import type { Store, StoredUpload } from '../../src/storage/store.ts';
import type { FakeClock } from '../support/fake-clock.ts';

/**
 * A store whose uploads are as old as they are by the clock of a test, since no test can set when a file was last written
 * to. `writtenMs` keeps that by their keys, also when the store is opened again.
 */
export function withTimes(store: Store, clock: FakeClock, writtenMs: Map<string, number>): Store {
  const { openUpload, uploads } = store;
  const note = (key: string) => writtenMs.set(key, clock.now());
  return Object.assign(store, {
    openUpload: async (...[key, options]: Parameters<Store['openUpload']>): Promise<StoredUpload> => {
      const isThere = (await Array.fromAsync(uploads.call(store))).some((each) => each.key === key);
      const upload = await openUpload.call(store, key, options);
      if (!isThere || options.base === 'none' || upload.base === 'existing') note(key);
      const { write } = upload;
      return Object.assign(upload, {
        write: (...block: Parameters<StoredUpload['write']>) => {
          note(key);
          return write.apply(upload, block);
        },
      });
    },
    uploads: async function* () {
      for await (const each of uploads.call(store))
        yield { ...each, lastWrittenMs: writtenMs.get(each.key) ?? each.lastWrittenMs };
    },
  });
}
