// What a client does to a server for as long as it is let: everything at once, and every content compared.
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { withRetries } from '../../src/client/retry.ts';
import { systemClock } from '../../src/clock.ts';
import {
  Connector,
  download,
  fileSink,
  GetTree,
  isSealiftError,
  openFileSource,
  PartialFile,
  PutTree,
  syncTree,
  upload,
  type Client,
  type ConnectOptions,
  type RetryPolicy,
  type SealiftError,
  type TransferOptions,
  type TreeDirection,
} from '../../src/index.ts';
import { systemRandom, type Random } from '../../src/random.ts';
import { Throttle } from '../../src/transport/throttle.ts';
import { between, pick } from '../../test/support/seeded.ts';

const KIB = 2 ** 10;
const MIB = 2 ** 20;
/** A server that is gone comes again, and a link that is cut too: whatever was begun is ended. */
const PATIENT: RetryPolicy = { retries: 10_000, maxElapsedMs: 600_000, baseDelayMs: 20, maxDelayMs: 500 };
const SMALL_SIZES = [0, 1, 900, 9 * KIB, 70 * KIB, MIB];
const SLOW_BYTES_PER_SECOND = 4 * MIB;
/** Files that stand as long as the load runs. */
const ANCHORS = ['anchor/small', 'anchor/large'] as const;

/** What was done since the beginning, by kind, and what should not have happened. */
export interface LoadReport {
  operations: Record<string, number>;
  violations: string[];
}

export class Load {
  readonly report: LoadReport = { operations: {}, violations: [] };
  readonly #connection: ConnectOptions;
  readonly #directory: string;
  readonly #random: Random;
  readonly #transfer: TransferOptions = { retry: PATIENT };
  readonly #anchors = new Map<string, string>();
  #planting: Promise<void> | undefined;
  #isWorking = false;
  #working: Promise<void>[] = [];
  #lastName = 0;

  /** `directory`: for what is sent and fetched. */
  constructor(connection: ConnectOptions, directory: string, random: Random) {
    this.#connection = connection;
    this.#directory = directory;
    this.#random = random;
  }

  /** Begins to work, until `rest`. */
  work(): void {
    this.#isWorking = true;
    const rounds: ((connector: Connector, worker: number) => Promise<void>)[] = [
      ...Array.from({ length: 4 }, () => this.#smallFile),
      ...Array.from({ length: 2 }, () => this.#largeFile),
      ...Array.from({ length: 2 }, () => this.#tree),
      this.#look,
      this.#readSlowly,
    ];
    this.#working = rounds.map((round, worker) => this.#repeat(round, worker));
  }

  /** Ends what was begun, and every connection. */
  async rest(): Promise<void> {
    this.#isWorking = false;
    await Promise.all(this.#working);
    this.#working = [];
  }

  /** Takes everything away. Nothing is left then of what was acknowledged as removed, or the report says so. */
  async clear(): Promise<void> {
    const connector = new Connector(this.#connection);
    const left = await this.#ask(connector, (client) => Array.fromAsync(client.list('')));
    for (const { path } of left) {
      if (!/^(anchor|tree-\d+)$/.test(path)) this.#violate(`${path} was left, which should be gone.`);
      await this.#remove(connector, path);
    }
    await connector[Symbol.asyncDispose]();
  }

  async #repeat(
    round: (connector: Connector, worker: number) => Promise<void>,
    worker: number,
  ): Promise<void> {
    const connector = new Connector(this.#connection);
    while (this.#isWorking) {
      try {
        await round.call(this, connector, worker);
      } catch (error) {
        if (isSealiftError(error, 'no-space')) this.#count('refused: no space');
        else this.#violate(error instanceof Error ? (error.stack ?? error.message) : String(error));
      }
    }
    await connector[Symbol.asyncDispose]();
  }

  /** Put, replaced, fetched, and removed. */
  async #smallFile(connector: Connector): Promise<void> {
    const path = `small/${between(this.#random, 0, 20)}/${this.#newName()}`;
    const parent = dirname(path);
    try {
      for (let changes = between(this.#random, 1, 4); changes > 0; changes -= 1) {
        await this.#putAndCompare(connector, path, randomBytes(pick(this.#random, SMALL_SIZES)));
      }
    } finally {
      await this.#remove(connector, path);
      // Others may have files there.
      await this.#ask(connector, (client) => client.remove(parent)).catch(passOver('not-found', 'not-empty'));
      await this.#ask(connector, (client) => client.remove('small')).catch(
        passOver('not-found', 'not-empty'),
      );
    }
  }

  /** The same with blocks, over one connection or two, and a second time with what has changed in it. */
  async #largeFile(connector: Connector): Promise<void> {
    const path = `large-${this.#newName()}`;
    const content = randomBytes(between(this.#random, MIB + 1, 6 * MIB));
    try {
      await this.#putAndCompare(connector, path, content, { streams: pick(this.#random, [1, 2]) });
      randomBytes(100).copy(content, between(this.#random, 0, MIB));
      await this.#putAndCompare(connector, path, content, { base: 'existing' });
    } finally {
      await this.#remove(connector, path);
    }
  }

  async #putAndCompare(
    connector: Connector,
    path: string,
    content: Buffer,
    options: Parameters<typeof upload>[3] = {},
  ): Promise<void> {
    await this.#put(connector, path, content, options);
    const found = await this.#fetchedDigest(connector, path);
    if (found !== digestOf(content)) this.#violate(`${path} came back changed.`);
  }

  async #put(
    connector: Connector,
    path: string,
    content: Buffer,
    options: Parameters<typeof upload>[3] = {},
  ): Promise<void> {
    const file = this.#write(`sent-${this.#newName()}`, content);
    const source = await openFileSource(file);
    try {
      await upload(connector, source, path, { ...this.#transfer, ...options });
    } finally {
      await source[Symbol.asyncDispose]();
      rmSync(file);
    }
    this.#count(content.length > MIB ? 'put, large' : 'put, small');
  }

  async #fetchedDigest(connector: Connector, path: string, options: TransferOptions = {}): Promise<string> {
    const target = join(this.#directory, `got-${this.#newName()}`);
    const partial = await PartialFile.open(target, path);
    try {
      const fetched = await download(connector, path, fileSink(partial), { ...this.#transfer, ...options });
      await partial.complete({ ...fetched, mustBeNew: true });
    } finally {
      await partial[Symbol.asyncDispose]();
    }
    const digest = digestOf(readFileSync(target));
    rmSync(target);
    this.#count('get');
    return digest;
  }

  /** A tree that changes is sent, fetched again and compared. */
  async #tree(connector: Connector, worker: number): Promise<void> {
    const top = `tree-${worker}`;
    const [here, there] = [join(this.#directory, top), join(this.#directory, `${top}-fetched`)];
    for (let index = 0; index < 40; index += 1) {
      const name = `${top}/${index % 4}/${index}`;
      const chance = this.#random.fraction();
      if (chance < 0.2) rmSync(join(this.#directory, name), { force: true });
      else if (chance < 0.5) this.#write(name, randomBytes(between(this.#random, 0, 20 * KIB)));
    }
    this.#write(`${top}/large`, randomBytes(between(this.#random, MIB, 3 * MIB)));
    await this.#sync('sync, up', new PutTree({ ...this.#transfer, connector, root: here, top }));
    await this.#sync('sync, down', new GetTree({ ...this.#transfer, connector, top, root: there }));
    if (treeDigest(here) !== treeDigest(there)) this.#violate(`${top} came back changed.`);
  }

  // A server that is killed several times while a tree is sent is for another run.
  async #sync(kind: string, direction: TreeDirection): Promise<void> {
    const failures: SealiftError[] = [];
    const rules = { delete: true, compare: 'digest' } as const;
    const observer = { onFailed: (error: SealiftError) => void failures.push(error) };
    if (await syncTree(direction, { rules, allowEmptySource: true, observer })) return this.#count(kind);
    const failure = failures.find(({ code, details }) => (details['lastCode'] ?? code) !== 'connection-lost');
    if (failure !== undefined) throw failure;
    await this.#sync(kind, direction);
  }

  /** What stands all the time is found by every way there is. */
  async #look(connector: Connector): Promise<void> {
    await (this.#planting ??= this.#plantAnchors(connector));
    const listed = await this.#ask(connector, (client) =>
      Array.fromAsync(client.list('', { recursive: true })),
    );
    const found = await this.#ask(connector, (client) => Array.fromAsync(client.search('anchor/*')));
    for (const path of ANCHORS) {
      if (!listed.some((entry) => entry.path === path)) this.#violate(`${path} was not listed.`);
      if (!found.includes(path)) this.#violate(`${path} was not found.`);
    }
    await this.#ask(connector, (client) => client.ping());
    this.#count('list, search and ping');
  }

  async #readSlowly(connector: Connector): Promise<void> {
    await (this.#planting ??= this.#plantAnchors(connector));
    const throttle = new Throttle({ bytesPerSecond: SLOW_BYTES_PER_SECOND, clock: systemClock });
    const take = (bytes: number) => throttle.take(bytes);
    for (const path of ANCHORS) {
      const digest = await this.#fetchedDigest(connector, path, { throttle: take });
      if (digest !== this.#anchors.get(path)) this.#violate(`${path} came back changed.`);
    }
  }

  async #plantAnchors(connector: Connector): Promise<void> {
    for (const [index, path] of ANCHORS.entries()) {
      const content = randomBytes(index === 0 ? KIB : 5 * MIB);
      this.#anchors.set(path, digestOf(content));
      await this.#put(connector, path, content);
    }
  }

  async #remove(connector: Connector, path: string): Promise<void> {
    await this.#ask(connector, (client) => client.remove(path, { recursive: true })).catch(
      passOver('not-found'),
    );
    this.#count('remove');
  }

  #ask<T>(connector: Connector, task: (client: Client) => Promise<T>): Promise<T> {
    return withRetries({ policy: PATIENT, clock: systemClock, random: systemRandom }, async () =>
      task(await connector.use()),
    );
  }

  #write(name: string, content: Buffer): string {
    const path = join(this.#directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  }

  #newName(): string {
    this.#lastName += 1;
    return `${process.pid}-${this.#lastName}`;
  }

  #count(kind: string): void {
    this.report.operations[kind] = (this.report.operations[kind] ?? 0) + 1;
  }

  #violate(what: string): void {
    this.report.violations.push(what);
  }
}

function digestOf(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

function treeDigest(root: string): string {
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map(({ parentPath, name }) => join(parentPath, name)).sort();
  return paths.map((path) => `${path.slice(root.length)} ${digestOf(readFileSync(path))}`).join('\n');
}

function passOver(...codes: ('not-found' | 'not-empty')[]): (error: unknown) => void {
  return (error) => {
    if (!isSealiftError(error, ...codes)) throw error;
  };
}
