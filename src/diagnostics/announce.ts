import type { Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import { DEFAULT_PORT } from '../protocol/limits.ts';
import { answerBroadcasts } from '../transport/broadcasts.ts';
import { localNetworks } from '../transport/local-networks.ts';
import { announceService } from '../transport/multicast-services.ts';
import { discoveryAnswer } from './discovery-datagram.ts';
import { SERVICE_TYPE, type DiscoveryWay } from './discover.ts';

export interface AnnounceOptions {
  /** At least one. */
  ways: readonly DiscoveryWay[];
  /** Where the server listens: empty for all addresses, else it is announced only where that address is. */
  listenHost: string;
  /** UDP ports, where they are not the usual ones. */
  ports?: Partial<Record<DiscoveryWay, number>> | undefined;
  clock: Clock;
}

/** What is announced of a server. */
export interface Announced {
  /** Of the machine. */
  hostname: string;
  port: number;
  /** Read for each answer: a new certificate may have another one. */
  pin: () => string;
  version: string;
}

/** A label of DNS has 63 bytes at most, of which a port may take some. */
const MAX_LABEL_CHARACTERS = 57;

/** Tells the local network of a server until it is closed. Throws `bad-configuration` where that cannot be. */
export async function announce(
  { hostname, port, pin, version }: Announced,
  { ways, listenHost, ports, clock }: AnnounceOptions,
): Promise<{ close(): Promise<void> }> {
  const networks = localNetworks(listenHost);
  if (networks.length === 0) {
    throw new SealiftError(
      'bad-configuration',
      `A server on ${listenHost} is in no IPv4 network that it could be announced in.`,
    );
  }
  const label = (hostname.split('.')[0] ?? '').slice(0, MAX_LABEL_CHARACTERS);
  const host = `${label}.local`;
  // A machine with several servers: their names have to differ.
  const name = port === DEFAULT_PORT ? label : `${label}-${port}`;
  const begin: Record<DiscoveryWay, () => Promise<{ close(): Promise<void> }>> = {
    multicast: () =>
      announceService(() => ({ name, host, port, text: { name, pin: pin(), version } }), {
        type: SERVICE_TYPE,
        networks,
        clock,
        port: ports?.multicast,
      }),
    broadcast: () =>
      answerBroadcasts((question) => discoveryAnswer(question, { name, host, port, pin: pin(), version }), {
        port: ports?.broadcast ?? DEFAULT_PORT,
        networks,
        clock,
      }),
  };
  const begun: { close(): Promise<void> }[] = [];
  const close = async () => {
    await Promise.all(begun.map((each) => each.close()));
  };
  try {
    for (const way of ways) begun.push(await begin[way]());
    return { close };
  } catch (error) {
    await close();
    throw error;
  }
}
