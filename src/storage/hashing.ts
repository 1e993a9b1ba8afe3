import { abortedError, throwIfAborted } from '../clock.ts';
import { BLOCK_BYTES, blockCount } from '../transfer/blocks.ts';
import { blockDigests, type ReadBlock } from '../transfer/block-digests.ts';
import type { DigestAlgorithm } from '../transfer/digests.ts';

/** Files hashed at once in this process: one less than Node has threads to read them. Each takes two blocks of memory. */
const FILES_AT_ONCE = 3;
/** Blocks of a file that are hashed before those who wait have their turn. */
const BLOCKS_PER_TURN = 16;

export interface HashingOptions {
  /** For whom: those who wait have their turns by owner, however much each of them wants. */
  owner?: string | undefined;
  signal?: AbortSignal | undefined;
  /** Told of each block as soon as it is hashed, which is before it comes. */
  onBlock?: (index: number) => void;
}

/**
 * As `blockDigests`, of a file of `fileBytes` bytes, a few blocks at a time, and of few files: who wants much keeps nobody waiting for long, and it takes
 * little memory for all together. Blocks that are not needed take no turn.
 */
export async function* digestsInTurn(
  algorithm: DigestAlgorithm,
  fileBytes: number,
  read: ReadBlock,
  {
    owner = '',
    signal,
    onBlock,
    isNeeded = () => true,
  }: HashingOptions & { isNeeded?: (index: number) => boolean },
): AsyncGenerator<{ index: number; digest: Buffer }> {
  const count = blockCount(fileBytes);
  const longest = Math.min(fileBytes, BLOCK_BYTES);
  for (let next = 0; next < count;) {
    const indices: number[] = [];
    for (; next < count && indices.length < BLOCKS_PER_TURN; next += 1)
      if (isNeeded(next)) indices.push(next);
    if (indices.length === 0) return;
    const indexOf = (position: number) => indices[position] as number;
    // All of them before they are told: whoever is told may wait for a client.
    const digests = await turns.run(owner, signal, async () => {
      const found: { index: number; digest: Buffer }[] = [];
      const readNeeded: ReadBlock = async (position, target) => {
        throwIfAborted(signal);
        return read(indexOf(position), target);
      };
      const computed = blockDigests(algorithm, indices.length, readNeeded, longest);
      for await (const { index, digest } of computed) {
        found.push({ index: indexOf(index), digest });
        onBlock?.(indexOf(index));
      }
      return found;
    });
    yield* digests;
  }
}

/** Lets so many work at once; of those who wait, each owner has a turn, and then the next. */
class Turns {
  #free: number;
  /** The owner whose turn is next stands first. */
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  /** Runs `task` when its turn has come. `signal` ends the wait, which rejects with `aborted` then. */
  async run<T>(owner: string, signal: AbortSignal | undefined, task: () => Promise<T>): Promise<T> {
    throwIfAborted(signal);
    if (this.#free > 0) this.#free -= 1;
    else await this.#wait(owner, signal);
    try {
      return await task();
    } finally {
      this.#next();
    }
  }

  async #wait(owner: string, signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const own = this.#waiting.get(owner) ?? new Set();
    this.#waiting.set(owner, own.add(resolve));
    const onAbort = () => {
      // Otherwise it has its turn by now, and gives it back.
      if (own.delete(resolve)) reject(abortedError(signal));
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      await promise;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #next(): void {
    for (const [owner, own] of this.#waiting) {
      this.#waiting.delete(owner);
      const [admit] = own;
      if (admit === undefined) continue;
      own.delete(admit);
      if (own.size > 0) this.#waiting.set(owner, own);
      return admit();
    }
    this.#free += 1;
  }
}

const turns = new Turns(FILES_AT_ONCE);
