import type { OutgoingMessage } from '../protocol/encoder.ts';
import { Budget } from './budget.ts';
import { encodeContent, type ContentEncoding } from './content-encoding.ts';

/** File bytes as they travel. */
export interface EncodedContent extends Pick<OutgoingMessage, 'contentEncoding'> {
  content: Buffer;
  /** How long they are decoded; missing if they are as they were. */
  decodedLength?: number;
}

/** Contents shorter than this are about as long as their header: there is nothing to be won. */
const MIN_BYTES = 512;
/** The part of its length that a content has to lose, or else it is not worth decoding. */
const MIN_SAVING = 0.05;
/** After so many contents in a row that did not shrink… */
const MAX_MISSES = 4;
/** …only one of so many is tried. */
const TRIED_OF = 16;

// Of the four threads of the pool two are left for the disk, however many peers want compressed contents.
const threads = new Budget(2);

/**
 * Compresses the contents of one file, or of many small ones, as far as that pays: what hardly shrinks (pictures,
 * archives, what is encrypted) goes as it is, and after some of that only a few are tried.
 */
export class Compressor {
  readonly #encoding: ContentEncoding | undefined;
  /** In a row. */
  #misses = 0;
  #untried = 0;

  /** `encoding`: undefined leaves everything as it is. */
  constructor(encoding: ContentEncoding | undefined) {
    this.#encoding = encoding;
  }

  /** Whether it ever compresses anything. */
  get isActive(): boolean {
    return this.#encoding !== undefined;
  }

  /** Resolves with `content` itself or with what it became, which is shorter. */
  async compress(content: Buffer): Promise<EncodedContent> {
    const encoding = this.#encoding;
    if (encoding === undefined || content.length < MIN_BYTES || !this.#isWorthTrying()) return { content };
    const release = await threads.take(1);
    try {
      const encoded = await encodeContent(encoding, content);
      const hasShrunk = encoded.length <= content.length * (1 - MIN_SAVING);
      this.#misses = hasShrunk ? 0 : this.#misses + 1;
      if (!hasShrunk) return { content };
      return { content: encoded, contentEncoding: encoding, decodedLength: content.length };
    } finally {
      release();
    }
  }

  #isWorthTrying(): boolean {
    if (this.#misses < MAX_MISSES) return true;
    this.#untried = (this.#untried + 1) % TRIED_OF;
    return this.#untried === 0;
  }
}
