import { throwIfAborted } from '../../clock.ts';
import { SealiftError } from '../../errors.ts';
import { DIGESTS_END, readAnswer } from '../../protocol/responses.ts';
import { BLOCK_BYTES } from '../../transfer/blocks.ts';
import { blockDigest, fileDigest, type DigestAlgorithm } from '../../transfer/digests.ts';
import { Budget } from '../../transport/budget.ts';
import { openFileSource, readFileSource, type BlockSource } from '../block-source.ts';
import type { Client } from '../client.ts';

/** Files of more than one block that are read at once, on both sides: reading is what takes the time. */
const MAX_LARGE_AT_ONCE = 4;

/** Who asks a server, through broken connections. */
type Ask = <T>(question: (client: Client) => Promise<T>) => Promise<T>;

/** File digests of files on this machine and on a server, read from the data now. Large ones wait for one another. */
export class ContentDigests {
  readonly #ask: Ask;
  readonly #signal: () => AbortSignal | undefined;
  readonly #large = new Budget(MAX_LARGE_AT_ONCE);

  /** `signal` is asked for each time. */
  constructor(ask: Ask, signal: () => AbortSignal | undefined) {
    this.#ask = ask;
    this.#signal = signal;
  }

  /** Whether a local file has the same content as a remote one of the same `size`. Throws as `local` does. */
  areSame(local: string, remote: string, size: number): Promise<boolean> {
    return this.#inTurn(size, async () => {
      const there = await this.#ask((client) => remoteDigest(client, remote, this.#signal()));
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
    return this.#inTurn(size, async () => {
      const { digest } = await this.#ask((client) => remoteDigest(client, path, this.#signal()));
      return digest;
    });
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

async function remoteDigest(
  client: Client,
  path: string,
  signal?: AbortSignal,
): Promise<{ digest: string; algorithm: DigestAlgorithm }> {
  const { header } = await client.request('digests', { path }, { signal });
  const { digest } = readAnswer(DIGESTS_END, header);
  if (digest.startsWith(`${client.algorithm}-1m:`)) return { digest, algorithm: client.algorithm };
  throw new SealiftError('protocol-violation', 'The server sent a digest that is none of this connection.');
}
