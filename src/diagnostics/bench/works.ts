import type { Client } from '../../client/client.ts';
import type { ConnectOptions } from '../../client/connect.ts';
import type { Connector } from '../../client/connector.ts';
import { BLOCK_BYTES } from '../../protocol/limits.ts';
import { readAnswer, UPLOAD_ANSWER } from '../../protocol/responses.ts';
import { systemRandom } from '../../random.ts';
import { blockDigest, formatBlockDigest, type DigestAlgorithm } from '../../transfer/digests.ts';
import { connectTimed } from '../timed-connect.ts';
import { BLOCKS_IN_FLIGHT, type Work } from './repeat.ts';

/** The cipher suites of TLS 1.3 that are in use everywhere, as OpenSSL names them. */
export const CIPHER_SUITES = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_AES_128_GCM_SHA256',
  'TLS_CHACHA20_POLY1305_SHA256',
] as const;

/** Bytes of a round trip: as many as `ping` sends. */
const ROUND_TRIP_BYTES = 56;

/** A block that no compression makes smaller. */
export function incompressibleBlock(): Buffer {
  return systemRandom.bytes(BLOCK_BYTES);
}

export function roundTrips(client: Client, signal: AbortSignal): Work {
  const content = systemRandom.bytes(ROUND_TRIP_BYTES);
  return { bytes: 0, concurrency: 1, once: () => client.echo(content, { signal }) };
}

/** Whole connections, one after the other: TCP, TLS and hello. */
export function handshakes(options: ConnectOptions): Work {
  return {
    bytes: 0,
    concurrency: 1,
    once: async () => {
      const { client } = await connectTimed(options);
      await client.close();
    },
  };
}

/** Blocks that the server drops, over as many connections as there are `clients`. */
export function droppedBlocks(clients: readonly Client[], block: Buffer, signal: AbortSignal): Work {
  return {
    bytes: block.length,
    concurrency: BLOCKS_IN_FLIGHT * clients.length,
    once: (index) =>
      clients[index % clients.length]?.request('bench', {}, { content: block, signal }) ?? Promise.resolve(),
  };
}

export function hashedBlocks(algorithm: DigestAlgorithm, block: Buffer): Work {
  return { bytes: block.length, concurrency: 1, once: async () => blockDigest(algorithm, block) };
}

/**
 * Lets `measure` send blocks that the server checks and writes to its disk, into an upload at `path` that is given up
 * in any case: nothing is ever published.
 */
export async function withStoredBlocks<T>(
  connector: Connector,
  { path, block, signal }: { path: string; block: Buffer; signal: AbortSignal },
  measure: (work: Work) => Promise<T>,
): Promise<T> {
  const client = await connector.use(signal);
  const { algorithm } = client;
  // Waited for in any case: without the answer nobody could give the upload up.
  const { header } = await client.request('put', { path, size: null, base: 'none', if: 'absent' });
  const { upload } = readAnswer(UPLOAD_ANSWER, header);
  const once = (index: number) => {
    const digest = formatBlockDigest(algorithm, blockDigest(algorithm, block));
    return client.request('block', { upload, index, digest }, { content: block, signal });
  };
  // On another connection if this one broke: an upload belongs to its principal.
  const giveUp = async () => (await connector.use()).request('abort', { upload });
  try {
    const result = await measure({ bytes: block.length, concurrency: BLOCKS_IN_FLIGHT, once });
    await giveUp();
    return result;
  } catch (error) {
    await giveUp().catch(() => undefined);
    throw error;
  }
}
