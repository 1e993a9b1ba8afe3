import { once } from 'node:events';

import multicastDns, { type MulticastDNS, type ResponsePacket } from 'multicast-dns';

import type { Clock } from '../clock.ts';
import { SealiftError, systemCode } from '../errors.ts';
import { isNeighbour, type LocalNetwork } from './local-networks.ts';

/** A service as DNS-SD tells of it (RFC 6763). */
export interface ServiceInstance {
  /** One label: no dots. */
  name: string;
  /** As in `fileserver.local`. */
  host: string;
  port: number;
  addresses: readonly string[];
  /** The TXT record. */
  text: Readonly<Record<string, string>>;
}

export interface MulticastOptions {
  /** As in `_sealift._tcp.local`. */
  type: string;
  networks: readonly LocalNetwork[];
  clock: Clock;
  /** Default 5353, on which all the world's multicast DNS is. */
  port?: number | undefined;
}

/** The least time between two answers in one network (RFC 6762, 6), and between the first two announcements and questions (8.3, 5.2), in milliseconds. */
const INTERVAL_MS = 1_000;
/** How long records may be remembered, in seconds (RFC 6762, 10): those with addresses, and the others. */
const ADDRESS_TTL = 120;
const OTHER_TTL = 4_500;

type DnsRecord = NonNullable<ResponsePacket['answers']>[number];

/** Announces a service in each network with the addresses that it has there, and answers questions for it, until it is closed: then it says goodbye. `instance` is read for each answer. Throws `bad-configuration`. */
export async function announceService(
  instance: () => Omit<ServiceInstance, 'addresses'>,
  options: MulticastOptions,
): Promise<{ close(): Promise<void> }> {
  const responders = await inEach(options, (dns, network) => {
    const records = (ttl?: number) => recordsOf(options.type, { ...instance(), ...network }, ttl);
    return new Responder(dns, network, options, records);
  });
  return {
    async close() {
      await Promise.all(responders.map((responder) => responder.close()));
    },
  };
}

/** Asks for services until it is closed; each answer is told, the same service perhaps more than once. Throws `bad-configuration`. */
export async function browseServices(
  onFound: (instance: ServiceInstance) => void,
  options: MulticastOptions,
): Promise<{ close(): Promise<void> }> {
  const { type, clock } = options;
  const askers = await inEach(options, (dns, network) => {
    dns.on('response', ({ answers = [], additionals = [] }, { address }) => {
      if (!isNeighbour(address, network)) return;
      for (const instance of instancesIn(type, [...answers, ...additionals], address)) onFound(instance);
    });
    const ask = () => dns.query([{ name: type, type: 'PTR' }]);
    ask();
    return { dns, cancel: clock.schedule(INTERVAL_MS, ask) };
  });
  return {
    async close() {
      for (const { cancel } of askers) cancel();
      await Promise.all(askers.map(({ dns }) => closed(dns)));
    },
  };
}

/** Tells of one service in one network. */
class Responder {
  readonly #dns: MulticastDNS;
  readonly #clock: Clock;
  readonly #records: (ttl?: number) => DnsRecord[];
  #lastMs = -Infinity;
  #cancel: (() => void) | undefined;

  constructor(
    dns: MulticastDNS,
    network: LocalNetwork,
    { clock }: MulticastOptions,
    records: (ttl?: number) => DnsRecord[],
  ) {
    this.#dns = dns;
    this.#clock = clock;
    this.#records = records;
    dns.on('query', ({ questions = [], answers = [] }, { address }) => {
      // A socket hears what comes from the other networks, too (RFC 6762, 11).
      if (!isNeighbour(address, network)) return;
      const own = this.#records();
      // Who says that it knows us need not be told.
      const isKnown = answers.some((known) => own.some((record) => isSamePointer(known, record)));
      if (!isKnown && questions.some((question) => own.some((record) => isAbout(question, record))))
        this.#tell();
    });
    this.#tell();
    this.#cancel = clock.schedule(INTERVAL_MS, () => this.#tellNow());
  }

  async close(): Promise<void> {
    this.#cancel?.();
    // With no time to live left: that is the goodbye (RFC 6762, 10.1).
    await new Promise((resolve) => this.#dns.respond(this.#records(0), () => resolve(undefined)));
    await closed(this.#dns);
  }

  // However many ask: all of them hear the same answer, and none can make us flood the network.
  #tell(): void {
    const dueMs = this.#lastMs + INTERVAL_MS - this.#clock.monotonicMs();
    if (dueMs <= 0) this.#tellNow();
    else this.#cancel ??= this.#clock.schedule(dueMs, () => this.#tellNow());
  }

  #tellNow(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#lastMs = this.#clock.monotonicMs();
    this.#dns.respond(this.#records());
  }
}

function isSamePointer(one: DnsRecord, other: DnsRecord): boolean {
  return one.type === 'PTR' && other.type === 'PTR' && one.name === other.name && one.data === other.data;
}

function isAbout(question: { name: string; type: string }, record: DnsRecord): boolean {
  return (
    question.name.toLowerCase() === record.name.toLowerCase() &&
    (question.type === 'ANY' || question.type === record.type)
  );
}

function recordsOf(type: string, instance: ServiceInstance, ttl?: number): DnsRecord[] {
  const { name, host, port, addresses, text } = instance;
  const full = `${name}.${type}`;
  const own = { ttl: ttl ?? ADDRESS_TTL, flush: true };
  return [
    { name: type, type: 'PTR', ttl: ttl ?? OTHER_TTL, data: full },
    { ...own, name: full, type: 'SRV', data: { port, target: host } },
    {
      ...own,
      name: full,
      type: 'TXT',
      ttl: ttl ?? OTHER_TTL,
      data: Object.entries(text).map(([key, value]) => `${key}=${value}`),
    },
    ...addresses.map((address): DnsRecord => ({
      ...own,
      name: host,
      type: address.includes(':') ? 'AAAA' : 'A',
      data: address,
    })),
  ];
}

/** The services that records tell of; one without an address has that of the sender. Records of peers may say anything. */
function instancesIn(type: string, records: readonly DnsRecord[], sender: string): ServiceInstance[] {
  return records.flatMap((pointer) => {
    if (pointer.type !== 'PTR' || !isAbout({ name: type, type: 'PTR' }, pointer) || pointer.ttl === 0)
      return [];
    const named = records.filter(({ name }) => name === pointer.data);
    const service = named.find((record) => record.type === 'SRV');
    if (service === undefined || !pointer.data.endsWith(`.${type}`)) return [];
    const { port, target } = service.data;
    const addresses = records.flatMap((record) =>
      (record.type === 'A' || record.type === 'AAAA') && record.name === target ? [record.data] : [],
    );
    return [
      {
        name: pointer.data.slice(0, -type.length - 1),
        host: target,
        port,
        addresses: addresses.length === 0 ? [sender] : addresses,
        text: textOf(named),
      },
    ];
  });
}

function textOf(records: readonly DnsRecord[]): Record<string, string> {
  const data = records.flatMap((record) => (record.type === 'TXT' ? [record.data].flat() : []));
  const pairs = data.map((pair) => /^([^=]+)=(.*)$/s.exec(pair.toString()) ?? []);
  return Object.fromEntries(
    pairs.flatMap(([, key, value]) => (key === undefined ? [] : [[key, value ?? '']])),
  );
}

/** Does the same in each network, with a socket that speaks there only. */
async function inEach<T>(
  { networks, port }: MulticastOptions,
  begin: (dns: MulticastDNS, network: LocalNetwork) => T,
): Promise<T[]> {
  const opened: { dns: MulticastDNS; network: LocalNetwork }[] = [];
  try {
    for (const network of networks) {
      // Bound to all addresses: a socket bound to one of them hears nothing that was sent to the group.
      const dns = multicastDns({ interface: network.address, bind: '0.0.0.0', port: port ?? 5353 });
      opened.push({ dns, network });
      dns.on('error', () => undefined);
      await once(dns, 'ready');
    }
  } catch (cause) {
    await Promise.all(opened.map(({ dns }) => closed(dns)));
    const message = `Multicast DNS cannot be used here (${systemCode(cause) ?? String(cause)}).`;
    throw new SealiftError('bad-configuration', message, { cause });
  }
  return opened.map(({ dns, network }) => begin(dns, network));
}

function closed(dns: MulticastDNS): Promise<void> {
  return new Promise((resolve) => dns.destroy(() => resolve()));
}
