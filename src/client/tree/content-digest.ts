import { throwIfAborted } from '../../clock.ts';
import { SealiftError } from '../../errors.ts';
import { DIGESTS_END, readAnswer } from '../../protocol/responses.ts';
import { blockDigest, fileDigest, type DigestAlgorithm } from '../../transfer/digests.ts';
import { openFileSource } from '../block-source.ts';
import type { Client } from '../client.ts';

/** The file digest of a local file, from its data. Throws `source-changed` if it is written to meanwhile. */
export async function localDigest(
  path: string,
  algorithm: DigestAlgorithm,
  signal?: AbortSignal,
): Promise<string> {
  const source = await openFileSource(path);
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
