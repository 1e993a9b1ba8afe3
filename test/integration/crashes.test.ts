import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import { nextTurn, systemClock } from '../../src/clock.ts';
import { Connector, download, streamSink, type ConnectOptions } from '../../src/index.ts';
import type { Random } from '../../src/random.ts';
import { Acknowledgements, NOTHING } from '../support/acknowledgements.ts';
import { effort, held, isLongRun } from '../support/cases.ts';
import { CliHome, type ServeProcess } from '../support/cli.ts';
import { events } from '../support/running-process.ts';
import { between, trialRandom } from '../support/seeded.ts';
import { CrashLoad, nameOf, type Site } from './crash-load.ts';

/** Most of the time is that of processes which start, on a machine that may do much else. */
const LONG = { timeout: effort(120_000, 6 * 3_600_000) };
const home = new CliHome();
afterAll(() => home.close());

/** Every file that stands in a served directory, by its path. */
function standing(root: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name).slice(root.length + 1);
    if (entry.isDirectory() || path.startsWith('.sealift/')) continue;
    found.set(path, nameOf(readFileSync(join(root, path))));
  }
  return found;
}

/** Holds what stands against what was acknowledged, and takes it as given from then on. */
function settle(root: string, acknowledgements: Acknowledgements): void {
  const since = acknowledgements.now();
  const found = standing(root);
  for (const path of new Set([...acknowledgements.paths(), ...found.keys()])) {
    const content = found.get(path) ?? NOTHING;
    expect(acknowledgements.allowed(path, since), path).toContain(content);
    acknowledgements.settle(path, content);
  }
}

function connectionTo({ host, port, pin }: ServeProcess): ConnectOptions {
  return { address: { host, port }, pins: [pin] };
}

/** What a served directory holds besides files, identity and versions: nothing is to be left of what was cut off. */
function leftovers(root: string): string[] {
  return ['uploads', 'removed'].flatMap((name) => {
    const directory = join(root, '.sealift', name);
    return existsSync(directory) ? readdirSync(directory) : [];
  });
}

/** After so many moments of work, a random number, resolves; what is under way then is at a random place. */
class Fuse {
  #left = Infinity;
  #burnt = Promise.withResolvers<void>();

  lit(moments: number): Promise<void> {
    this.#left = moments;
    this.#burnt = Promise.withResolvers<void>();
    return this.#burnt.promise;
  }

  burn(): void {
    this.#left -= 1;
    if (this.#left === 0) this.#burnt.resolve();
  }
}

async function someTurns(random: Random): Promise<void> {
  for (let turns = between(random, 0, 20); turns > 0; turns -= 1) await nextTurn();
}

/** Lets clients work on a server while it is killed and started `kills` times, and looks after each at what stands. */
async function crashes({
  server,
  args,
  random,
  kills,
}: Trial): Promise<{ acknowledgements: Acknowledgements; cutUploads: number }> {
  const acknowledgements = new Acknowledgements();
  const fuse = new Fuse();
  const site: Site = { connection: connectionTo(server), listening: Promise.resolve(), isOver: false };
  const directory = `${server.root}-sent`;
  const load = new CrashLoad({ site, random, acknowledgements, directory, onMoment: () => fuse.burn() });
  const working = load.run();
  // Its failure is told where it is waited for.
  working.catch(() => undefined);
  let running = server.process;
  for (let kill = 0; kill < kills; kill += 1) {
    await Promise.race([fuse.lit(between(random, 1, 120)), working]);
    await someTurns(random);
    const listening = Promise.withResolvers<void>();
    site.listening = listening.promise;
    await running.kill('SIGKILL');
    settle(server.root, acknowledgements);
    site.isOver = kill === kills - 1;
    running = (await home.serve([...args, '--port', `${server.port}`], server.root)).process;
    listening.resolve();
  }
  await working;
  await running.kill('SIGKILL');
  settle(server.root, acknowledgements);
  return { acknowledgements, cutUploads: load.cutUploads };
}

interface Trial {
  server: ServeProcess;
  args: readonly string[];
  random: Random;
  kills: number;
}

describe('a server that is killed under load', () => {
  test.concurrent.for([
    ['a plain one', []],
    ['one that keeps versions', ['--keep-versions', '1h']],
    ['one with an audit log', ['--audit-log', home.at('audit.jsonl')]],
  ] as const)(
    '%s has all that it acknowledged, whole, and nothing else',
    LONG,
    async ([name, args], context) => {
      const random = trialRandom(context);
      const kills = effort(12, 320);
      const root = home.at(name.replaceAll(' ', '-'));
      const server = await home.serve(args, root);
      const { acknowledgements, cutUploads } = await crashes({ server, args, random, kills });
      if (isLongRun) expect(cutUploads).toBeGreaterThan(0);

      const again = await home.serve([...args, '--abandoned-age', '0'], root);
      const connector = new Connector(connectionTo(again));
      const client = await connector.use();
      if (client.hello.features.includes('versions')) await assertVersions(connector, root, acknowledgements);
      // With the first upload it looks for those that nobody goes on with.
      const { header } = await client.request('put', { path: 'begun', size: null });
      await client.request('abort', { upload: header['upload'] as string });
      await connector[Symbol.asyncDispose]();
      expect(await again.process.kill('SIGTERM')).toMatchObject({ code: 0 });
      expect(leftovers(root)).toEqual([]);
      held(context, 'kills', kills);
    },
  );
});

describe('a server that is killed while it starts', () => {
  test('starts the next time, and is who it was', LONG, async (context) => {
    const random = trialRandom(context);
    const startMs = await untilListening(home.at('measured'));
    for (let round = 0; round < effort(2, 20); round += 1) {
      const root = home.at(`young-${round}`);
      const pins = new Set<string>();
      for (let kill = 0; kill < 3; kill += 1) {
        const starting = home.start(['serve', root, '--json', '--host', '127.0.0.1', '--port', '0']);
        await sleep(random.fraction() * startMs);
        const { stdout } = await starting.kill('SIGKILL');
        for (const { type, pin } of events(stdout)) if (type === 'listening') pins.add(pin as string);
        held(context, 'kills');
      }
      // What others may be writing just now stays for an hour.
      const before = new Date(Date.now() - 2 * 3_600_000);
      for (const path of temporaries(join(root, '.sealift'))) utimesSync(path, before, before);
      const server = await home.serve([], root);
      expect([...pins, server.pin]).toEqual([...pins].fill(server.pin).concat(server.pin));
      expect(await server.process.kill('SIGTERM')).toMatchObject({ code: 0 });
      expect(readdirSync(root, { recursive: true }).filter((name) => name.includes('.tmp'))).toEqual([]);
    }
  });
});

function temporaries(directory: string): string[] {
  const names = existsSync(directory) ? readdirSync(directory) : [];
  return names.filter((name) => name.endsWith('.tmp')).map((name) => join(directory, name));
}

/** How long a server takes until it listens, in milliseconds. */
async function untilListening(root: string): Promise<number> {
  const beganMs = systemClock.monotonicMs();
  const server = await home.serve([], root);
  const tookMs = systemClock.monotonicMs() - beganMs;
  await server.process.kill('SIGKILL');
  return tookMs;
}

/** Whatever was acknowledged and does not stand any more is kept as a version. */
async function assertVersions(
  connector: Connector,
  root: string,
  acknowledgements: Acknowledgements,
): Promise<void> {
  const now = standing(root);
  const kept = new Map(acknowledgements.paths().map((path) => [path, new Set([now.get(path)])]));
  const client = await connector.use();
  for await (const { path, version } of client.list('', { recursive: true, versions: true })) {
    const hash = createHash('sha256');
    await download(connector, path, streamSink(hash), { version });
    kept.get(path)?.add(hash.digest('hex'));
  }
  for (const [path, contents] of kept)
    expect([...contents], path).toEqual(expect.arrayContaining([...acknowledgements.stood(path)]));
}
