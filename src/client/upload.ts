import { anySignal, systemClock, type Clock } from '../clock.ts';
import { isSealiftError, SealiftError } from '../errors.ts';
import { systemRandom } from '../random.ts';
import { readAnswer, UPLOAD_ANSWER, type Receipt } from '../protocol/responses.ts';
import { DigestListReader, type BlockMap } from '../transfer/block-map.ts';
import { BLOCK_BYTES, blockCount, blockLength, MAX_FILE_BYTES } from '../transfer/blocks.ts';
import { formatBlockDigest, type DigestAlgorithm } from '../transfer/digests.ts';
import type { EncodedContent } from '../transport/compressor.ts';
import { abortable, whileBusy } from './abortable.ts';
import type { BlockSource } from './block-source.ts';
import { sendBlock } from './block-sender.ts';
import type { Client } from './client.ts';
import type { Connector } from './connector.ts';
import { putWhole } from './put-whole.ts';
import { newResumeKey } from './resume-keys.ts';
import { assertLength, READS_AT_ONCE, SourceDigests } from './source-digests.ts';
import { workOverStreams } from './streams.ts';
import { retrying } from './transfer-options.ts';
import { mapConcurrently } from './tree/concurrency.ts';
import { putOptionsOf, type UploadOptions, type UploadResult } from './upload-options.ts';
import { UploadPublishing } from './upload-publishing.ts';

/**
 * Sends a source to `path`, through any number of broken connections. What the server holds already is not sent
 * again; every block and the whole are checked by digest on both sides. Throws the last error when the retry
 * policy is used up, or the first one that no retry can mend.
 */
export function upload(
  connector: Connector,
  source: BlockSource,
  path: string,
  options: UploadOptions = {},
): Promise<UploadResult> {
  // Only a size that is known can be sent before it is read to the end, and what may be there already need not be.
  const isWhole = source.size !== null && source.size <= BLOCK_BYTES && options.base !== 'existing';
  const signal = connector.endedBy(options.signal);
  // Of many small files of a tree each has it already.
  const ended = signal === options.signal ? options : { ...options, signal };
  return (isWhole ? putWhole : uploadBlocks)(connector, source, path, ended);
}

async function uploadBlocks(
  connector: Connector,
  source: BlockSource,
  path: string,
  options: UploadOptions,
): Promise<UploadResult> {
  const { resume, clock = systemClock, random = systemRandom, signal } = options;
  const kept = await resume?.keys.find(resume.name);
  const resumeKey = kept ?? (await (resume?.keys.keyFor(resume.name, random) ?? newResumeKey(random)));
  const run = new UploadRun(
    connector,
    source,
    path,
    { ...options, clock },
    { resumeKey, isBegun: kept !== undefined },
  );
  const receipt = await retrying(options, run, async (progressed) =>
    run.attempt(await connector.use(signal), progressed),
  );
  // The file stands. A key that cannot be removed is of no use any more, and of no harm.
  await resume?.keys.done(resume.name).catch(() => undefined);
  const { client, sentBytes, resumedBytes, retries } = run;
  return { receipt, client, sentBytes, resumedBytes, retries };
}

/** Blocks that are compressed while others are on their way. */
const BLOCKS_AHEAD = 3;

/** A block of the source. */
interface ReadBlock {
  index: number;
  /** Its digest. */
  raw: Buffer;
  bytes: Buffer;
  /** Gives its room in memory back. */
  release: () => void;
}

/** The same as it travels. */
interface Block extends ReadBlock {
  encoded: EncodedContent;
}

interface Sending {
  /** The upload, and what the server holds of it. */
  id: string;
  held: BlockMap;
  /** Of its digests; the connection of a stream may have another one. */
  algorithm: DigestAlgorithm;
  client: Client;
  signal: AbortSignal | undefined;
  onReceived?: () => void;
  progressed: () => void;
}

class UploadRun {
  sentBytes = 0;
  resumedBytes = 0;
  retries = 0;
  /** The connection of this attempt, on which it is published. */
  client!: Client;
  readonly #connector: Connector;
  readonly #source: BlockSource;
  readonly #path: string;
  readonly #resumeKey: string;
  /** Whether the server may hold some of it: then both sides take digests at the same time. */
  #mayBeHeld: boolean;
  readonly #options: UploadOptions & { clock: Clock };
  readonly #publishing: UploadPublishing;
  #digests: SourceDigests | undefined;
  readonly #sentBlocks = new Set<number>();
  /** The most blocks that the server was ever known to hold. */
  #mostHeld = 0;
  #doneBytes = 0;
  /** Bytes that the server holds, in this attempt. */
  #inPlaceBytes = 0;
  /** Gives back what the blocks under way take of the room in memory. */
  readonly #room = new Set<() => void>();
  #toldResumedBytes = 0;

  constructor(
    connector: Connector,
    source: BlockSource,
    path: string,
    options: UploadOptions & { clock: Clock },
    { resumeKey, isBegun }: { resumeKey: string; isBegun: boolean },
  ) {
    this.#connector = connector;
    this.#source = source;
    this.#path = path;
    this.#resumeKey = resumeKey;
    this.#mayBeHeld = isBegun || options.base === 'existing';
    this.#options = options;
    this.#publishing = new UploadPublishing(path, {
      ...options,
      ...putOptionsOf(source, options),
    });
  }

  async attempt(client: Client, progressed: () => void): Promise<Receipt> {
    this.client = client;
    const digests = this.#digestsBy(client.algorithm);
    return (
      (await this.#publishing.commitAgain(client)) ??
      this.#publishing.whole(client, () => this.#sendBlocks(client, digests, progressed))
    );
  }

  #digestsBy(algorithm: DigestAlgorithm): SourceDigests {
    if (this.#digests?.algorithm !== algorithm) {
      this.#publishing.forget();
      this.#digests = new SourceDigests(this.#source, algorithm);
    }
    return this.#digests;
  }

  async #sendBlocks(client: Client, digests: SourceDigests, progressed: () => void): Promise<Receipt> {
    const mayBeHeld = this.#mayBeHeld;
    this.#mayBeHeld = true;
    const { id, held } = await whileBusy(
      async (over) => (mayBeHeld ? digests.readUntil(over) : undefined),
      (failed) => this.#begin(client, progressed, failed),
    );
    this.#inPlaceBytes = 0;
    this.resumedBytes = 0;
    const streams = Math.min(this.#options.streams ?? 1, blockCount(this.#source.size ?? MAX_FILE_BYTES));
    try {
      await workOverStreams(
        {
          tasks: (over) => this.#encoded(this.#missing(held, digests, over), client, over),
          carry: (block, on) =>
            this.#send(block, { ...on, id, held, algorithm: digests.algorithm, progressed }),
        },
        { ...this.#options, streams, connector: this.#connector, client, run: this },
      );
    } catch (error) {
      // Who sends a stream cannot go on later: what was sent would only take of a share that is too small already.
      if (this.#source.size === null && isSealiftError(error, 'quota-exceeded', 'too-large', 'no-space'))
        await client.request('abort', { upload: id }).catch(() => undefined);
      throw error;
    } finally {
      for (const release of this.#room) release();
      this.#room.clear();
    }
    await this.#source.assertUnchanged();
    // Every block was acknowledged. Of several connections, the first may be another one by now.
    if (streams > 1) this.client = await this.#connector.use(this.#options.signal);
    return this.#publishing.commit(this.client, { upload: id, size: digests.size, digest: digests.whole() });
  }

  /** The blocks that the server does not hold, in their order. */
  async *#missing(held: BlockMap, digests: SourceDigests, over: AbortSignal): AsyncGenerator<ReadBlock> {
    const unread = this.#unread(held, digests);
    const signal = anySignal(over, this.#options.signal);
    const read = mapConcurrently(unread, READS_AT_ONCE, (index) => this.#read(index, signal));
    for await (const { index, bytes, release } of read) {
      if (bytes === undefined) return assertLength(this.#source, index, bytes);
      const raw = digests.take(index, bytes);
      if (held.digest(index)?.equals(raw) !== true) {
        yield { index, raw, bytes, release };
        continue;
      }
      this.#found(index, bytes.length);
      this.#source.release(index, bytes);
      this.#room.delete(release);
      release();
    }
  }

  /** What has to be read to know whether it is held: all but what was read in an earlier attempt, and is. */
  *#unread(held: BlockMap, digests: SourceDigests): Generator<number> {
    for (let index = 0; ; index += 1) {
      if (digests.isKnownAs(held, index)) {
        // Its answer may have been lost, so that it is kept still.
        this.#source.release(index);
        this.#found(index, blockLength(digests.size, index));
      } else yield index;
    }
  }

  /** The server holds it. */
  #found(index: number, length: number): void {
    this.#inPlaceBytes += length;
    if (!this.#sentBlocks.has(index)) this.resumedBytes += length;
    this.#tellDone();
  }

  async #read(
    index: number,
    signal: AbortSignal,
  ): Promise<{ index: number; bytes: Buffer | undefined; release: () => void }> {
    const release = await this.#connector.blocks.take(1, signal);
    this.#room.add(release);
    // A stream may keep us waiting for ever.
    return { index, bytes: await abortable(this.#source.block(index), signal), release };
  }

  /** The same as they will travel. Some are compressed ahead, unless that meant to wait until a stream brings them. */
  async *#encoded(
    blocks: AsyncIterable<ReadBlock>,
    client: Client,
    over: AbortSignal,
  ): AsyncGenerator<Block> {
    const { throttle } = this.#options;
    const signal = anySignal(over, this.#options.signal);
    const compressor = client.compressor();
    const ahead = compressor.isActive && this.#source.isRepeatable ? BLOCKS_AHEAD : 1;
    const encoded = mapConcurrently(blocks, ahead, async (block) => ({
      ...block,
      encoded: await compressor.compress(block.bytes),
    }));
    for await (const block of encoded) {
      await abortable(throttle?.(block.encoded.content.length, signal), signal);
      yield block;
    }
  }

  async #send({ index, raw, bytes, encoded, release }: Block, on: Sending): Promise<void> {
    const { id, held, algorithm, client, progressed, ...rest } = on;
    this.#sentBlocks.add(index);
    this.sentBytes += bytes.length;
    const digest = formatBlockDigest(algorithm, raw);
    const content = client.takes(encoded) ? encoded : { content: bytes };
    await sendBlock(client, { upload: id, index, digest }, { ...content, ...rest });
    held.set(index, raw);
    this.#source.release(index, bytes);
    this.#room.delete(release);
    release();
    this.#noteHeld(held.heldCount, progressed);
    this.#inPlaceBytes += bytes.length;
    this.#tellDone();
  }

  async #begin(
    client: Client,
    progressed: () => void,
    failed: AbortSignal,
  ): Promise<{ id: string; held: BlockMap }> {
    const { base, signal } = this.#options;
    const reader = new DigestListReader();
    const fields = {
      ...putOptionsOf(this.#source, this.#options),
      path: this.#path,
      size: this.#source.size,
      resumeKey: this.#resumeKey,
      base,
    };
    const { header } = await client.request('put', fields, {
      signal: anySignal(failed, signal),
      onPart: ({ content }) => {
        if (!reader.push(content, blockCount(this.#source.size ?? MAX_FILE_BYTES)))
          throw new SealiftError('protocol-violation', 'The server sent a digest list that is none.');
      },
    });
    this.#noteHeld(reader.map.heldCount, progressed);
    return { id: readAnswer(UPLOAD_ANSWER, header).upload, held: reader.map };
  }

  #noteHeld(count: number, progressed: () => void): void {
    if (count <= this.#mostHeld) return;
    this.#mostHeld = count;
    progressed();
  }

  // A new attempt begins to count anew; what was done once stays done for whoever watches.
  #tellDone(): void {
    this.#doneBytes = Math.max(this.#doneBytes, this.#inPlaceBytes);
    this.#toldResumedBytes = Math.max(this.#toldResumedBytes, this.resumedBytes);
    this.#options.onProgress?.({
      totalBytes: this.#source.size,
      doneBytes: this.#doneBytes,
      resumedBytes: this.#toldResumedBytes,
      movedBytes: this.sentBytes,
    });
  }
}
