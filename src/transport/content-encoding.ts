import { promisify } from 'node:util';

import { SealiftError, type ErrorCode } from '../errors.ts';
import type { Message } from '../protocol/decoder.ts';
import { CONTENT_ENCODINGS } from '../protocol/requests.ts';
import { BLOCK_BYTES } from '../transfer/blocks.ts';

export type ContentEncoding = (typeof CONTENT_ENCODINGS)[number];

/** The encoding for file bytes that go to a peer who decodes those of `offered`: the one that costs least; undefined if there is none. */
export function chooseEncoding(offered: readonly string[]): ContentEncoding | undefined {
  return CONTENT_ENCODINGS.find((encoding) => offered.includes(encoding));
}

/** Compresses at most one block, on a thread of the pool, at a level that costs little. */
export async function encodeContent(encoding: ContentEncoding, content: Buffer): Promise<Buffer> {
  const { constants, gzip, zstdCompress } = await import('node:zlib');
  // What does not fit one chunk has not become smaller, which is of no use.
  const chunkSize = Math.max(MIN_CHUNK_BYTES, content.length);
  if (encoding === 'gzip') return promisify(gzip)(content, { level: 1, chunkSize });
  const params = { [constants.ZSTD_c_compressionLevel]: 1 };
  // A frame that says how long it is needs no window at the one who decodes it.
  return promisify(zstdCompress)(content, { params, pledgedSrcSize: content.length, chunkSize });
}

export interface DecodeOptions {
  /** What was offered to the peer. */
  accepted: readonly string[];
  /** The code of the error for what the peer should not have sent. */
  code: Extract<ErrorCode, 'bad-request' | 'protocol-violation'>;
}

/**
 * The file bytes of a message, which may have come compressed. Throws an error of `code`. No more memory is filled
 * than the content declares, at most one block, and the window that its frame asks for, at most 8 MiB.
 */
export async function decodedContent(
  { header, content }: Pick<Message, 'header' | 'content'>,
  { accepted, code }: DecodeOptions,
): Promise<Buffer> {
  const encoding = header['content-encoding'];
  // In what text is written makes no difference to its bytes.
  if (encoding === 'binary' || encoding === 'utf-8' || content.length === 0) return content;
  const known = chooseEncoding([encoding]);
  if (known === undefined || !accepted.includes(encoding)) {
    throw new SealiftError(
      code,
      `The content encoding ${JSON.stringify(encoding)} is not one of those offered.`,
    );
  }
  const length = header['decoded-length'];
  if (typeof length !== 'number' || !Number.isInteger(length) || length < 0 || length > BLOCK_BYTES)
    throw new SealiftError(code, 'A compressed content needs a decoded-length of at most one block.');
  const decoded = await decode(known, content, length).catch((cause: unknown) => {
    throw new SealiftError(code, `The content is no ${known} of ${length} bytes.`, { cause });
  });
  if (decoded.length === length) return decoded;
  throw new SealiftError(code, `The content decodes to ${decoded.length} bytes, and declared ${length}.`);
}

async function decode(encoding: ContentEncoding, content: Buffer, length: number): Promise<Buffer> {
  const { constants, gunzip, zstdDecompress } = await import('node:zlib');
  const limits = {
    // Node takes no limit of 0; one byte more than declared is refused all the same.
    maxOutputLength: Math.max(1, length),
    // All in one piece: what is too long shows by the byte more.
    chunkSize: Math.max(MIN_CHUNK_BYTES, length + 1),
  };
  if (encoding === 'gzip') return promisify(gunzip)(content, limits);
  const params = { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG };
  return promisify(zstdDecompress)(content, { ...limits, params });
}

/** The least chunk that Node takes, in bytes. */
const MIN_CHUNK_BYTES = 64;
/** The largest window of a zstd frame, as a power of two: 8 MiB, which RFC 8878 wants every decoder to support. Unlimited, each block could ask for 128 MiB. */
const MAX_WINDOW_LOG = 23;
