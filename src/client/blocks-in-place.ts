import { anySignal } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import type { RequestFields } from '../protocol/requests.ts';
import { DIGESTS_END, readAnswer } from '../protocol/responses.ts';
import { BlockMap, DigestListReader } from '../transfer/block-map.ts';
import { blockCount, MAX_FILE_BYTES } from '../transfer/blocks.ts';
import type { BlockSink } from './block-sink.ts';
import type { Client } from './client.ts';

/** A remote file as it stood at one time. */
export interface RemoteVersion {
  size: number;
  mtimeMs: number;
  mode: number;
  etag: string;
}

/** A remote file, and what of it need not be fetched. */
export interface InPlace {
  version: RemoteVersion;
  /** Its file digest. */
  digest: string;
  /** The blocks that the sink holds as they are there. */
  blocks: BlockMap;
}

/**
 * Finds what a sink holds of a remote file. What an earlier run left is worth what its digests say, and nothing else:
 * its tail may be zeros. Throws `precondition-failed` if the file changes meanwhile.
 */
export async function blocksInPlace(
  client: Client,
  file: Pick<RequestFields<'digests'>, 'path' | 'version'>,
  sink: BlockSink,
  signal: AbortSignal | undefined,
): Promise<InPlace> {
  const { path, version } = file;
  const stat = await client.stat(path, { version, signal });
  const reader = new DigestListReader();
  const asking = client.request(
    'digests',
    { ...file, remembered: true },
    {
      signal,
      onPart: ({ content }) => {
        if (!reader.push(content, blockCount(Math.min(stat.size, MAX_FILE_BYTES))))
          throw new SealiftError(
            'protocol-violation',
            'The server sent a digest list that does not fit the file.',
          );
      },
    },
  );
  // Both sides read at the same time what they have; what fails there ends it here.
  const failed = new AbortController();
  asking.catch((error: unknown) => failed.abort(error));
  const stopped = anySignal(failed.signal, signal);
  const local = await sink.hash(client.algorithm, stat.size, stopped).catch(async (error: unknown) => {
    await asking;
    throw error;
  });
  const { size, etag, digest } = readAnswer(DIGESTS_END, (await asking).header);
  if (stat.etag !== etag)
    throw new SealiftError('precondition-failed', 'The file changed while its digests were read.');
  const blocks = new BlockMap();
  for (let index = 0; index < blockCount(size); index += 1) {
    const wanted = reader.map.digest(index);
    if (wanted !== undefined && local.digest(index)?.equals(wanted) === true) blocks.set(index, wanted);
  }
  return { version: { size, etag, mtimeMs: stat.mtimeMs, mode: stat.mode }, digest, blocks };
}
