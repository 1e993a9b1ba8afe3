import { throwIfAborted } from '../../clock.ts';
import { SealiftError } from '../../errors.ts';
import { writeFields } from '../../protocol/fields.ts';
import { BLOCK_BYTES } from '../../protocol/limits.ts';
import type { Entry, StoredFile } from '../../storage/store.ts';
import { BlockMap } from '../../transfer/block-map.ts';
import { blockCount, blockLength } from '../../transfer/blocks.ts';
import { blockDigest, fileDigest, formatBlockDigest } from '../../transfer/digests.ts';
import { blockBuffers } from '../../transport/block-buffers.ts';
import { Compressor, type EncodedContent } from '../../transport/compressor.ts';
import type { Answer, Exchange } from '../exchange.ts';

/** `get`: a whole small file, or version of one, in one answer, or the blocks of a larger one as they are read. */
export async function get(exchange: Exchange<'get'>): Promise<Answer> {
  const { fields, state } = exchange;
  const file = await state.store.open(fields.path, { version: fields.version });
  try {
    const { entry } = file;
    if (fields.ifMatch !== undefined && fields.ifMatch !== entry.etag) {
      throw new SealiftError('precondition-failed', `${JSON.stringify(fields.path)} has changed meanwhile.`, {
        details: { etag: entry.etag },
      });
    }
    return await (entry.size <= BLOCK_BYTES ? whole(exchange, file) : blocks(exchange, file));
  } finally {
    await file.close();
  }
}

async function whole({ state }: Exchange<'get'>, file: StoredFile): Promise<Answer> {
  const { entry } = file;
  const bytes = blockBuffers.sizeFor(entry.size);
  const giveRoom = state.answerBytes.takeNow(bytes) ?? (await state.answerBytes.take(bytes));
  const content = blockBuffers.take(entry.size);
  const release = () => {
    giveRoom();
    blockBuffers.give(content);
  };
  try {
    await file.read(content, 0, entry.size);
    await file.assertUnchanged();
    // Here, since once the answer is made nothing may fail: its content is in the budget until it is sent.
    await file.close();
    const raw = blockDigest(state.algorithm, content);
    const fields = { ...attributes(entry), digest: formatBlockDigest(state.algorithm, raw) };
    return { ...encodedAnswer(fields, await state.smallFiles.compress(content)), release };
  } catch (error) {
    release();
    throw error;
  }
}

async function blocks(exchange: Exchange<'get'>, file: StoredFile): Promise<Answer> {
  const { fields, state, signal } = exchange;
  const { size } = file.entry;
  const count = blockCount(size);
  const first = Math.min(fields.fromBlock ?? 0, count);
  const end = Math.min(count, first + (fields.blockCount ?? count));
  await exchange.part('more', { fields: attributes(file.entry) });
  // Two buffers: one is read into while the other is on its way out. What they shrink to comes on top.
  const release = await state.answerBytes.take(2 * BLOCK_BYTES);
  try {
    const buffers = [blockBuffers.take(BLOCK_BYTES), blockBuffers.take(BLOCK_BYTES)] as const;
    const compressor = new Compressor(state.encoding);
    // For a client that goes on with what it has of this.
    const remembered = state.fileDigests.blocksOf(file.entry, state.algorithm);
    // Of the whole file; not an object for each block, of which there may be millions.
    const read = end - first === count ? new BlockMap() : undefined;
    let sending = Promise.resolve();
    for (let index = first; index < end; index += 1) {
      throwIfAborted(signal);
      const content = buffers[index % 2 === 0 ? 0 : 1].subarray(0, blockLength(size, index));
      await file.read(content, index * BLOCK_BYTES, content.length);
      const raw = blockDigest(state.algorithm, content);
      read?.set(index, raw);
      remembered?.set(index, raw);
      const fields = { index, digest: formatBlockDigest(state.algorithm, raw) };
      const [encoded] = await Promise.all([compressor.compress(content), sending]);
      sending = exchange.part('block', encodedAnswer(fields, encoded));
      // Once the request was cancelled nobody waits for it any more.
      sending.catch(() => undefined);
    }
    await sending;
    for (const buffer of buffers) blockBuffers.give(buffer);
    await file.assertUnchanged();
    return read === undefined ? {} : { fields: { digest: fileDigest(state.algorithm, read.digests(count)) } };
  } finally {
    release();
  }
}

function encodedAnswer(
  fields: Readonly<Record<string, unknown>>,
  { decodedLength, ...content }: EncodedContent,
): Answer {
  return { fields: { ...fields, ...writeFields({ decodedLength }) }, ...content };
}

function attributes({ size, mtimeMs, mode, etag }: Entry): Record<string, unknown> {
  return { size, 'mtime-ms': mtimeMs, mode, etag };
}
