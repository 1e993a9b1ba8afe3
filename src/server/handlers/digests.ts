import { CONTENT_TYPE } from '../../protocol/header.ts';
import { BLOCK_BYTES, MAX_DIGESTS_PER_PAGE } from '../../protocol/limits.ts';
import { BlockMap } from '../../transfer/block-map.ts';
import { blockCount } from '../../transfer/blocks.ts';
import { DIGEST_BYTES, fileDigest } from '../../transfer/digests.ts';
import type { Answer, Exchange } from '../exchange.ts';
import { digestsFromData } from '../file-digests.ts';

/** `digests`: the block digests of a file, from its data as it is now, or as it was when it was read before. */
export async function digests(exchange: Exchange<'digests'>): Promise<Answer> {
  const { fields, state, signal } = exchange;
  const file = await state.store.open(fields.path, { version: fields.version });
  try {
    const { entry } = file;
    const remembered = state.fileDigests.blocksOf(entry, state.algorithm);
    const known = fields.remembered === true ? remembered : undefined;
    const all = new BlockMap();
    let count = 0;
    const page = Buffer.allocUnsafeSlow(
      Math.min(blockCount(entry.size), MAX_DIGESTS_PER_PAGE) * DIGEST_BYTES,
    );
    let pageBytes = 0;
    const sendPage = async () => {
      if (pageBytes > 0)
        await exchange.part('more', {
          content: page.subarray(0, pageBytes),
          contentType: CONTENT_TYPE.digestList,
        });
      pageBytes = 0;
    };
    let hashed = 0;
    exchange.progress = () => ({ held: Math.max(count, hashed) * BLOCK_BYTES });
    const onBlock = (index: number) => (hashed = index + 1);
    const hashing = { known, owner: state.owner, signal, onBlock };
    for await (const digest of digestsFromData(file, state.algorithm, hashing)) {
      all.set(count, digest);
      remembered?.set(count, digest);
      count += 1;
      pageBytes += digest.copy(page, pageBytes);
      if (pageBytes === page.length) await sendPage();
    }
    await sendPage();
    const digest = fileDigest(state.algorithm, all.digests(count));
    state.fileDigests.remember(entry, digest, state.algorithm);
    return { fields: { size: entry.size, etag: entry.etag, digest } };
  } finally {
    await file.close();
  }
}
