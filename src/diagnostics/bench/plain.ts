import type { Client } from '../../client/client.ts';
import type { Clock } from '../../clock.ts';
import { isSealiftError, SealiftError } from '../../errors.ts';
import { MAX_PLAIN_BYTES, PLAIN_LIFETIME_MS } from '../../protocol/limits.ts';
import { BENCH_ANSWER, readAnswer } from '../../protocol/responses.ts';
import { PlainSender } from '../../transport/plain-sender.ts';
import { BLOCKS_IN_FLIGHT, type Work } from './repeat.ts';

/**
 * Lets `measure` send blocks over TCP without TLS to a port that the server opens for it, where its operator allows
 * that. Throws `unsupported` or `busy` if it does not, and `unsupported` if the port cannot be reached.
 */
export async function withPlainBlocks<T>(
  client: Client,
  { block, clock, signal }: { block: Buffer; clock: Clock; signal: AbortSignal },
  measure: (work: Work) => Promise<T>,
): Promise<T> {
  if (!('host' in client.address)) throw new SealiftError('unsupported', 'A Unix socket is no TCP.');
  const { header } = await client.request('bench', { plain: true }, { signal });
  const { port, key } = readAnswer(BENCH_ANSWER, header);
  if (port === undefined || key === undefined)
    throw new SealiftError('unsupported', 'The server opened no port.');
  // The address that the connection with TLS has found: another one of the name may be another machine.
  const address = { host: client.peer.address, port };
  const sender = await PlainSender.connect(address, Buffer.from(key, 'hex'), { clock, signal }).catch(
    (cause: unknown) => {
      if (!isSealiftError(cause, 'connection-refused', 'unreachable', 'connect-timeout')) throw cause;
      throw new SealiftError('unsupported', `Its port ${port} cannot be reached.`, { cause });
    },
  );
  try {
    return await measure({
      bytes: block.length,
      concurrency: BLOCKS_IN_FLIGHT,
      once: () => sender.send(block),
      // The server ends it otherwise.
      atMost: { durationMs: PLAIN_LIFETIME_MS / 2, bytes: MAX_PLAIN_BYTES },
    });
  } finally {
    sender.close();
  }
}
