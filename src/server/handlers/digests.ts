import { SealiftError } from '../../errors.ts';
import { CONTENT_TYPE } from '../../protocol/header.ts';
import { BLOCK_BYTES, MAX_DIGESTS_PER_PAGE } from '../../protocol/limits.ts';
import { fileDigest } from '../../transfer/digests.ts';
import { withProgress, type Answer, type Exchange } from '../exchange.ts';
import { blockDigests } from '../file-digests.ts';

/** `digests`: the block digests of a file, from its data as it is now. */
export async function digests(exchange: Exchange<'digests'>): Promise<Answer> {
  const { fields, state, signal } = exchange;
  if (fields.version !== undefined) throw new SealiftError('unsupported', 'This server keeps no versions.');
  const file = await state.store.open(fields.path);
  try {
    const { entry } = file;
    const all: Buffer[] = [];
    let page: Buffer[] = [];
    const sendPage = async () => {
      if (page.length > 0)
        await exchange.part('more', { content: Buffer.concat(page), contentType: CONTENT_TYPE.digestList });
      page = [];
    };
    await withProgress(
      exchange,
      () => ({ held: all.length * BLOCK_BYTES }),
      async () => {
        for await (const digest of blockDigests(file, state.algorithm, signal)) {
          all.push(digest);
          page.push(digest);
          if (page.length === MAX_DIGESTS_PER_PAGE) await sendPage();
        }
      },
    );
    await sendPage();
    const digest = fileDigest(state.algorithm, all);
    state.fileDigests.remember(entry, digest, state.algorithm);
    return { fields: { size: entry.size, etag: entry.etag, digest } };
  } finally {
    await file.close();
  }
}
