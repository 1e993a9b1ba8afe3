import type { Writable } from 'node:stream';

import { isDiskFull, SealiftError } from '../errors.ts';
import type { BlockMap } from '../transfer/block-map.ts';
import type { DigestAlgorithm } from '../transfer/digests.ts';
import { blockBuffers } from '../transport/block-buffers.ts';
import type { PartialFile } from './partial-file.ts';

/** Where the blocks of a download go. */
export interface BlockSink {
  /** Whether a block may be written again, so that another version of the file can be fetched over this one. */
  readonly isRepeatable: boolean;
  /** Bytes that an earlier run left. */
  heldBytes(): Promise<number>;
  /** What it holds of a file of `size` bytes, by hashing it. */
  hash(algorithm: DigestAlgorithm, size: number, signal?: AbortSignal): Promise<BlockMap>;
  /** Takes a block, and `content` with it, which is the sink's from then on; one that is not repeatable takes them in order. */
  write(index: number, content: Buffer): Promise<void>;
}

/** Blocks go into a partial file, in any order. */
export function fileSink(partial: PartialFile): BlockSink {
  return {
    isRepeatable: true,
    heldBytes: () => partial.size(),
    hash: (algorithm, size, signal) => partial.hash(algorithm, size, signal),
    write: async (index, content) => {
      await partial.write(index, content);
      // On the disk, and nobody else has seen it. A stream may keep what was written to it for as long as it likes.
      blockBuffers.give(content);
    },
  };
}

/**
 * Blocks go to a stream, such as standard output, in their order; what is written cannot be taken back. An error of the
 * stream fails what writes to it, and needs no other listener. What comes behind the last block, as at the stream's end, is
 * for its owner to wait for (`finished` of `node:stream`).
 */
export function streamSink(stream: Writable): BlockSink {
  let next = 0;
  let writing = Promise.resolve();
  // Once, however many sinks a stream gets: standard output takes one file after the other.
  stream.off('error', keptByStream).on('error', keptByStream);
  return {
    isRepeatable: false,
    heldBytes: () => Promise.resolve(0),
    hash: () => Promise.reject(new SealiftError('internal', 'A stream cannot be hashed.')),
    write(index, content) {
      // After the writes before: where one of them failed, that is why a block is missing.
      const isInOrder = index === next;
      if (isInOrder) next += 1;
      writing = writing.then(() => {
        if (isInOrder) return writeTo(stream, content);
        throw new SealiftError('protocol-violation', 'The blocks did not come in their order.');
      });
      return writing;
    },
  };
}

/** Node would end the process for an error that nobody listens to, although it stands in `errored` for whoever writes next. */
function keptByStream(): void {}

async function writeTo(stream: Writable, content: Buffer): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fail = (error?: unknown) => {
    const cause = stream.errored ?? error;
    const code = isDiskFull(cause) ? 'local-no-space' : 'local-file';
    reject(new SealiftError(code, 'The output takes no more.', { cause }));
  };
  // What was being written when the stream was destroyed is never called back for.
  const onClose = () => fail();
  stream.on('close', onClose);
  stream.on('error', fail);
  try {
    stream.write(content, (error) => (error ? fail(error) : resolve()));
  } catch (error) {
    fail(error);
  }
  try {
    await promise;
  } finally {
    stream.off('close', onClose);
    stream.off('error', fail);
  }
}
