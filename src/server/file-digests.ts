import { throwIfAborted } from '../clock.ts';
import type { Entry, Store, StoredFile } from '../storage/store.ts';
import { BlockMap } from '../transfer/block-map.ts';
import { BLOCK_BYTES, blockCount, blockLength } from '../transfer/blocks.ts';
import { blockDigests } from '../transfer/block-digests.ts';
import { fileDigest, type DigestAlgorithm } from '../transfer/digests.ts';

/** File digests remembered; each costs about 300 bytes. */
const MAX_REMEMBERED = 10_000;

interface KnownDigest {
  digest: string;
  /** The principal that put the file, if that is known. */
  writer?: string | undefined;
}

/** The digests of files as they stand: read from the data, or remembered for the same etag. */
export class FileDigests {
  readonly #store: Store;
  readonly #known = new Map<string, KnownDigest>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** The digest of the file at `path` and the entry that it belongs to. Remembered ones are taken. */
  async of(
    path: string,
    algorithm: DigestAlgorithm,
    signal?: AbortSignal,
  ): Promise<{ entry: Entry; digest: string }> {
    const file = await this.#store.open(path);
    try {
      const { entry } = file;
      const known = this.#known.get(memoryKey(entry, algorithm));
      if (known !== undefined) return { entry, digest: known.digest };
      const digest = await digestOf(file, algorithm, signal);
      this.remember(entry, digest, algorithm);
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
    const known = this.#known.get(memoryKey(entry, algorithm));
    return known?.writer === writer ? known.digest : undefined;
  }

  /** Takes note of a digest that was computed elsewhere, and of who put the file. */
  remember(entry: Entry, digest: string, algorithm: DigestAlgorithm, writer?: string): void {
    this.#known.set(memoryKey(entry, algorithm), { digest, writer });
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MAX_REMEMBERED) break;
      this.#known.delete(oldest);
    }
  }
}

/** The raw digests of a file's blocks, read from the data now. Throws `precondition-failed` if it changes meanwhile. */
export async function* digestsFromData(
  file: StoredFile,
  algorithm: DigestAlgorithm,
  signal?: AbortSignal,
): AsyncGenerator<Buffer> {
  const { size } = file.entry;
  const digests = blockDigests(algorithm, blockCount(size), async (index, target) => {
    const length = blockLength(size, index);
    await file.read(target, index * BLOCK_BYTES, length);
    return length;
  });
  for await (const { digest } of digests) {
    throwIfAborted(signal);
    yield digest;
  }
  await file.assertUnchanged();
}

async function digestOf(
  file: StoredFile,
  algorithm: DigestAlgorithm,
  signal: AbortSignal | undefined,
): Promise<string> {
  // Not an object for each block: of a large file there are millions.
  const digests = new BlockMap();
  let count = 0;
  for await (const digest of digestsFromData(file, algorithm, signal)) digests.set(count++, digest);
  return fileDigest(algorithm, digests.digests(count));
}

function memoryKey({ path, etag }: Pick<Entry, 'path' | 'etag'>, algorithm: DigestAlgorithm): string {
  return `${algorithm} ${etag} ${path}`;
}
