import { throwIfAborted } from '../clock.ts';
import { isSealiftError, SealiftError } from '../errors.ts';
import type { Message } from '../protocol/decoder.ts';
import { BLOCK_PART, DIGESTS_END, FILE_ANSWER, GET_END, readAnswer } from '../protocol/responses.ts';
import { BlockMap, DigestListReader } from '../transfer/block-map.ts';
import { BLOCK_BYTES, blockCount, blockLength, blockRanges, MAX_FILE_BYTES } from '../transfer/blocks.ts';
import { fileDigest, type DigestAlgorithm } from '../transfer/digests.ts';
import { abortable } from './abortable.ts';
import type { BlockSink } from './block-sink.ts';
import { assertBlockDigest, type Client } from './client.ts';
import type { Connector } from './connector.ts';
import { retrying, type TransferOptions } from './transfer-options.ts';

export type DownloadOptions = TransferOptions;

/** What a download did. */
export interface DownloadResult {
  path: string;
  size: number;
  digest: string;
  etag: string;
  mtimeMs: number;
  mode: number;
  /** File bytes taken from the socket, over all attempts. */
  receivedBytes: number;
  /** File bytes that were found in place. */
  resumedBytes: number;
  retries: number;
}

/**
 * Fetches `path` into a sink, through any number of broken connections. Every block is checked by its digest, and
 * all belong to one version of the file, told by its etag: if it changes meanwhile, what is still the same is
 * kept and the rest fetched anew. The sink's `complete` is not called here.
 */
export async function download(
  connector: Connector,
  path: string,
  sink: BlockSink,
  options: DownloadOptions = {},
): Promise<DownloadResult> {
  const run = new DownloadRun(path, sink, options);
  return retrying(options, run, async (progressed) =>
    run.attempt(await connector.use(options.signal), progressed),
  );
}

/** The version of the remote file that is being fetched. */
interface Version {
  size: number;
  mtimeMs: number;
  mode: number;
  etag: string;
}

class DownloadRun {
  retries = 0;
  readonly #path: string;
  readonly #sink: BlockSink;
  readonly #options: DownloadOptions;
  #algorithm: DigestAlgorithm | undefined;
  #version: Version | undefined;
  /** The blocks of that version that the sink has, checked. */
  #have = new BlockMap();
  #expectedDigest: string | undefined;
  #receivedBytes = 0;
  #resumedBytes = 0;
  #doneBytes = 0;
  #toldResumedBytes = 0;
  #mostBlocks = 0;

  constructor(path: string, sink: BlockSink, options: DownloadOptions) {
    this.#path = path;
    this.#sink = sink;
    this.#options = options;
  }

  async attempt(client: Client, progressed: () => void): Promise<DownloadResult> {
    if (this.#algorithm !== client.algorithm) this.#forgetVersion();
    this.#algorithm = client.algorithm;
    try {
      if (this.#version === undefined && (await this.#sink.heldBytes()) >= BLOCK_BYTES)
        await this.#compare(client);
      await this.#fetchMissing(client, progressed);
    } catch (error) {
      if (!isSealiftError(error, 'precondition-failed') || !this.#sink.isRepeatable) throw error;
      // Another version stands there now; what it has in common with the one before need not be fetched again.
      this.#forgetVersion();
      throw new SealiftError(
        'precondition-failed',
        `${JSON.stringify(this.#path)} changed on the server while it was being fetched.`,
        { cause: error, retryable: true },
      );
    }
    return this.#result(client);
  }

  // What an earlier run left is worth what its digests say, and nothing else: its tail may be zeros.
  async #compare(client: Client): Promise<void> {
    const { signal } = this.#options;
    const stat = await client.stat(this.#path, signal === undefined ? {} : { signal });
    const reader = new DigestListReader();
    const { header } = await client.request(
      'digests',
      { path: this.#path },
      {
        signal,
        onPart: ({ content }) => {
          if (!reader.push(content, blockCount(Math.min(stat.size, MAX_FILE_BYTES))))
            throw new SealiftError(
              'protocol-violation',
              'The server sent a digest list that does not fit the file.',
            );
        },
      },
    );
    const { size, etag, digest } = readAnswer(DIGESTS_END, header);
    if (stat.etag !== etag)
      throw new SealiftError('precondition-failed', 'The file changed while its digests were read.');
    const local = await this.#sink.hash(client.algorithm, size, signal);
    this.#version = { size, etag, mtimeMs: stat.mtimeMs, mode: stat.mode };
    this.#expectedDigest = digest;
    for (let index = 0; index < blockCount(size); index += 1) {
      const wanted = reader.map.digest(index);
      if (wanted === undefined || local.digest(index)?.equals(wanted) !== true) continue;
      this.#have.set(index, wanted);
      this.#resumedBytes += blockLength(size, index);
    }
    this.#tellDone();
  }

  async #fetchMissing(client: Client, progressed: () => void): Promise<void> {
    if (this.#version === undefined) return this.#fetch(client, {}, progressed);
    const { size, etag } = this.#version;
    for (const { first, count } of blockRanges(blockCount(size), (index) => !this.#have.has(index))) {
      await this.#fetch(client, { fromBlock: first, blockCount: count, ifMatch: etag }, progressed);
    }
  }

  async #fetch(
    client: Client,
    range: { fromBlock?: number; blockCount?: number; ifMatch?: string },
    progressed: () => void,
  ): Promise<void> {
    const { signal } = this.#options;
    const { fromBlock = 0, blockCount: count = Infinity } = range;
    let next = fromBlock;
    const writing = new PendingWrites();
    const store = (index: number, content: Buffer, digest: string) =>
      this.#store(index, content, digest, writing, progressed);
    const onPart = async (part: Message) => {
      if (part.header['status'] === 'more') return this.#adopt(readAnswer(FILE_ANSWER, part.header));
      const { index, digest } = readAnswer(BLOCK_PART, part.header);
      // One that repeats itself could go on for ever.
      if (index < next || index >= fromBlock + count)
        throw new SealiftError('protocol-violation', `The server sent block ${index} out of its turn.`);
      next = index + 1;
      await store(index, part.content, digest);
    };
    try {
      const { header, content } = await client.request(
        'get',
        { path: this.#path, ...range },
        { onPart, signal },
      );
      if (header['size'] === undefined) {
        this.#expectedDigest = readAnswer(GET_END, header).digest ?? this.#expectedDigest;
      } else {
        const { digest, ...version } = readAnswer(FILE_ANSWER, header);
        this.#adopt(version);
        if (version.size !== content.length || digest === undefined)
          throw new SealiftError('protocol-violation', 'The server answered with a file that is not whole.');
        if (version.size > 0) await store(0, content, digest);
      }
    } finally {
      // A stream that nobody reads may never take what waits.
      await abortable(writing.settled(), this.#sink.isRepeatable ? undefined : signal);
    }
    writing.throwFailure();
  }

  async #store(
    index: number,
    content: Buffer,
    digest: string,
    writing: PendingWrites,
    progressed: () => void,
  ): Promise<void> {
    const { size } = this.#version ?? { size: -1 };
    if (content.length === 0 || content.length !== blockLength(size, index)) {
      throw new SealiftError(
        'protocol-violation',
        `The server sent block ${index} with ${content.length} bytes, which does not fit the file.`,
      );
    }
    const raw = assertBlockDigest(content, digest, { index, algorithm: this.#algorithm });
    this.#receivedBytes += content.length;
    await abortable(this.#options.throttle?.(content.length), this.#options.signal);
    await writing.add(async () => {
      await this.#sink.write(index, content);
      this.#have.set(index, raw);
      if (this.#have.heldCount > this.#mostBlocks) {
        this.#mostBlocks = this.#have.heldCount;
        progressed();
      }
      this.#tellDone();
    });
  }

  #adopt(version: Version): void {
    if (this.#version !== undefined && this.#version.etag !== version.etag) {
      throw new SealiftError('precondition-failed', 'The file changed between two answers.');
    }
    this.#version = version;
    this.#tellDone();
  }

  #forgetVersion(): void {
    this.#version = undefined;
    this.#have = new BlockMap();
    this.#expectedDigest = undefined;
    this.#resumedBytes = 0;
  }

  #result(client: Client): DownloadResult {
    throwIfAborted(this.#options.signal);
    const { size, mtimeMs, mode, etag } = this.#version as Version;
    if (!this.#have.isComplete(size))
      throw new SealiftError('incomplete', 'The server did not send every block of the file.');
    const digest = fileDigest(client.algorithm, this.#have.digests(blockCount(size)));
    if (this.#expectedDigest !== undefined && this.#expectedDigest !== digest) {
      this.#forgetVersion();
      throw new SealiftError(
        'digest-mismatch',
        'The blocks that came do not make up the file that the server told of.',
      );
    }
    return {
      path: this.#path,
      size,
      digest,
      etag,
      mtimeMs,
      mode,
      receivedBytes: this.#receivedBytes,
      resumedBytes: this.#resumedBytes,
      retries: this.retries,
    };
  }

  #tellDone(): void {
    const totalBytes = this.#version?.size ?? null;
    this.#doneBytes = Math.max(this.#doneBytes, this.#have.heldBytes(totalBytes));
    this.#toldResumedBytes = Math.max(this.#toldResumedBytes, this.#resumedBytes);
    this.#options.onProgress?.({
      totalBytes,
      // Another version may be smaller than what was done of the one before.
      doneBytes: Math.min(this.#doneBytes, totalBytes ?? Infinity),
      resumedBytes: Math.min(this.#toldResumedBytes, totalBytes ?? Infinity),
      movedBytes: this.#receivedBytes,
    });
  }
}

/** Blocks on their way to the disk. So many may wait that the disk and the network work at once, and no more. */
const MAX_PENDING_WRITES = 4;

class PendingWrites {
  readonly #pending = new Set<Promise<void>>();
  #failure: { error: unknown } | undefined;

  /** Begins `write`; resolves when there is place for the next. Throws the first failure of any before. */
  async add(write: () => Promise<void>): Promise<void> {
    this.throwFailure();
    const pending = write()
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#pending.delete(pending));
    this.#pending.add(pending);
    if (this.#pending.size >= MAX_PENDING_WRITES) await Promise.race(this.#pending);
  }

  async settled(): Promise<void> {
    await Promise.all(this.#pending);
  }

  throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }
}
