// The soak itself: its course, and what is looked at on the way.
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { systemClock } from '../../src/clock.ts';
import { connect } from '../../src/index.ts';
import { seededRandom, type Random } from '../../src/random.ts';
import { startFaultProxy, type FaultProxy } from '../../src/transport/fault-proxy.ts';
import type { CliHome } from '../../test/support/cli.ts';
import type { TinyDisk } from '../../test/support/tiny-disk.ts';
import { atRest, memoryLimit, type AtRest } from './at-rest.ts';
import { disturb, MILD, RESTARTS, type Disturbances } from './disturbances.ts';
import { LiveLine } from './live-line.ts';
import type { SoakOptions } from './options.ts';
import { SoakedServer } from './soaked-server.ts';
import { SoakingClient } from './soaking-client.ts';
import { atMost, told, type Finding } from './verdict.ts';

/** Below this, a few late turns of a process that starts would be all there is to judge. */
const MIN_SECONDS_FOR_LAG = 60;

/** A server and a client that work on each other. */
export class Soak {
  readonly #home: CliHome;
  readonly #disk: TinyDisk | undefined;
  readonly #seconds: number;
  readonly #random: Random;
  readonly #seed: number;
  readonly #server: SoakedServer;
  readonly #disturbances: Record<string, number> = {};
  #proxy: FaultProxy | undefined;
  #client: SoakingClient | undefined;
  #live: LiveLine | undefined;

  constructor(home: CliHome, disk: TinyDisk | undefined, { seconds, seed }: SoakOptions) {
    this.#home = home;
    this.#disk = disk;
    this.#seconds = seconds;
    this.#seed = seed;
    this.#random = seededRandom(seed);
    this.#server = new SoakedServer({ home, disk });
  }

  /** Warms both up, lets them work through what a server lives through, then through restarts too, and looks after each what they hold at rest. */
  async findings(): Promise<Finding[]> {
    const { server, proxy, client } = await this.#start();
    this.#live = new LiveLine(this.#seconds, () => this.#soFar(server, client));
    const disturbed = { server, proxy, disk: this.#disk, random: this.#random };
    const work = async (seconds: number, kinds: Disturbances) => {
      await client.ask('work');
      await disturb(disturbed, kinds, seconds * 1_000, (kind) => add(this.#disturbances, kind));
      await client.ask('rest');
    };
    await work(this.#seconds * 0.2, {});
    const warm = await this.#atRest(server, client);
    await work(this.#seconds * 0.4, MILD);
    const later = await this.#atRest(server, client, warm);
    await work(this.#seconds * 0.4, { ...MILD, ...RESTARTS });
    const last = await this.#atRest(server, client, warm);
    const { operations, violations } = await client.ask('clear');
    this.#live.close();
    for (const violation of violations.slice(0, 20)) console.error(violation);
    return [
      ...Object.entries(operations)
        .sort()
        .map(([kind, count]) => told(kind, count)),
      ...Object.entries(this.#disturbances)
        .sort()
        .map(([kind, count]) => told(`disturbed by: ${kind}`, count)),
      atMost('wrong contents, and errors without a reason', violations.length, 0),
      ...compared('after disturbances', warm, later),
      ...compared('after restarts', warm, last),
      ...(await this.#lags(server)),
      ...(await this.#leftovers(server)),
    ];
  }

  /** Ends what still runs of it, however far it came. */
  async close(): Promise<void> {
    this.#live?.close();
    await this.#client?.close();
    await this.#proxy?.close();
  }

  async #start() {
    const server = this.#server;
    await server.start();
    const { host, port, pin } = server;
    const proxy = await startFaultProxy({ target: { host, port }, clock: systemClock, random: this.#random });
    this.#proxy = proxy;
    const directory = this.#home.at('client');
    mkdirSync(directory);
    const address = { host, port: proxy.port };
    const client = new SoakingClient({ address, pin, directory, seed: this.#seed }, this.#home.env);
    this.#client = client;
    return { server, proxy, client };
  }

  /** What both hold once the server is quiet; and no more than `before`, if that comes within two seconds. */
  async #atRest(server: SoakedServer, client: SoakingClient, before?: Rest): Promise<Rest> {
    const isQuiet = await server.quiet();
    for (let attempt = 0; ; attempt += 1) {
      const { timers } = await client.ask('report');
      const rest = { isQuiet, server: atRest(server.pid), client: atRest(client.pid), timers };
      // The end of a connection is told before the kernel has its socket back.
      const isLess = before === undefined || compared('', before, rest).every(({ holds }) => holds);
      if (isLess || attempt === 20) return rest;
      await sleep(100);
    }
  }

  async #soFar(server: SoakedServer, client: SoakingClient): Promise<string> {
    const { operations, violations } = await client.ask('report');
    const { handles, memory } = atRest(server.pid);
    return (
      `${sum(operations)} operations, ${sum(this.#disturbances)} disturbances, ${violations.length} wrong; ` +
      `the server has ${memory} MB and ${handles} handles`
    );
  }

  async #lags(server: SoakedServer): Promise<Finding[]> {
    if (this.#seconds < MIN_SECONDS_FOR_LAG) return [];
    const { all, long } = (await server.told()).lags;
    return [
      atMost('times that the event loop was over 100 ms late, in a thousand', (1_000 * long) / all, 10),
    ];
  }

  /** Starts the server once more, so that it gives up what nobody goes on with, and looks what is left. */
  async #leftovers(server: SoakedServer): Promise<Finding[]> {
    await server.stop();
    await server.start('--abandoned-age', '0');
    const { host, port, pin } = server;
    const client = await connect({ address: { host, port }, pins: [pin] });
    // With the first upload it looks for those that nobody goes on with.
    const { header } = await client.request('put', { path: 'begun', size: null });
    await client.request('abort', { upload: header['upload'] as string });
    await client.close();
    await server.stop();
    const state = ['uploads', 'removed'].flatMap((name) => readdirSync(join(server.root, '.sealift', name)));
    const temporary = readdirSync(this.#home.at('client'), { recursive: true, encoding: 'utf8' });
    return [
      atMost('files that are left in the served directory', readdirSync(server.root).length - 1, 0),
      atMost('temporary files of the server', state.length, 0),
      atMost(
        'temporary files of the client',
        temporary.filter((name) => name.includes('.sealift-')).length,
        0,
      ),
    ];
  }
}

/** What is held when nothing is to be done. */
interface Rest {
  /** Whether nobody was connected any more. */
  isQuiet: boolean;
  server: AtRest;
  client: AtRest;
  timers: number;
}

function compared(when: string, before: Rest, after: Rest): Finding[] {
  return [
    atMost(`${when}: connections and uploads that do not end`, after.isQuiet ? 0 : 1, 0),
    atMost(`${when}: handles of the server`, after.server.handles, before.server.handles),
    atMost(`${when}: handles of the client`, after.client.handles, before.client.handles),
    atMost(`${when}: timers of the client`, after.timers, before.timers),
    atMost(`${when}: MB of the server`, after.server.memory, memoryLimit(before.server.memory)),
    atMost(`${when}: MB of the client`, after.client.memory, memoryLimit(before.client.memory)),
  ];
}

function add(counts: Record<string, number>, kind: string): void {
  counts[kind] = (counts[kind] ?? 0) + 1;
}

function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
