import type { FileStore } from '../../../src/storage/fs/fs-store.ts';
import type { OpenUploadOptions, Publication, Store } from '../../../src/storage/store.ts';
import { BLOCK_BYTES } from '../../../src/transfer/blocks.ts';
import { blockDigest } from '../../../src/transfer/digests.ts';
import {
  ABSENT,
  ANY,
  block,
  pathsIn,
  publication,
  putText,
  record,
  uploadOptions,
} from '../../contract/store/samples.ts';

/** Something that is done below a directory of its own, after what is needed for it was made there. */
export interface Scenario {
  name: string;
  prepare(store: FileStore, base: string): Promise<unknown>;
  run(store: FileStore, base: string): Promise<unknown>;
  /** What it may answer when it is said again although it was done the first time, which nobody was told. */
  saidAgain?: string;
  /** Whether what it did survives a loss of power once it has resolved; else only after a sync. */
  isDurable?: true;
  /** Whether a file that it made new may hold anything after a loss of power, until it was synced. */
  mayTear?: true;
  /** The file that has to be put again, by preparing anew, once its data could not be synced. */
  source?: string;
  /** Whether it is to fail where the system fails in this way; always, if left out. */
  isHarmed?: (errno: string) => boolean;
}

/** The key of the upload of every scenario. */
export const SCENARIO_KEY = 'feed-beef';

// As few bytes as show a whole block and a short one: each scenario runs some hundred times.
const SIZE = BLOCK_BYTES + 5;
const BLOCKS = [block(0), block(1, 5)];
const DIGESTS = BLOCKS.map((content) => blockDigest('sha256', content));

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'a small file that is new, in a new directory',
    prepare: async () => undefined,
    run: (store, base) => putText(store, `${base}/new/deep/file`, 'new', { ...ABSENT, durability: 'disk' }),
    saidAgain: 'exists',
    isDurable: true,
  },
  {
    name: 'a small file that replaces another',
    prepare: (store, base) => putText(store, `${base}/file`, 'old'),
    run: (store, base) =>
      putText(store, `${base}/file`, 'new', { durability: 'disk', mode: 0o640, mtimeMs: 1000 }),
    isDurable: true,
  },
  {
    name: 'a small file in memory that is new',
    prepare: async () => undefined,
    run: (store, base) => putText(store, `${base}/new/file`, 'new'),
    mayTear: true,
  },
  {
    name: 'a small file in memory that replaces another',
    prepare: (store, base) => putText(store, `${base}/file`, 'old'),
    run: (store, base) => putText(store, `${base}/file`, 'new'),
  },
  {
    name: 'an upload of two blocks',
    prepare: async () => undefined,
    run: (store, base) =>
      upload(store, `${base}/new/file`, { base: 'none' }, { ...ABSENT, durability: 'disk' }),
    saidAgain: 'exists',
    isDurable: true,
  },
  {
    name: 'an upload in memory',
    prepare: async () => undefined,
    run: (store, base) => upload(store, `${base}/file`, { base: 'partial' }, {}),
    mayTear: true,
  },
  {
    name: 'an upload that is resumed and replaces a file',
    prepare: async (store, base) => {
      await putText(store, `${base}/file`, 'old');
      const opened = await store.openUpload(SCENARIO_KEY, uploadOptions(`${base}/file`, { size: SIZE }));
      await opened.write(1, BLOCKS[1] ?? Buffer.alloc(0));
      await opened.close();
    },
    run: (store, base) =>
      upload(store, `${base}/file`, { base: 'partial' }, { mode: 0o600, durability: 'disk' }),
    isDurable: true,
  },
  {
    name: 'an upload of what changed in a file',
    prepare: (store, base) => store.put(publication(`${base}/file`), block(0)),
    run: (store, base) => upload(store, `${base}/file`, { base: 'existing' }, { mtimeMs: 1000 }),
  },
  {
    name: 'a file that is removed',
    prepare: (store, base) => putText(store, `${base}/file`, 'old'),
    run: (store, base) => store.remove(`${base}/file`, { recursive: false }),
    saidAgain: 'not-found',
  },
  {
    name: 'a directory that is removed with all in it',
    prepare: async (store, base) => {
      await putText(store, `${base}/a/b/file`, 'old');
      await putText(store, `${base}/a/other`, 'old');
    },
    run: (store, base) => store.remove(`${base}/a`, { recursive: true }),
    saidAgain: 'not-found',
  },
  {
    name: 'a file that moves onto another',
    prepare: async (store, base) => {
      await putText(store, `${base}/source`, 'new');
      await putText(store, `${base}/a/file`, 'old');
    },
    run: (store, base) => store.move(`${base}/source`, `${base}/a/file`, ANY),
    saidAgain: 'not-found',
    source: 'source',
    isDurable: true,
  },
  {
    name: 'a directory that moves into a new one',
    prepare: (store, base) => putText(store, `${base}/a/b/file`, 'old'),
    run: (store, base) => store.move(`${base}/a`, `${base}/new/deep`, ABSENT),
    saidAgain: 'not-found',
    isDurable: true,
  },
  {
    name: 'a directory that is made',
    prepare: async () => undefined,
    run: (store, base) => store.mkdir(`${base}/new/deep`, { mode: 0o750, mtimeMs: 1000 }),
  },
  {
    name: 'a link that is made',
    prepare: async () => undefined,
    run: (store, base) => store.symlink(`${base}/link`, 'target', ABSENT),
    saidAgain: 'exists',
  },
  {
    name: 'a link that replaces a file',
    prepare: (store, base) => putText(store, `${base}/file`, 'old'),
    run: (store, base) => store.symlink(`${base}/file`, 'target', ANY),
  },
  {
    name: 'times and bits that are set',
    prepare: (store, base) => putText(store, `${base}/file`, 'old'),
    run: (store, base) => store.set(`${base}/file`, { mode: 0o640, mtimeMs: 1000 }),
  },
  {
    name: 'a download',
    prepare: (store, base) => store.put(publication(`${base}/a/file`), block(1)),
    run: async (store, base) => {
      const file = await store.open(`${base}/a/file`);
      try {
        const target = Buffer.alloc(BLOCK_BYTES);
        await file.read(target, 0, BLOCK_BYTES);
        if (!target.equals(block(1))) throw new Error('other bytes came back');
        await file.assertUnchanged();
      } finally {
        await file.close();
      }
    },
  },
  {
    name: 'a listing',
    prepare: async (store, base) => {
      await putText(store, `${base}/a/b/file`, 'old');
      await store.symlink(`${base}/a/link`, 'target', ANY);
    },
    run: async (store, base) => {
      const paths = await pathsIn(store, base, true);
      if (paths.length !== 4) throw new Error('something is missing from the listing');
    },
    // It passes over what it may not read.
    isHarmed: (errno) => !['EACCES', 'EROFS'].includes(errno),
  },
  {
    name: 'a sync',
    prepare: (store, base) => putText(store, `${base}/a/file`, 'old'),
    run: (store, base) => store.sync([`${base}/a/file`]),
    source: 'a/file',
  },
  {
    name: 'a search for a publication, and forgetting it',
    prepare: (store, base) => upload(store, `${base}/file`, { base: 'none' }, {}),
    run: async (store) => {
      await store.published('upload-1');
      await store.forgetPublished(Number.MAX_SAFE_INTEGER);
    },
  },
  {
    name: 'uploads that are listed and discarded',
    prepare: async (store, base) => {
      await (await store.openUpload(SCENARIO_KEY, uploadOptions(`${base}/file`, { size: SIZE }))).close();
    },
    run: async (store) => {
      for await (const { key } of store.uploads()) await store.discardUpload(key);
    },
  },
];

// As client and server do it together: only the blocks whose digest is not held are sent, and whatever fails, the
// upload is closed.
async function upload(
  store: Store,
  path: string,
  given: Partial<OpenUploadOptions>,
  named: Partial<Publication>,
): Promise<unknown> {
  const opened = await store.openUpload(SCENARIO_KEY, uploadOptions(path, { size: SIZE, ...given }));
  try {
    for (const [index, content] of BLOCKS.entries())
      if (opened.held.digest(index)?.equals(DIGESTS[index] ?? content) !== true)
        await opened.write(index, content);
    return await opened.publish(publication(path, named), SIZE, record(path, SIZE));
  } catch (error) {
    await opened.close();
    throw error;
  }
}
