import { isSealiftError } from '../errors.ts';
import type { Entry, Store } from '../storage/store.ts';

/** The entry at `path`; undefined if nothing stands there. */
export async function whatStands(store: Store, path: string): Promise<Entry | undefined> {
  try {
    return await store.stat(path);
  } catch (error) {
    if (isSealiftError(error, 'not-found', 'not-directory')) return undefined;
    throw error;
  }
}
