import { closeSync, constants, fstatSync, openSync, readSync, type BigIntStats } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';

import { floorMilliseconds } from '../clock.ts';
import { SealiftError, systemCode } from '../errors.ts';
import { BLOCK_BYTES, blockLength } from '../transfer/blocks.ts';
import { blockBuffers } from '../transport/block-buffers.ts';

/** Where the blocks of an upload come from. */
export interface BlockSource extends AsyncDisposable {
  /** Bytes, or null if that shows only at the end. */
  readonly size: number | null;
  readonly mtimeMs: number | undefined;
  readonly mode: number | undefined;
  /** Whether every block can be read again at any time. */
  readonly isRepeatable: boolean;
  /** Block `index`, or undefined beyond the end. A source that is not repeatable is read in order, and gives again only what was not released. */
  block(index: number): Promise<Buffer | undefined>;
  /** Block `index` is held by the server, or can be read again: it need not be kept to be given again. `block`: the buffer in which it was given, if it still was in use. */
  release(index: number, block?: Buffer): void;
  /** Throws `source-changed` if what was read is not what stands there now, and `local-file` if it is not all. */
  assertUnchanged(): Promise<void>;
}

/** Opens a local file to be sent. Throws `local-not-found`, `local-file` (also for what is no file, as a link is without `followsLinks`). */
export async function openFileSource(
  path: string,
  { followsLinks = true }: { followsLinks?: boolean } = {},
): Promise<BlockSource> {
  let handle: FileHandle;
  try {
    handle = await open(path, openFlags(followsLinks));
  } catch (cause) {
    throw openError(path, cause);
  }
  try {
    const stats = await handle.stat({ bigint: true });
    assertFile(path, stats);
    return new FileSource(path, handle, stats);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

// A FIFO would block for ever, and its content has no size: standard input is the way for such.
function openFlags(followsLinks: boolean): number {
  return constants.O_RDONLY | constants.O_NONBLOCK | (followsLinks ? 0 : constants.O_NOFOLLOW);
}

function openError(path: string, cause: unknown): SealiftError {
  const code = systemCode(cause);
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return new SealiftError('local-not-found', `${path} does not exist.`, { cause });
  return readError(path, cause);
}

function readError(path: string, cause: unknown): SealiftError {
  return new SealiftError('local-file', `${path} cannot be read (${systemCode(cause) ?? String(cause)}).`, {
    cause,
  });
}

function assertFile(path: string, stats: BigIntStats): void {
  if (stats.isFile()) return;
  if (stats.isDirectory()) {
    throw new SealiftError('usage', `${path} is a directory.`, {
      hint: 'To send it with all in it: --recursive or --archive.',
    });
  }
  throw new SealiftError('local-file', `${path} is no ordinary file.`, { hint: THROUGH_STDIN });
}

const THROUGH_STDIN = 'Send its content through standard input: … | sealift put - TARGET';

/** How a file is another than it was, as the end of a sentence; undefined if it is not. */
function changeOf(now: Pick<BigIntStats, 'size' | 'mtimeNs'>, before: BigIntStats): string | undefined {
  if (now.size !== before.size) return `had ${before.size} bytes and has ${now.size}`;
  return now.mtimeNs === before.mtimeNs ? undefined : 'was written to';
}

function changedError(path: string, how: string): SealiftError {
  return new SealiftError('source-changed', `${path} changed while it was being sent: it ${how}.`, {
    hint: 'Nothing was published; what was sent is kept. Run the command again when nobody writes to the file.',
  });
}

// As in /proc, or where a file system makes the content only when it is read: what was read would pass for the whole.
function moreThanToldError(path: string, size: number): SealiftError {
  return new SealiftError(
    'local-file',
    `${path} goes on behind its ${size} bytes that the system tells of.`,
    {
      hint: THROUGH_STDIN,
    },
  );
}

/**
 * Reads a local file of at most one block at once, by calls that block: for many small files, of which each would
 * otherwise wait five times for Node's thread pool. Undefined for a larger one. Throws as `openFileSource` does, and
 * `source-changed`.
 */
export function readFileSource(
  path: string,
  { followsLinks = true }: { followsLinks?: boolean } = {},
): BlockSource | undefined {
  let fd: number;
  try {
    fd = openSync(path, openFlags(followsLinks));
  } catch (cause) {
    throw openError(path, cause);
  }
  try {
    const stats = fstatSync(fd, { bigint: true });
    assertFile(path, stats);
    const size = Number(stats.size);
    if (size > BLOCK_BYTES) return undefined;
    // One byte more, which must not be there.
    const content = blockBuffers.take(size + 1);
    let filled = 0;
    let bytesRead: number;
    do {
      bytesRead = readSync(fd, content, filled, content.length - filled, filled);
      filled += bytesRead;
    } while (bytesRead > 0 && filled < size);
    const now = fstatSync(fd, { bigint: true });
    const change =
      changeOf(now, stats) ??
      (filled < size ? changeOf({ size: BigInt(filled), mtimeNs: now.mtimeNs }, stats) : undefined);
    if (change !== undefined) throw changedError(path, change);
    if (filled > size) throw moreThanToldError(path, size);
    return new ReadSource(content.subarray(0, size), stats);
  } catch (cause) {
    throw cause instanceof SealiftError ? cause : readError(path, cause);
  } finally {
    closeSync(fd);
  }
}

/** A file that was read whole, while it stood still: kept until it is released. */
class ReadSource implements BlockSource {
  readonly isRepeatable = false;
  readonly size: number;
  readonly mtimeMs: number;
  readonly mode: number;
  #content: Buffer | undefined;

  constructor(content: Buffer, stats: BigIntStats) {
    this.#content = content;
    this.size = content.length;
    this.mtimeMs = floorMilliseconds(stats.mtimeNs);
    this.mode = Number(stats.mode) & 0o777;
  }

  block(index: number): Promise<Buffer | undefined> {
    if (index > 0 || this.size === 0) return Promise.resolve(undefined);
    if (this.#content !== undefined) return Promise.resolve(this.#content);
    const message = 'A content was asked for again after it was released.';
    return Promise.reject(new SealiftError('internal', message));
  }

  release(): void {
    if (this.#content !== undefined) blockBuffers.give(this.#content);
    this.#content = undefined;
  }

  assertUnchanged(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

class FileSource implements BlockSource {
  readonly isRepeatable = true;
  readonly size: number;
  readonly mtimeMs: number;
  readonly mode: number;
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #stats: BigIntStats;

  constructor(path: string, handle: FileHandle, stats: BigIntStats) {
    this.#path = path;
    this.#handle = handle;
    this.#stats = stats;
    this.size = Number(stats.size);
    this.mtimeMs = floorMilliseconds(stats.mtimeNs);
    this.mode = Number(stats.mode) & 0o777;
  }

  async block(index: number): Promise<Buffer | undefined> {
    const length = blockLength(this.size, index);
    if (length === 0) return undefined;
    const buffer = blockBuffers.take(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await this.#read(buffer, filled, length - filled, index * BLOCK_BYTES + filled);
      if (bytesRead === 0) throw changedError(this.#path, 'is shorter than it was');
      filled += bytesRead;
    }
    return buffer;
  }

  release(_index: number, block?: Buffer): void {
    if (block !== undefined) blockBuffers.give(block);
  }

  async assertUnchanged(): Promise<void> {
    const { bytesRead } = await this.#read(Buffer.alloc(1), 0, 1, this.size);
    const change = changeOf(await this.#handle.stat({ bigint: true }), this.#stats);
    if (change !== undefined) throw changedError(this.#path, change);
    if (bytesRead > 0) throw moreThanToldError(this.#path, this.size);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }

  async #read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ bytesRead: number }> {
    try {
      return await this.#handle.read(buffer, offset, length, position);
    } catch (cause) {
      throw readError(this.#path, cause);
    }
  }
}

/**
 * A stream of unknown length, as from standard input. Blocks are kept in memory until the server holds them. Strings are
 * sent as UTF-8; what is neither string nor bytes fails with `invalid-argument`.
 */
export function streamSource(stream: Readable): BlockSource {
  return new StreamSource(stream);
}

class StreamSource implements BlockSource {
  readonly isRepeatable = false;
  readonly size = null;
  readonly mtimeMs = undefined;
  readonly mode = undefined;
  readonly #stream: Readable;
  readonly #chunks: AsyncIterator<unknown>;
  readonly #kept = new Map<number, Buffer>();
  #read = 0;
  #rest: Buffer = Buffer.alloc(0);
  #hasEnded = false;
  /** The block that is being read. A failure stays: whoever read on would take what comes after the gap for the file. */
  #reading: Promise<void> | undefined;

  constructor(stream: Readable) {
    this.#stream = stream;
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  async block(index: number): Promise<Buffer | undefined> {
    while (this.#read <= index && !this.#hasEnded) await this.#readOn();
    const block = this.#kept.get(index);
    if (block === undefined && index < this.#read) {
      throw new SealiftError(
        'retries-exhausted',
        'The server has lost a part of a stream that cannot be read again.',
      );
    }
    return block;
  }

  release(index: number): void {
    this.#kept.delete(index);
  }

  assertUnchanged(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#stream.destroy();
    return Promise.resolve();
  }

  #readOn(): Promise<void> {
    this.#reading ??= this.#readBlock().then(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #readBlock(): Promise<void> {
    const parts: Uint8Array[] = [this.#rest];
    let length = this.#rest.length;
    let hasEnded = false;
    while (length < BLOCK_BYTES && !hasEnded) {
      const next = await this.#next();
      if (next.done === true) {
        hasEnded = true;
      } else {
        const bytes = bytesOf(next.value);
        parts.push(bytes);
        length += bytes.length;
      }
    }
    // Copied only with what was read to it: else each block would hold a copy of all that is left of a large chunk.
    const joined = parts.length === 1 ? this.#rest : Buffer.concat(parts);
    this.#rest = joined.subarray(BLOCK_BYTES);
    // What was read beyond the block is the beginning of the next, also after the end.
    this.#hasEnded = hasEnded && this.#rest.length === 0;
    if (joined.length === 0) return;
    this.#kept.set(this.#read, joined.subarray(0, BLOCK_BYTES));
    this.#read += 1;
  }

  async #next(): Promise<IteratorResult<unknown>> {
    try {
      return await this.#chunks.next();
    } catch (cause) {
      throw new SealiftError('local-file', 'The input could not be read to its end.', { cause });
    }
  }
}

/** As Node pipes it into a file. */
function bytesOf(chunk: unknown): Uint8Array {
  if (typeof chunk === 'string') return Buffer.from(chunk);
  if (chunk instanceof Uint8Array) return chunk;
  throw new SealiftError('invalid-argument', 'The stream brought something that is neither bytes nor text.');
}
