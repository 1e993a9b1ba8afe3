import { nextTurn, throwIfAborted } from '../../clock.ts';
import { MAX_DIGESTED_FILE_BYTES, MAX_REQUESTS } from '../../protocol/limits.ts';
import { BLOCK_BYTES } from '../../transfer/blocks.ts';
import { blockDigest, fileDigest, type DigestAlgorithm } from '../../transfer/digests.ts';
import { Budget } from '../../transport/budget.ts';
import { openFileSource, readFileSource, type BlockSource } from '../block-source.ts';
import type { Connector } from '../connector.ts';
import { DigestRequests, remoteDigest, type Ask, type RemoteDigest } from './digest-requests.ts';

/** Files that are asked for by themselves at once, at most: half of the requests of a connection are for what else there is to do. */
const MAX_SINGLE_AT_ONCE = MAX_REQUESTS / 2;
/** Files of more than one block that are read at once, on both sides: reading is what takes the time. */
const MAX_LARGE_AT_ONCE = 4;

/** Files that are compared at once where a server is asked about many in one request: so many that a way of 50 ms is never empty. */
const ASKED_AT_ONCE = 2_048;
/** Small files that are read in one turn of the event loop: what is to be asked meanwhile leaves before the next are. */
const FILES_PER_TURN = 32;

/** How many files are to be compared at once: as many as `transfers` says, or as keep the way and the server busy. */
export function comparedAtOnce({
  connector,
  transfers,
}: {
  connector: Connector;
  transfers?: number | undefined;
}): number {
  const isGathered = transfers === undefined && connector.features.includes('file-digests');
  return isGathered ? ASKED_AT_ONCE : connector.atOnce(transfers);
}

/** File digests of files on this machine and on a server, read from the data now. Large ones wait for one another. */
export class ContentDigests {
  readonly #ask: Ask;
  readonly #signal: () => AbortSignal | undefined;
  readonly #requests: DigestRequests;
  readonly #turns = new Turns(FILES_PER_TURN);
  readonly #single = new Budget(MAX_SINGLE_AT_ONCE);
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
      return (await this.#local(local, there.algorithm, size)) === there.digest;
    });
  }

  /** Throws `source-changed` if it is written to meanwhile. */
  local(path: string, size: number): Promise<string> {
    return this.#inTurn(size, async () => {
      const algorithm = await this.#ask((client) => Promise.resolve(client.algorithm));
      return this.#local(path, algorithm, size);
    });
  }

  async remote(path: string, size: number): Promise<string> {
    return this.#inTurn(size, async () => (await this.#remote(path, size)).digest);
  }

  async #local(path: string, algorithm: DigestAlgorithm, size: number): Promise<string> {
    if (size > BLOCK_BYTES) return digestOf(await openFileSource(path), algorithm, this.#signal());
    if (size <= MAX_DIGESTED_FILE_BYTES) await this.#turns.next();
    throwIfAborted(this.#signal());
    // It may have grown.
    return digestOf(readFileSource(path) ?? (await openFileSource(path)), algorithm, this.#signal());
  }

  async #remote(path: string, size: number): Promise<RemoteDigest> {
    const alone = () => this.#ask((client) => remoteDigest(client, path, this.#signal()));
    if (size > MAX_DIGESTED_FILE_BYTES) return alone();
    return (await this.#requests.digest(path)) ?? this.#within(this.#single, alone);
  }

  async #inTurn<T>(size: number, task: () => Promise<T>): Promise<T> {
    if (size <= MAX_DIGESTED_FILE_BYTES) return task();
    return this.#within(size <= BLOCK_BYTES ? this.#single : this.#large, task);
  }

  async #within<T>(budget: Budget, task: () => Promise<T>): Promise<T> {
    const release = await budget.take(1, this.#signal());
    try {
      return await task();
    } finally {
      release();
    }
  }
}

/** Lets so many have each turn of the event loop, in the order in which they come. */
class Turns {
  readonly #count: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#count = count;
  }

  /** Resolves in a later turn. */
  next(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.#waiting.push(resolve) === 1) void this.#run();
    return promise;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      await nextTurn();
      for (const begin of this.#waiting.splice(0, this.#count)) begin();
    }
  }
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
