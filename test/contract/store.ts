import { afterEach, beforeEach, describe } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import type { Store } from '../../src/storage/store.ts';
import { conditionsContract } from './store/conditions.ts';
import { linksContract } from './store/links.ts';
import { namesContract } from './store/names.ts';
import { publishingContract } from './store/publishing.ts';
import { readingContract } from './store/reading.ts';
import { treeContract } from './store/tree.ts';
import { uploadDataContract } from './store/upload-data.ts';
import { uploadEndsContract } from './store/upload-ends.ts';
import { uploadStartContract } from './store/upload-start.ts';
import { versionsContract } from './store/versions.ts';

/** A store of its own for one test. */
export interface OpenedStore {
  store: Store;
  /** Closes the store and opens it again, as a restart of the process would. */
  reopen(): Promise<Store>;
  /** Closes the store and removes what it kept. */
  close(): Promise<void>;
}

/** The store that the test under way works with. */
export interface Subject {
  readonly store: Store;
  reopen(): Promise<Store>;
}

/** What a store under test has to be opened with, besides what its maker thinks of. */
export interface OpenStoreOptions {
  clock?: Clock;
  keepVersionsMs?: number;
}

/** Opens an empty store. */
export type OpenStore = (options?: OpenStoreOptions) => Promise<OpenedStore>;

/** What every store has to do, sentence by sentence of the contract in `src/storage/store.ts`. */
export function describeStoreContract(name: string, open: OpenStore): void {
  describe(`${name} keeps the contract of a store`, () => {
    let opened: OpenedStore;
    let store: Store;
    const subject: Subject = {
      get store() {
        return store;
      },
      reopen: async () => (store = await opened.reopen()),
    };

    beforeEach(async () => {
      opened = await open();
      store = opened.store;
    });
    afterEach(() => opened.close());

    describe('reading', () => readingContract(subject));
    describe('publishing', () => publishingContract(subject));
    describe('conditions', () => conditionsContract(subject));
    describe('names', () => namesContract(subject));
    describe('the tree', () => treeContract(subject));
    describe('links', () => linksContract(subject));
    describe('the data of uploads', () => uploadDataContract(subject));
    describe('the start of uploads', () => uploadStartContract(subject));
    describe('the ends of uploads', () => uploadEndsContract(subject));
    describe('versions', () => versionsContract(open));
  });
}
