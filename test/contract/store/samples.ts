import { isSealiftError, type SealiftError } from '../../../src/errors.ts';
import type {
  Entry,
  OpenUploadOptions,
  Publication,
  PublishedRecord,
  ReplaceOptions,
  Store,
  StoredUpload,
} from '../../../src/storage/store.ts';
import type { BlockMap } from '../../../src/transfer/block-map.ts';
import { BLOCK_BYTES } from '../../../src/transfer/blocks.ts';
import { blockDigest, type DigestAlgorithm } from '../../../src/transfer/digests.ts';

/** Whatever stands there is replaced. */
export const ANY: ReplaceOptions = { condition: { if: 'any' }, mayReplace: true };
/** Nothing may stand there. */
export const ABSENT: ReplaceOptions = { condition: { if: 'absent' }, mayReplace: true };

/** The key of an upload. */
export const KEY = '0a1b-2c3d';

/** How a file is to stand under `path`; what a test does not care about is not synced. */
export function publication(path: string, given: Partial<Publication> = {}): Publication {
  return { path, durability: 'memory', ...ANY, ...given };
}

/** Publishes a small file with `text` in it. */
export async function putText(
  store: Store,
  path: string,
  text: string,
  given?: Partial<Publication>,
): Promise<Entry> {
  return store.put(publication(path, given), Buffer.from(text));
}

/** The bytes of block `seed`: no two blocks of different seeds are alike. */
export function block(seed: number, length = BLOCK_BYTES): Buffer {
  return Buffer.alloc(length, `block ${seed}, `);
}

/** The content of a published file, or of a version of it. */
export async function contentOf(store: Store, path: string, version?: string): Promise<Buffer> {
  const file = await store.open(path, { version });
  try {
    const content = Buffer.alloc(file.entry.size);
    await file.read(content, 0, content.length);
    return content;
  } finally {
    await file.close();
  }
}

export async function textOf(store: Store, path: string, version?: string): Promise<string> {
  return (await contentOf(store, path, version)).toString();
}

/** What is kept of the file `path`, or of those in a directory: path and text of each version, in the order of ids. */
export async function versionTexts(store: Store, path: string, recursive = false): Promise<string[]> {
  const entries = await Array.fromAsync(store.list(path, { recursive, versions: true }));
  const byId = entries.toSorted((a, b) => ((a.version ?? '') < (b.version ?? '') ? -1 : 1));
  return Promise.all(
    byId.map(async (entry) => `${entry.path}: ${await textOf(store, entry.path, entry.version)}`),
  );
}

/** The error of ours that `promise` is rejected with. What is not ours, or no error at all, fails the test. */
export async function failureOf(promise: Promise<unknown>): Promise<SealiftError> {
  try {
    await promise;
  } catch (error) {
    if (isSealiftError(error)) return error;
    throw error;
  }
  throw new Error('an error was expected, and there was none');
}

/** The code of the error that `promise` is rejected with. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  return (await failureOf(promise)).code;
}

/** The paths listed, in the order of the listing. */
export async function pathsIn(store: Store, path: string, recursive = false): Promise<string[]> {
  const entries = await Array.fromAsync(store.list(path, { recursive }));
  return entries.map((entry) => entry.path);
}

export function uploadOptions(path: string, given: Partial<OpenUploadOptions> = {}): OpenUploadOptions {
  return { path, size: null, base: 'partial', algorithm: 'sha256', ...given };
}

/** Opens the upload `KEY` and writes `blocks`, each at its index. */
export async function uploadOf(
  store: Store,
  options: OpenUploadOptions,
  blocks: Readonly<Record<number, Buffer>>,
): Promise<StoredUpload> {
  const upload = await store.openUpload(KEY, options);
  for (const [index, content] of Object.entries(blocks)) await upload.write(Number(index), content);
  return upload;
}

/** What is remembered of a publication. */
export function record(
  path: string,
  size: number,
  given: Partial<PublishedRecord & { id: string }> = {},
): PublishedRecord & { id: string } {
  return {
    id: 'upload-1',
    path,
    owner: 'somebody',
    digest: 'a digest',
    size,
    durability: 'memory',
    ...given,
  };
}

/** The keys of the uploads of which data is kept. */
export async function uploadKeys(store: Store): Promise<string[]> {
  return (await Array.fromAsync(store.uploads())).map(({ key }) => key).sort();
}

/** The raw digests of the blocks held, by index, in hex. */
export function heldDigests(held: BlockMap): Record<number, string> {
  const digests: Record<number, string> = {};
  for (let index = 0; index < held.end; index += 1) {
    const digest = held.digest(index);
    if (digest !== undefined) digests[index] = digest.toString('hex');
  }
  return digests;
}

/** What `heldDigests` says of a file that holds just `blocks`. */
export function digestsOf(
  blocks: Readonly<Record<number, Buffer>>,
  algorithm: DigestAlgorithm = 'sha256',
): Record<number, string> {
  return Object.fromEntries(
    Object.entries(blocks).map(([index, content]) => [
      index,
      blockDigest(algorithm, content).toString('hex'),
    ]),
  );
}
