import { throwIfAborted } from '../../clock.ts';
import { MAX_DIGESTED_FILE_BYTES } from '../../protocol/limits.ts';
import { BLOCK_BYTES } from '../../transfer/blocks.ts';
import { blockDigest, fileDigest, type DigestAlgorithm } from '../../transfer/digests.ts';
import { Budget } from '../../transport/budget.ts';
import { openFileSource, readFileSource, type BlockSource } from '../block-source.ts';
import type { Connector } from '../connector.ts';
import { DigestRequests, remoteDigest, type Ask, type RemoteDigest } from './digest-requests.ts';

/** Files of more than one block that are read at once, on both sides: reading is what takes the time. */
const MAX_LARGE_AT_ONCE = 4;

/** Small files that are compared at once where a server is asked about many in one request: so many that some requests are always under way, over a long way too. */
const SMALL_AT_ONCE = 1_024;

/** How many files are to be compared at once: as many as `transfers` says, or as keep the way and the server busy. */
export function comparedAtOnce({
  connector,
  transfers,
}: {
  connector: Connector;
  transfers?: number | undefined;
}): number {
  const gathered = connector.features.includes('file-digests') ? SMALL_AT_ONCE : undefined;
  return connector.atOnce(transfers ?? gathered);
}

/** File digests of files on this machine and on a server, read from the data now. Large ones wait for one another. */
export class ContentDigests {
  readonly #ask: Ask;
  readonly #signal: () => AbortSignal | undefined;
  readonly #requests: DigestRequests;
  readonly #large = new Budget(MAX_LARGE_AT_ONCE);

  /** `signal` is asked for each time. */
  constructor(ask: Ask, signal: () => AbortSignal | undefined) {
    this.#ask = ask;
    this.#signal = signal;
    this.#requests = new DigestRequests(ask, signal);
  }

  /** Whether a local file has the same content as a remote one of the same `size`. Throws as `local` does. */
  areSame(local: string, remote: string, size: number): Promise<boolean> {
    return this.#inTurn(size, async () => {
      const there = await this.#remote(remote, size);
      return (await localDigest(local, there.algorithm, { size, signal: this.#signal() })) === there.digest;
    });
  }

  /** Throws `source-changed` if it is written to meanwhile. */
  local(path: string, size: number): Promise<string> {
    return this.#inTurn(size, async () => {
      const algorithm = await this.#ask((client) => Promise.resolve(client.algorithm));
      return localDigest(path, algorithm, { size, signal: this.#signal() });
    });
  }

  async remote(path: string, size: number): Promise<string> {
    return this.#inTurn(size, async () => (await this.#remote(path, size)).digest);
  }

  async #remote(path: string, size: number): Promise<RemoteDigest> {
    const known = size <= MAX_DIGESTED_FILE_BYTES ? await this.#requests.digest(path) : undefined;
    return known ?? this.#ask((client) => remoteDigest(client, path, this.#signal()));
  }

  async #inTurn<T>(size: number, task: () => Promise<T>): Promise<T> {
    if (size <= BLOCK_BYTES) return task();
    const release = await this.#large.take(1, this.#signal());
    try {
      return await task();
    } finally {
      release();
    }
  }
}

async function localDigest(
  path: string,
  algorithm: DigestAlgorithm,
  { size, signal }: { size: number; signal: AbortSignal | undefined },
): Promise<string> {
  const small = size <= BLOCK_BYTES ? readFileSource(path) : undefined;
  return digestOf(small ?? (await openFileSource(path)), algorithm, signal);
}

async function digestOf(
  source: BlockSource,
  algorithm: DigestAlgorithm,
  signal: AbortSignal | undefined,
): Promise<string> {
  try {
    const digests: Buffer[] = [];
    for (let index = 0; ; index += 1) {
      throwIfAborted(signal);
      const block = await source.block(index);
      if (block === undefined) break;
      digests.push(blockDigest(algorithm, block));
      source.release(index, block);
    }
    await source.assertUnchanged();
    return fileDigest(algorithm, digests);
  } finally {
    await source[Symbol.asyncDispose]();
  }
}
