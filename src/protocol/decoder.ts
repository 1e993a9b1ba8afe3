import { SealiftError } from '../errors.ts';
import { parseHeader, type Header } from './header.ts';
import { LENGTH_BYTES, MAX_CONTENT_BYTES, MAX_HEADER_BYTES } from './limits.ts';
import { toWireError } from './wire-errors.ts';

/** A message as it came in. */
export interface Message {
  readonly header: Header;
  /** How long the header was on the wire. */
  readonly headerBytes: number;
  readonly content: Buffer;
  /** To be called when the content is not needed any more, if whoever received it keeps room for it. */
  readonly release?: (() => void) | undefined;
}

/** Where in a message the stream stands; the deadlines of the transport follow it. */
export type DecoderState = 'between' | 'header' | 'content';

const NOTHING = Buffer.alloc(0);

/**
 * Bytes in, messages out, however the bytes are cut. Synchronous, and bounded: it holds at most one header
 * (16 KiB) and one content (`maxContentBytes`), each refused before memory is taken for it.
 */
export class MessageDecoder {
  /** The longest content taken, in bytes; the session raises it once the peer is known. */
  maxContentBytes: number;

  readonly #length = Buffer.alloc(LENGTH_BYTES);
  #lengthFilled = 0;
  #head: Collector | undefined;
  #header: Header | undefined;
  #headerBytes = 0;
  #content: Collector | undefined;
  #failure: SealiftError | undefined;
  readonly #allocate: (length: number) => Buffer;
  readonly #chunksAreLent: boolean;

  /**
   * `allocate` gives the memory for a content that does not lie in one chunk; with `chunksAreLent` for every content,
   * since the chunks are overwritten once `push` returns.
   */
  constructor({
    maxContentBytes = MAX_CONTENT_BYTES,
    allocate = (length) => Buffer.allocUnsafeSlow(length),
    chunksAreLent = false,
  }: { maxContentBytes?: number; allocate?: (length: number) => Buffer; chunksAreLent?: boolean } = {}) {
    this.maxContentBytes = maxContentBytes;
    this.#allocate = allocate;
    this.#chunksAreLent = chunksAreLent;
  }

  /** The length of the content that is coming, in bytes; 0 if none is. */
  get contentBytes(): number {
    return this.#header?.['content-length'] ?? 0;
  }

  get state(): DecoderState {
    if (this.#header !== undefined) return 'content';
    return this.#lengthFilled === 0 ? 'between' : 'header';
  }

  /**
   * Takes the next bytes of the stream and calls `deliver` for each message they complete. A content may be a
   * view of `chunk`, which the caller therefore gives away, unless chunks are lent. Throws an error that ends the stream
   * (`bad-frame`, `bad-header`, `header-too-large`, `content-too-large`, or what `deliver` threw), and the same
   * one ever after.
   */
  push(chunk: Buffer, deliver: (message: Message) => void): void {
    if (this.#failure) throw this.#failure;
    try {
      let rest = chunk;
      while (rest.length > 0) rest = this.#step(rest, deliver);
    } catch (error) {
      // Also for what `deliver` throws: the rest of the chunk is lost, so what comes next has no beginning.
      this.#failure = toWireError(error);
      throw this.#failure;
    }
  }

  /** The stream has ended. Throws `bad-frame` if it did so inside a message. */
  end(): void {
    if (this.#failure) throw this.#failure;
    if (this.state !== 'between')
      throw new SealiftError('bad-frame', 'The stream ended in the middle of a message.');
  }

  #step(rest: Buffer, deliver: (message: Message) => void): Buffer {
    if (this.#content !== undefined) return this.#takeContent(this.#content, rest, deliver);
    if (this.#head !== undefined) return this.#takeHead(this.#head, rest, deliver);
    return this.#takeLength(rest);
  }

  #takeLength(rest: Buffer): Buffer {
    const taken = rest.copy(this.#length, this.#lengthFilled, 0, LENGTH_BYTES - this.#lengthFilled);
    this.#lengthFilled += taken;
    if (this.#lengthFilled === LENGTH_BYTES) {
      const length = this.#length.readUInt16BE(0);
      if (length === 0) throw new SealiftError('bad-frame', 'A header length of 0 begins no message.');
      if (length > MAX_HEADER_BYTES) {
        throw new SealiftError(
          'header-too-large',
          `A header of ${length} bytes is longer than ${MAX_HEADER_BYTES}.`,
        );
      }
      this.#head = new Collector(length, false, (bytes) => Buffer.allocUnsafe(bytes));
    }
    return rest.subarray(taken);
  }

  #takeHead(head: Collector, rest: Buffer, deliver: (message: Message) => void): Buffer {
    const after = head.take(rest);
    if (head.whole === undefined) return after;
    this.#head = undefined;
    this.#header = parseHeader(head.whole);
    this.#headerBytes = head.whole.length;
    const length = this.#header['content-length'];
    if (length > this.maxContentBytes) {
      throw new SealiftError(
        'content-too-large',
        `A content of ${length} bytes is longer than ${this.maxContentBytes}.`,
      );
    }
    if (length === 0) this.#finish(NOTHING, deliver);
    else this.#content = new Collector(length, this.#chunksAreLent, this.#allocate);
    return after;
  }

  #takeContent(content: Collector, rest: Buffer, deliver: (message: Message) => void): Buffer {
    const after = content.take(rest);
    if (content.whole !== undefined) this.#finish(content.whole, deliver);
    return after;
  }

  #finish(content: Buffer, deliver: (message: Message) => void): void {
    const header = this.#header as Header;
    this.#header = undefined;
    this.#content = undefined;
    this.#lengthFilled = 0;
    deliver({ header, headerBytes: this.#headerBytes, content });
  }
}

/** Collects a known number of bytes; without copying where one chunk holds them all, unless a copy is wanted. */
class Collector {
  whole: Buffer | undefined;
  readonly #length: number;
  #buffer: Buffer | undefined;
  #filled = 0;

  readonly #isCopied: boolean;
  readonly #allocate: (length: number) => Buffer;

  constructor(length: number, isCopied: boolean, allocate: (length: number) => Buffer) {
    this.#length = length;
    this.#isCopied = isCopied;
    this.#allocate = allocate;
  }

  take(rest: Buffer): Buffer {
    if (!this.#isCopied && this.#buffer === undefined && rest.length >= this.#length) {
      this.whole = rest.subarray(0, this.#length);
      return rest.subarray(this.#length);
    }
    const taken = rest.subarray(0, this.#length - this.#filled);
    const buffer = this.#bufferFor(taken.length);
    taken.copy(buffer, this.#filled);
    this.#filled += taken.length;
    if (this.#filled === this.#length) this.whole = buffer;
    return rest.subarray(taken.length);
  }

  // The first piece of several has a buffer of its own: what is announced and does not come takes no memory.
  #bufferFor(length: number): Buffer {
    const before = this.#buffer;
    if (before?.length === this.#length) return before;
    const isFirst = before === undefined && length < this.#length;
    this.#buffer = isFirst ? Buffer.allocUnsafeSlow(length) : this.#allocate(this.#length);
    before?.copy(this.#buffer);
    return this.#buffer;
  }
}
