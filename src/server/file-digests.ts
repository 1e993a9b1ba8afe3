import type { Clock } from '../clock.ts';
import { digestsInTurn, type HashingOptions } from '../storage/hashing.ts';
import type { Entry, Store, StoredFile } from '../storage/store.ts';
import { BlockMap, PAGE_DIGESTS } from '../transfer/block-map.ts';
import { BLOCK_BYTES, blockCount, blockLength } from '../transfer/blocks.ts';
import { fileDigest, type DigestAlgorithm } from '../transfer/digests.ts';

/** File digests remembered, of each of two ages; each costs about 300 bytes. */
const MAX_REMEMBERED = 5_000;
/** Block digests remembered, of all files together: those of half a TiB, in 16 MiB. */
const MAX_REMEMBERED_BLOCKS = 524_288;
/** So near the time that it bears, a file may bear the same one after another change, and so the same etag. */
const MIN_AGE_MS = 2_000;

interface KnownDigest {
  digest: string;
  /** Whether the file was left alone long enough for a later change to show in its etag. */
  isSettled: boolean;
  /** The principal that put the file, if that is known. */
  writer?: string | undefined;
}

/** The digests of files as they stand: read from the data, or remembered for the same etag. */
export class FileDigests {
  readonly #store: Store;
  readonly #clock: Clock;
  /** What was remembered last, and what was before: from a map of many each removal of the oldest walks over those removed before. */
  #known = new Map<string, KnownDigest>();
  #knownBefore = new Map<string, KnownDigest>();
  /** Those used last stand last. */
  readonly #blocks = new Map<string, { held: BlockMap; room: number }>();
  #blocksRoom = 0;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** The digest of the file at `path` and the entry that it belongs to. Remembered ones are taken. */
  async of(
    path: string,
    algorithm: DigestAlgorithm,
    options: HashingOptions,
  ): Promise<{ entry: Entry; digest: string }> {
    const file = await this.#store.open(path);
    try {
      const { entry } = file;
      const known = this.#remembered(entry, algorithm);
      if (known?.isSettled === true) return { entry, digest: known.digest };
      const isSettled = this.#isSettled(entry);
      const digest = await digestOf(file, algorithm, options);
      const writer = known?.digest === digest ? known.writer : undefined;
      if (isSettled) this.remember(entry, digest, algorithm, writer);
      return { entry, digest };
    } finally {
      await file.close();
    }
  }

  /** The digest of what `writer` put to `path` and still stands there with this etag, as long as it is remembered: it tells `writer` nothing new. */
  ofWriter(
    writer: string,
    entry: Pick<Entry, 'path' | 'etag'>,
    algorithm: DigestAlgorithm,
  ): string | undefined {
    const known = this.#remembered(entry, algorithm);
    return known?.writer === writer ? known.digest : undefined;
  }

  /**
   * The digests of the blocks of a file of more than one, as far as they are remembered; what is set in it is remembered
   * too. Undefined where nothing is to be: there are too many, or the file was changed a moment ago.
   */
  blocksOf({ path, etag, size, mtimeMs }: Entry, algorithm: DigestAlgorithm): BlockMap | undefined {
    const key = memoryKey({ path, etag }, algorithm);
    // A map takes room page by page.
    const room = Math.ceil(blockCount(size) / PAGE_DIGESTS) * PAGE_DIGESTS;
    if (room > MAX_REMEMBERED_BLOCKS || !this.#isSettled({ mtimeMs })) return undefined;
    const found = this.#blocks.get(key) ?? { held: new BlockMap(), room };
    if (!this.#blocks.delete(key)) this.#blocksRoom += room;
    this.#blocks.set(key, found);
    for (const [oldest, each] of this.#blocks) {
      if (this.#blocksRoom <= MAX_REMEMBERED_BLOCKS) break;
      this.#blocks.delete(oldest);
      this.#blocksRoom -= each.room;
    }
    return found.held;
  }

  /** Takes note of a digest that was computed elsewhere, and of who put the file. */
  remember(entry: Entry, digest: string, algorithm: DigestAlgorithm, writer?: string): void {
    const isSettled = this.#isSettled(entry);
    this.#known.set(memoryKey(entry, algorithm), { digest, isSettled, writer });
    if (this.#known.size < MAX_REMEMBERED) return;
    this.#knownBefore = this.#known;
    this.#known = new Map();
  }

  #isSettled({ mtimeMs }: Pick<Entry, 'mtimeMs'>): boolean {
    return Math.abs(this.#clock.now() - mtimeMs) >= MIN_AGE_MS;
  }

  #remembered(entry: Pick<Entry, 'path' | 'etag'>, algorithm: DigestAlgorithm): KnownDigest | undefined {
    const key = memoryKey(entry, algorithm);
    return this.#known.get(key) ?? this.#knownBefore.get(key);
  }
}

/**
 * The raw digests of a file's blocks, read from the data now, but for those that are in `known`. Throws
 * `precondition-failed` if it changes meanwhile.
 */
export async function* digestsFromData(
  file: StoredFile,
  algorithm: DigestAlgorithm,
  { known, ...options }: HashingOptions & { known?: BlockMap | undefined },
): AsyncGenerator<Buffer> {
  const { size } = file.entry;
  const count = blockCount(size);
  const read = async (index: number, target: Buffer) => {
    const length = blockLength(size, index);
    await file.read(target, index * BLOCK_BYTES, length);
    return length;
  };
  const isNeeded = (index: number) => known?.has(index) !== true;
  let next = 0;
  for await (const { index, digest } of digestsInTurn(algorithm, size, read, { ...options, isNeeded })) {
    for (; next < index; next += 1) yield known?.digest(next) as Buffer;
    yield digest;
    next = index + 1;
  }
  for (; next < count; next += 1) yield known?.digest(next) as Buffer;
  await file.assertUnchanged();
}

/** The file digest of an open file, read from its data now. Throws `precondition-failed` if it changes meanwhile. */
export async function digestOf(
  file: StoredFile,
  algorithm: DigestAlgorithm,
  options: HashingOptions,
): Promise<string> {
  // Not an object for each block: of a large file there are millions.
  const digests = new BlockMap();
  let count = 0;
  for await (const digest of digestsFromData(file, algorithm, options)) digests.set(count++, digest);
  return fileDigest(algorithm, digests.digests(count));
}

function memoryKey({ path, etag }: Pick<Entry, 'path' | 'etag'>, algorithm: DigestAlgorithm): string {
  return `${algorithm} ${etag} ${path}`;
}
