import { promisify } from 'node:util';
import { gunzip, zstdDecompress } from 'node:zlib';

import { SealiftError } from '../errors.ts';
import type { Header } from '../protocol/header.ts';
import { BLOCK_BYTES } from '../transfer/blocks.ts';

const DECODERS = { zstd: promisify(zstdDecompress), gzip: promisify(gunzip) } as const;

/** The file bytes of a content that may have come compressed. Throws `bad-request`; memory is bounded by what it declares, at most one block. */
export async function decodedContent(header: Header, content: Buffer): Promise<Buffer> {
  const encoding = header['content-encoding'];
  if (encoding === 'binary' || content.length === 0) return content;
  if (encoding !== 'zstd' && encoding !== 'gzip') {
    throw new SealiftError(
      'bad-request',
      `The content encoding ${JSON.stringify(encoding)} is not one of those offered.`,
    );
  }
  const length = header['decoded-length'];
  if (typeof length !== 'number' || !Number.isInteger(length) || length < 0 || length > BLOCK_BYTES) {
    throw new SealiftError(
      'bad-request',
      'A compressed content needs a decoded-length of at most one block.',
    );
  }
  const decoded = await decode(encoding, content, length);
  if (decoded.length === length) return decoded;
  throw new SealiftError(
    'bad-request',
    `The content decodes to ${decoded.length} bytes, and declared ${length}.`,
  );
}

async function decode(encoding: keyof typeof DECODERS, content: Buffer, length: number): Promise<Buffer> {
  try {
    // Node takes no limit of 0; one byte more than declared is refused all the same.
    return await DECODERS[encoding](content, { maxOutputLength: Math.max(1, length) });
  } catch (cause) {
    throw new SealiftError('bad-request', `The content is no ${encoding} of ${length} bytes.`, { cause });
  }
}
