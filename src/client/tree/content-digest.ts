import { throwIfAborted } from '../../clock.ts';
import { SealiftError } from '../../errors.ts';
import { DIGESTS_END, readAnswer } from '../../protocol/responses.ts';
import { blockDigest, fileDigest, type DigestAlgorithm } from '../../transfer/digests.ts';
import { Budget } from '../../transport/budget.ts';
import { openFileSource, readFileSource, type BlockSource } from '../block-source.ts';
import type { Client } from '../client.ts';

/** Files of more than one block that are read at once: as many as Node has threads to read them. */
const MAX_LARGE_AT_ONCE = 4;
const large = new Budget(MAX_LARGE_AT_ONCE);

/** The file digest of a local file, from its data. Throws `source-changed` if it is written to meanwhile. */
export async function localDigest(
  path: string,
  algorithm: DigestAlgorithm,
  signal?: AbortSignal,
): Promise<string> {
  const small = readFileSource(path);
  if (small !== undefined) return digestOf(small, algorithm, signal);
  const release = await large.take(1, signal);
  try {
    return await digestOf(await openFileSource(path), algorithm, signal);
  } finally {
    release();
  }
}

async function digestOf(
  source: BlockSource,
  algorithm: DigestAlgorithm,
  signal: AbortSignal | undefined,
): Promise<string> {
  try {
    const digests: Buffer[] = [];
    for (let index = 0; ; index += 1) {
      throwIfAborted(signal);
      const block = await source.block(index);
      if (block === undefined) break;
      digests.push(blockDigest(algorithm, block));
      source.release(index, block);
    }
    await source.assertUnchanged();
    return fileDigest(algorithm, digests);
  } finally {
    await source[Symbol.asyncDispose]();
  }
}

/** The file digest of a remote file, which the server reads from its data now. */
export async function remoteDigest(
  client: Client,
  path: string,
  signal?: AbortSignal,
): Promise<{ digest: string; algorithm: DigestAlgorithm }> {
  const { header } = await client.request('digests', { path }, { signal });
  const { digest } = readAnswer(DIGESTS_END, header);
  if (digest.startsWith(`${client.algorithm}-1m:`)) return { digest, algorithm: client.algorithm };
  throw new SealiftError('protocol-violation', 'The server sent a digest that is none of this connection.');
}
