import { sleep, type Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import { DEFAULT_PORT } from '../protocol/limits.ts';
import type { Random } from '../random.ts';
import { askByBroadcast } from '../transport/broadcasts.ts';
import { localNetworks, type LocalNetwork } from '../transport/local-networks.ts';
import { browseServices } from '../transport/multicast-services.ts';
import { announcedServer, type AnnouncedServer, type ClaimedServer } from './announced-server.ts';
import { claimOf, discoveryQuestion } from './discovery-datagram.ts';

/** By DNS-SD over multicast DNS (RFC 6763, 6762), or by UDP broadcast where multicast is blocked. */
export type DiscoveryWay = 'multicast' | 'broadcast';

export const SERVICE_TYPE = '_sealift._tcp.local';

export interface DiscoverOptions {
  way: DiscoveryWay;
  /** How long answers are waited for, in milliseconds. */
  timeoutMs: number;
  /** Look only in the networks of this address. Default: in all that this machine is in. */
  from?: string | undefined;
  /** The UDP port, where it is not the usual one. */
  port?: number | undefined;
  /** Called for each server when it is first heard of. */
  onFound?: ((server: AnnouncedServer) => void) | undefined;
  clock: Clock;
  random: Random;
  signal?: AbortSignal | undefined;
}

/** A network in which more than this many servers are announced is one in which somebody makes them up. */
const MAX_SERVERS = 1_000;

/** Looks for servers on the local network. What they say is proven by nothing. Throws `bad-configuration` and `aborted`. */
export async function discover(options: DiscoverOptions): Promise<AnnouncedServer[]> {
  const { way, timeoutMs, clock, signal } = options;
  const found = new FoundServers(options.onFound);
  const search = await (way === 'multicast' ? byMulticast : byBroadcast)(options, (claim) =>
    found.add(claim),
  );
  try {
    await sleep(clock, timeoutMs, signal);
  } finally {
    await search.close();
  }
  return found.all;
}

function byMulticast({ from, port, clock }: DiscoverOptions, onClaim: (claim: ClaimedServer) => void) {
  return browseServices(
    ({ text, ...service }) =>
      onClaim({ ...service, name: text['name'] ?? service.name, pin: text['pin'], version: text['version'] }),
    { type: SERVICE_TYPE, networks: networksOf(from), clock, port },
  );
}

function byBroadcast(
  { from, port, clock, random }: DiscoverOptions,
  onClaim: (claim: ClaimedServer) => void,
) {
  const nonce = random.bytes(8).toString('hex');
  return askByBroadcast(
    discoveryQuestion(nonce),
    (answer, { address }) => {
      const claim = claimOf(answer, nonce, address);
      if (claim !== undefined) onClaim(claim);
    },
    { port: port ?? DEFAULT_PORT, networks: networksOf(from), clock },
  );
}

function networksOf(from: string | undefined): LocalNetwork[] {
  const networks = localNetworks(from);
  if (networks.length > 0) return networks;
  const message =
    from === undefined
      ? 'This machine is in no IPv4 network.'
      : `This machine has no address ${from} in an IPv4 network.`;
  throw new SealiftError('bad-configuration', message);
}

/** Servers by what they say, with the addresses of all networks in which they said it. */
class FoundServers {
  readonly #servers = new Map<string, AnnouncedServer>();
  readonly #onFound: ((server: AnnouncedServer) => void) | undefined;

  constructor(onFound: ((server: AnnouncedServer) => void) | undefined) {
    this.#onFound = onFound;
  }

  get all(): AnnouncedServer[] {
    return [...this.#servers.values()];
  }

  add(claim: ClaimedServer): void {
    const server = announcedServer(claim);
    if (server === undefined) return;
    const key = JSON.stringify([server.name, server.host, server.port, server.pin]);
    const known = this.#servers.get(key);
    if (known === undefined && this.#servers.size >= MAX_SERVERS) return;
    const addresses = [...new Set([...(known?.addresses ?? []), ...server.addresses])];
    this.#servers.set(key, { ...server, addresses });
    if (known === undefined) this.#onFound?.(server);
  }
}
