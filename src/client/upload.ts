import { systemClock, type Clock } from '../clock.ts';
import { isSealiftError, SealiftError } from '../errors.ts';
import { systemRandom } from '../random.ts';
import type { RequestFields } from '../protocol/requests.ts';
import { readAnswer, UPLOAD_ANSWER, type Receipt } from '../protocol/responses.ts';
import { BlockMap, DigestListReader } from '../transfer/block-map.ts';
import { BLOCK_BYTES, blockCount, blockLength, MAX_FILE_BYTES } from '../transfer/blocks.ts';
import { blockDigest, fileDigest, type DigestAlgorithm } from '../transfer/digests.ts';
import { abortable } from './abortable.ts';
import type { BlockSource } from './block-source.ts';
import { BlockSender } from './block-sender.ts';
import type { Client, PutOptions } from './client.ts';
import type { Connector } from './connector.ts';
import { newResumeKey, type ResumeKeys } from './resume-keys.ts';
import { retrying, type TransferOptions } from './transfer-options.ts';

export interface UploadOptions extends TransferOptions, Omit<PutOptions, 'signal'> {
  /** Where the server is to begin: see the protocol's `put`. Default `partial`. */
  base?: RequestFields<'put'>['base'];
  /** Where resume keys are kept between runs, and under what name; none: only this call resumes. */
  resume?: { keys: ResumeKeys; name: string } | undefined;
  /** Called when all is sent and before the name is taken: for whatever has to make room. */
  beforePublishing?: ((client: Client) => Promise<void>) | undefined;
}

/** What an upload did. */
export interface UploadResult {
  receipt: Receipt;
  /** File bytes given to the socket, over all attempts. */
  sentBytes: number;
  /** File bytes that the server held already. */
  resumedBytes: number;
  retries: number;
  /** The connection that the receipt came on: one for `memory` is void if that ends before it was synced. */
  client: Client;
}

/**
 * Sends a source to `path`, through any number of broken connections. What the server holds already is not sent
 * again; every block and the whole are checked by digest on both sides. Throws the last error when the retry
 * policy is used up, or the first one that no retry can mend.
 */
export async function upload(
  connector: Connector,
  source: BlockSource,
  path: string,
  options: UploadOptions = {},
): Promise<UploadResult> {
  const { resume, clock = systemClock, random = systemRandom, signal } = options;
  const resumeKey = isInline(source)
    ? ''
    : await (resume?.keys.keyFor(resume.name, random) ?? newResumeKey(random));
  const run = new UploadRun(source, path, resumeKey, { ...options, clock });
  const { receipt, client } = await retrying(options, run, async (progressed) => {
    const present = await connector.use(signal);
    return { receipt: await run.attempt(present, progressed), client: present };
  });
  // The file stands. A key that cannot be removed is of no use any more, and of no harm.
  if (!isInline(source)) await resume?.keys.done(resume.name).catch(() => undefined);
  return { receipt, client, sentBytes: run.sentBytes, resumedBytes: run.resumedBytes, retries: run.retries };
}

class UploadRun {
  sentBytes = 0;
  resumedBytes = 0;
  retries = 0;
  readonly #source: BlockSource;
  readonly #path: string;
  readonly #resumeKey: string;
  readonly #options: UploadOptions & { clock: Clock };
  /** The digests of the source's blocks as far as they were read: read once, compared in every attempt. */
  #digests = new BlockMap();
  #algorithm: DigestAlgorithm | undefined;
  /** Bytes of the source that were read so far; in the end its size. */
  #bytesRead = 0;
  readonly #sentBlocks = new Set<number>();
  /** The most blocks that the server was ever known to hold. */
  #mostHeld = 0;
  #doneBytes = 0;
  #toldResumedBytes = 0;
  /** What was sent and not answered: it may have been done. */
  #unanswered: { upload: string; size: number; digest: string } | 'inline' | undefined;

  constructor(
    source: BlockSource,
    path: string,
    resumeKey: string,
    options: UploadOptions & { clock: Clock },
  ) {
    this.#source = source;
    this.#path = path;
    this.#resumeKey = resumeKey;
    this.#options = options;
  }

  async attempt(client: Client, progressed: () => void): Promise<Receipt> {
    if (this.#algorithm !== client.algorithm) {
      this.#digests = new BlockMap();
      this.#unanswered = undefined;
    }
    this.#algorithm = client.algorithm;
    if (isInline(this.#source)) return this.#putWhole(client);
    const settled = await this.#commitAgain(client);
    if (settled !== undefined) return settled;
    const unanswered = this.#unanswered;
    if (unanswered === undefined || unanswered === 'inline') return this.#sendBlocks(client, progressed);
    // The server judges the condition when the upload begins, too, and may meet what our own commit left there.
    return this.#orEarlierSuccess(client, unanswered.size, unanswered.digest, () =>
      this.#sendBlocks(client, progressed),
    );
  }

  async #putWhole(client: Client): Promise<Receipt> {
    const content = (await this.#source.block(0)) ?? Buffer.alloc(0);
    await this.#source.assertUnchanged();
    await abortable(this.#options.throttle?.(content.length), this.#options.signal);
    const digest = fileDigest(
      client.algorithm,
      content.length === 0 ? [] : [blockDigest(client.algorithm, content)],
    );
    this.sentBytes += content.length;
    const receipt = await this.#orEarlierSuccess(client, content.length, digest, () => {
      this.#unanswered = 'inline';
      return client.put(this.#path, content, this.#attributes());
    });
    this.#tellDone(content.length);
    return receipt;
  }

  async #sendBlocks(client: Client, progressed: () => void): Promise<Receipt> {
    const { id, held } = await this.#begin(client, progressed);
    const { signal, clock, throttle } = this.#options;
    const sender = new BlockSender(client, id, { signal, clock });
    let inPlaceBytes = 0;
    this.resumedBytes = 0;
    const found = (index: number, length: number) => {
      inPlaceBytes += length;
      if (!this.#sentBlocks.has(index)) this.resumedBytes += length;
      this.#tellDone(inPlaceBytes);
    };
    for (let index = 0; ; index += 1) {
      // What was read in an earlier attempt and is held need not be read again.
      if (this.#isHeld(held, index)) {
        // Its answer may have been lost, so that it is kept still.
        this.#source.release(index);
        found(index, blockLength(this.#source.size ?? this.#bytesRead, index));
        continue;
      }
      // A stream may keep us waiting for ever.
      const block = await abortable(this.#source.block(index), signal);
      if (block === undefined) break;
      const raw = this.#digestOf(index, block, client.algorithm);
      if (held.digest(index)?.equals(raw) === true) {
        found(index, block.length);
        this.#source.release(index, block);
        continue;
      }
      await abortable(throttle?.(block.length), signal);
      await sender.send(index, raw, block, () => {
        held.set(index, raw);
        this.#source.release(index, block);
        this.#noteHeld(held.heldCount, progressed);
        inPlaceBytes += block.length;
        this.#tellDone(inPlaceBytes);
      });
      this.#sentBlocks.add(index);
      this.sentBytes += block.length;
    }
    await sender.drained();
    await this.#source.assertUnchanged();
    const size = this.#source.size ?? this.#bytesRead;
    return this.#commit(client, {
      upload: id,
      size,
      digest: fileDigest(client.algorithm, this.#digests.digests(blockCount(size))),
    });
  }

  async #begin(client: Client, progressed: () => void): Promise<{ id: string; held: BlockMap }> {
    const { base, signal } = this.#options;
    const reader = new DigestListReader();
    const fields = {
      ...this.#attributes(),
      path: this.#path,
      size: this.#source.size,
      resumeKey: this.#resumeKey,
      ...(base === undefined ? {} : { base }),
    };
    const { header } = await client.request('put', fields, {
      signal,
      onPart: ({ content }) => {
        if (!reader.push(content, blockCount(this.#source.size ?? MAX_FILE_BYTES)))
          throw new SealiftError('protocol-violation', 'The server sent a digest list that is none.');
      },
    });
    this.#noteHeld(reader.map.heldCount, progressed);
    return { id: readAnswer(UPLOAD_ANSWER, header).upload, held: reader.map };
  }

  async #commit(client: Client, commit: { upload: string; size: number; digest: string }): Promise<Receipt> {
    try {
      return await this.#orEarlierSuccess(client, commit.size, commit.digest, async () => {
        this.#unanswered = commit;
        const { header } = await client.request('commit', commit, { signal: this.#options.signal });
        return client.checkedReceipt(header, commit.size, commit.digest);
      });
    } catch (error) {
      // It will never get this name: what was sent would only lie on the server until it is old.
      if (isSealiftError(error, 'exists', 'precondition-failed', 'forbidden')) {
        await client.request('abort', { upload: commit.upload }).catch(() => undefined);
      }
      throw error;
    }
  }

  // The answer to a commit was lost: said again it gives the same receipt, unless the server knows nothing of it.
  async #commitAgain(client: Client): Promise<Receipt | undefined> {
    if (this.#unanswered === undefined || this.#unanswered === 'inline') return undefined;
    try {
      return await this.#commit(client, this.#unanswered);
    } catch (error) {
      if (isSealiftError(error, 'unknown-upload', 'incomplete', 'superseded', 'digest-mismatch'))
        return undefined;
      throw error;
    }
  }

  // A retry that finds its own digest in the way has been preceded by itself.
  async #orEarlierSuccess(
    client: Client,
    size: number,
    digest: string,
    publish: () => Promise<Receipt>,
  ): Promise<Receipt> {
    const isRepeated = this.#unanswered !== undefined;
    if (!isRepeated) await this.#options.beforePublishing?.(client);
    try {
      const receipt = await publish();
      this.#unanswered = undefined;
      return receipt;
    } catch (error) {
      if (
        !isRepeated ||
        !isSealiftError(error, 'exists', 'precondition-failed') ||
        error.details['digest'] !== digest
      )
        throw error;
      const { mtimeMs, etag = '' } = await client.stat(this.#path);
      return {
        path: this.#path,
        size,
        digest,
        mtimeMs,
        etag,
        durability: this.#options.durability ?? 'disk',
      };
    }
  }

  #attributes(): PutOptions {
    const { mtimeMs = this.#source.mtimeMs, mode, durability, if: condition, etag, signal } = this.#options;
    return {
      ...(mtimeMs === undefined ? {} : { mtimeMs }),
      ...(mode === undefined ? {} : { mode }),
      ...(durability === undefined ? {} : { durability }),
      ...(condition === undefined ? {} : { if: condition }),
      ...(etag === undefined ? {} : { etag }),
      ...(signal === undefined ? {} : { signal }),
    };
  }

  #isHeld(held: BlockMap, index: number): boolean {
    const digest = this.#digests.digest(index);
    return digest !== undefined && held.digest(index)?.equals(digest) === true;
  }

  #digestOf(index: number, block: Buffer, algorithm: DigestAlgorithm): Buffer {
    const raw = blockDigest(algorithm, block);
    if (!this.#digests.has(index))
      this.#bytesRead = Math.max(this.#bytesRead, index * BLOCK_BYTES + block.length);
    this.#digests.set(index, raw);
    return raw;
  }

  #noteHeld(count: number, progressed: () => void): void {
    if (count <= this.#mostHeld) return;
    this.#mostHeld = count;
    progressed();
  }

  // A new attempt begins to count anew; what was done once stays done for whoever watches.
  #tellDone(bytes: number): void {
    this.#doneBytes = Math.max(this.#doneBytes, bytes);
    this.#toldResumedBytes = Math.max(this.#toldResumedBytes, this.resumedBytes);
    this.#options.onProgress?.({
      totalBytes: this.#source.size,
      doneBytes: this.#doneBytes,
      resumedBytes: this.#toldResumedBytes,
      movedBytes: this.sentBytes,
    });
  }
}

// Only a size that is known can be sent before it is read to the end.
function isInline(source: BlockSource): boolean {
  return source.size !== null && source.size <= BLOCK_BYTES;
}
