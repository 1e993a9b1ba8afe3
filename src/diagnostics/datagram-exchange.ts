import type { Readable, Writable } from 'node:stream';

import { MAX_DATAGRAM_BYTES, type DatagramLink } from '../transport/datagrams.ts';

/** How many datagrams came back. */
export interface DatagramResult {
  sent: number;
  returned: number;
  /** Of those that came back, in milliseconds. */
  slowestMs: number;
}

/** Sends all of `input` in datagrams, one after the other: each is waited for before the next. What comes back goes to `output`. */
export async function exchangeDatagrams(
  link: DatagramLink,
  options: { input: Readable; output: Writable; onLost: (number: number) => void },
): Promise<DatagramResult> {
  const result: DatagramResult = { sent: 0, returned: 0, slowestMs: 0 };
  for await (const chunk of options.input) {
    for (const bytes of pieces(chunk as Buffer)) {
      result.sent += 1;
      const ms = await link.echo(bytes);
      if (ms === undefined) {
        options.onLost(result.sent);
        continue;
      }
      result.returned += 1;
      result.slowestMs = Math.max(result.slowestMs, ms);
      await written(options.output, bytes);
    }
  }
  return result;
}

function* pieces(chunk: Buffer): Generator<Buffer> {
  for (let at = 0; at < chunk.length; at += MAX_DATAGRAM_BYTES)
    yield chunk.subarray(at, at + MAX_DATAGRAM_BYTES);
}

async function written(output: Writable, bytes: Buffer): Promise<void> {
  await new Promise<void>((resolve, reject) =>
    output.write(bytes, (error) => (error ? reject(error) : resolve())),
  );
}
