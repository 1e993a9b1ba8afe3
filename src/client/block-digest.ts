import { SealiftError } from '../errors.ts';
import { blockDigest, parseBlockDigest, type DigestAlgorithm } from '../transfer/digests.ts';

/** Throws `digest-mismatch` unless `content` has the digest that came with it, in the algorithm of the connection; returns the raw digest. */
export function assertBlockDigest(
  content: Buffer,
  digest: string,
  { index, algorithm }: { index: number; algorithm: DigestAlgorithm | undefined },
): Buffer {
  const parsed = parseBlockDigest(digest);
  if (parsed === undefined || parsed.algorithm !== algorithm)
    throw new SealiftError('protocol-violation', 'The server sent a digest that is none of this connection.');
  const raw = blockDigest(algorithm, content);
  if (raw.equals(parsed.raw)) return raw;
  throw new SealiftError('digest-mismatch', `Block ${index} does not have the digest that came with it.`, {
    details: { index },
  });
}
