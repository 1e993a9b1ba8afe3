import { throwIfAborted } from '../clock.ts';
import { isSealiftError, SealiftError } from '../errors.ts';
import type { Message } from '../protocol/decoder.ts';
import { BLOCK_PART, FILE_ANSWER, GET_END, readAnswer } from '../protocol/responses.ts';
import { BlockMap } from '../transfer/block-map.ts';
import { BLOCK_BYTES, blockCount, blockLength, blockRanges, type BlockRange } from '../transfer/blocks.ts';
import { fileDigest, type DigestAlgorithm } from '../transfer/digests.ts';
import { abortable } from './abortable.ts';
import type { BlockSink } from './block-sink.ts';
import { blocksInPlace, type RemoteVersion } from './blocks-in-place.ts';
import { assertBlockDigest } from './block-digest.ts';
import type { Client } from './client.ts';
import type { Connector } from './connector.ts';
import { PendingWrites } from './pending-writes.ts';
import { workOverStreams } from './streams.ts';
import { retrying, type TransferOptions } from './transfer-options.ts';

export interface DownloadOptions extends TransferOptions {
  /** Which former version of the file, as a listing told it. Default: the file as it stands. */
  version?: string | undefined;
}

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
  const signal = connector.endedBy(options.signal);
  const run = new DownloadRun(connector, path, sink, { ...options, signal });
  return retrying({ ...options, signal }, run, async (progressed) =>
    run.attempt(await connector.use(signal), progressed),
  );
}

/** Blocks that one of several connections is asked for at once: a connection that falls behind keeps no more from the others. */
const MAX_RANGE_BLOCKS = 2;

/** What the parts of one attempt have in common. */
interface Fetching {
  writing: PendingWrites;
  signal: AbortSignal | undefined;
  progressed: () => void;
}

class DownloadRun {
  retries = 0;
  readonly #connector: Connector;
  readonly #path: string;
  readonly #sink: BlockSink;
  readonly #options: DownloadOptions;
  #algorithm: DigestAlgorithm | undefined;
  /** What is being fetched. */
  #version: RemoteVersion | undefined;
  /** The blocks of that version that the sink has, checked. */
  #have = new BlockMap();
  #expectedDigest: string | undefined;
  #receivedBytes = 0;
  #resumedBytes = 0;
  #doneBytes = 0;
  #toldResumedBytes = 0;
  #mostBlocks = 0;

  constructor(connector: Connector, path: string, sink: BlockSink, options: DownloadOptions) {
    this.#connector = connector;
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

  /** What every request is about. */
  get #file(): { path: string; version: string | undefined } {
    return { path: this.#path, version: this.#options.version };
  }

  async #compare(client: Client): Promise<void> {
    const found = await blocksInPlace(client, this.#file, this.#sink, this.#options.signal);
    this.#version = found.version;
    this.#expectedDigest = found.digest;
    this.#have = found.blocks;
    this.#resumedBytes = found.blocks.heldBytes(found.version.size);
    this.#tellDone();
  }

  async #fetchMissing(client: Client, progressed: () => void): Promise<void> {
    const fetching = { writing: new PendingWrites(), signal: this.#options.signal, progressed };
    // What cannot be taken back has to come in its order.
    const { streams: wanted = 1 } = this.#sink.isRepeatable ? this.#options : {};
    if (this.#version === undefined) {
      if (wanted === 1) return this.#fetch(client, {}, fetching);
      // Of a file that nothing is known of, the first block tells how much there is to be divided.
      await this.#fetch(client, { blockCount: 1 }, fetching);
    }
    const { size, etag } = this.#version as unknown as RemoteVersion;
    const count = blockCount(size);
    const missing = count - this.#have.heldCount;
    const streams = Math.min(wanted, missing);
    const most = streams > 1 ? Math.min(MAX_RANGE_BLOCKS, Math.ceil(missing / (4 * streams))) : Infinity;
    const ranges = blockRanges(count, (index) => !this.#have.has(index));
    await workOverStreams(
      {
        tasks: () => pieces(ranges, most),
        carry: async (range, { client: stream, signal, onPartDone }) => {
          const left = this.#missingOf(range);
          if (left.count === 0) return;
          const fields = { fromBlock: left.first, blockCount: left.count, ifMatch: etag };
          const both = () => {
            progressed();
            onPartDone?.();
          };
          await this.#fetch(stream, fields, { ...fetching, signal, progressed: both });
        },
      },
      { ...this.#options, streams, connector: this.#connector, client, run: this },
    );
  }

  // A connection that broke has brought the beginning of its range.
  #missingOf({ first, count }: BlockRange): BlockRange {
    let held = 0;
    while (held < count && this.#have.has(first + held)) held += 1;
    return { first: first + held, count: count - held };
  }

  async #fetch(
    client: Client,
    range: { fromBlock?: number; blockCount?: number; ifMatch?: string },
    { writing, signal, progressed }: Fetching,
  ): Promise<void> {
    const { fromBlock = 0, blockCount: count = Infinity } = range;
    let next = fromBlock;
    const store = async (index: number, answer: Message, digest: string) => {
      await abortable(this.#options.throttle?.(answer.content.length), signal);
      await this.#store(index, await client.fileBytes(answer), digest, { writing, progressed });
    };
    const onPart = async (part: Message) => {
      if (part.header['status'] === 'more') {
        const version = readAnswer(FILE_ANSWER, part.header);
        if (version.size <= BLOCK_BYTES)
          throw new SealiftError('protocol-violation', 'The server sent the parts of a file that has none.');
        return this.#adopt(version);
      }
      const { index, digest } = readAnswer(BLOCK_PART, part.header);
      // One that repeats itself could go on for ever.
      if (index < next || index >= fromBlock + count)
        throw new SealiftError('protocol-violation', `The server sent block ${index} out of its turn.`);
      next = index + 1;
      await store(index, part, digest);
    };
    try {
      const answer = await client.request('get', { ...this.#file, ...range }, { onPart, signal });
      const { header } = answer;
      if (header['size'] === undefined) {
        this.#expectedDigest = readAnswer(GET_END, header).digest ?? this.#expectedDigest;
      } else {
        const { digest, ...version } = readAnswer(FILE_ANSWER, header);
        if (digest === undefined || version.size > 0 !== answer.content.length > 0)
          throw new SealiftError('protocol-violation', 'The server answered with a file that is not whole.');
        // An empty file is complete as soon as it is known.
        if (version.size === 0)
          assertBlockDigest(answer.content, digest, { index: 0, algorithm: this.#algorithm });
        this.#adopt(version);
        if (version.size > 0) await store(0, answer, digest);
        // Whether a stream takes anything shows in a write only.
        else if (!this.#sink.isRepeatable) await this.#sink.write(0, answer.content);
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
    { writing, progressed }: Omit<Fetching, 'signal'>,
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

  #adopt(version: RemoteVersion): void {
    const { etag, size } = this.#version ?? version;
    if (etag !== version.etag) {
      throw new SealiftError('precondition-failed', 'The file changed between two answers.');
    }
    // Over several connections no answer has the digest of the whole, by which a wrong size would show.
    if (size !== version.size)
      throw new SealiftError('protocol-violation', 'The server told two sizes of one version of the file.');
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
    const { size, mtimeMs, mode, etag } = this.#version as RemoteVersion;
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

/** The ranges in pieces of at most `most` blocks. */
async function* pieces(ranges: readonly BlockRange[], most: number): AsyncGenerator<BlockRange> {
  for (const { first, count } of ranges) {
    for (let done = 0; done < count; done += most)
      yield { first: first + done, count: Math.min(most, count - done) };
  }
}
