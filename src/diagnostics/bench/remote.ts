import type { Client } from '../../client/client.ts';
import { connect, type ConnectOptions } from '../../client/connect.ts';
import { Connector } from '../../client/connector.ts';
import { systemClock } from '../../clock.ts';
import { systemRandom } from '../../random.ts';
import { joinPath } from '../../transfer/remote-path.ts';
import type { Peer } from '../../transport/peer.ts';
import type { Measurement, Unmeasured } from './measurement.ts';
import { withPlainBlocks } from './plain.ts';
import { measured, type Step } from './steps.ts';
import {
  CIPHER_SUITES,
  droppedBlocks,
  handshakes,
  hashedBlocks,
  incompressibleBlock,
  roundTrips,
  withStoredBlocks,
} from './works.ts';

/** What to measure of a server, and how far to go. */
export interface RemoteBenchOptions {
  connect: ConnectOptions;
  /** The directory on the server in which an upload is begun; nothing is published there. */
  directory: string;
  /** All measurements together, in milliseconds, but for the connections that have to be made for them. */
  durationMs: number;
  /** All measurements together, of content that is sent. */
  maxBytes: number;
  /** The most connections at once. */
  maxStreams: number;
  /** Told of the server before anything is measured. */
  onConnected: (peer: Peer) => void;
  signal: AbortSignal;
}

/**
 * Measures what a transfer to a server consists of, each by itself, within the bounds. Throws what connecting throws,
 * `forbidden` without the permission to write, `unsupported` if the server takes no part in it.
 */
export async function* benchRemote(options: RemoteBenchOptions): AsyncGenerator<Measurement | Unmeasured> {
  const { durationMs, maxBytes, signal } = options;
  const clock = options.connect.clock ?? systemClock;
  const connector = new Connector({ ...options.connect, signal });
  try {
    const client = await connector.use(signal);
    // Asked before anything is measured.
    await client.request('bench', {}, { signal });
    options.onConnected(client.peer);
    yield* measured(stepsFor(connector, client, options), { durationMs, maxBytes, clock, signal });
  } finally {
    await connector[Symbol.asyncDispose]();
  }
}

function stepsFor(
  connector: Connector,
  client: Client,
  { directory, maxStreams, signal }: RemoteBenchOptions,
): Step[] {
  const clock = connector.options.clock ?? systemClock;
  const block = incompressibleBlock();
  const name = `sealift-bench-${systemRandom.bytes(8).toString('hex')}`;
  const path = joinPath(directory, name);
  const negotiated = client.peer.cipher;
  return [
    { kind: 'round-trip', name: '', measure: (run) => run(roundTrips(client, signal)) },
    { kind: 'handshake', name: '', measure: (run) => run(handshakes(connector.options)) },
    {
      kind: 'plain',
      name: '',
      measure: (run) => withPlainBlocks(client, { block, clock, signal }, run),
    },
    {
      kind: 'cipher',
      name: negotiated,
      measure: (run) => run(droppedBlocks([client], block, signal)),
    },
    ...CIPHER_SUITES.filter((suite) => suite !== negotiated).map((suite) =>
      cipherStep(connector.options, suite, block, signal),
    ),
    ...streamCounts(maxStreams).map((count) => streamsStep(connector, count, block, signal)),
    {
      kind: 'hash',
      name: client.algorithm,
      measure: (run) => run(hashedBlocks(client.algorithm, block)),
    },
    {
      kind: 'stored',
      name: '',
      measure: (run) => withStoredBlocks(connector, { path, block, signal }, run),
    },
  ];
}

/** Blocks that the server drops, over a connection with no other cipher suite. */
export function cipherStep(options: ConnectOptions, suite: string, block: Buffer, signal: AbortSignal): Step {
  return {
    kind: 'cipher',
    name: suite,
    measure: async (run) => {
      const client = await connect({ ...options, ciphers: suite, signal });
      try {
        return await run(droppedBlocks([client], block, signal));
      } finally {
        await client.close();
      }
    },
  };
}

function streamsStep(connector: Connector, count: number, block: Buffer, signal: AbortSignal): Step {
  return {
    kind: 'streams',
    name: String(count),
    measure: async (run) => {
      const clients = await Promise.all(connector.streams(count).map((stream) => stream.use(signal)));
      return run(droppedBlocks(clients, block, signal));
    },
  };
}

/** 2, 4, 8 and so on, and `max` itself. */
function streamCounts(max: number): number[] {
  const counts = [];
  for (let count = 2; count < max; count *= 2) counts.push(count);
  return max > 1 ? [...counts, max] : counts;
}
