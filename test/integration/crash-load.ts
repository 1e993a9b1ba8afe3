import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import {
  Connector,
  isSealiftError,
  openFileSource,
  PutTree,
  syncTree,
  upload,
  type Client,
  type ConnectOptions,
  type RetryPolicy,
} from '../../src/index.ts';
import type { Random } from '../../src/random.ts';
import { NOTHING, type Acknowledgements, type ChangeEnd } from '../support/acknowledgements.ts';
import { between, pick } from '../support/seeded.ts';

const KIB = 2 ** 10;
const MIB = 2 ** 20;
/** Every restart is waited for: what a client has begun it ends. */
const PATIENT: RetryPolicy = { retries: 10_000, maxElapsedMs: 600_000, baseDelayMs: 20, maxDelayMs: 200 };
const SMALL_PATHS = Array.from({ length: 24 }, (_, index) => `small/${index % 4}/${index}`);
const TREE_PATHS = Array.from({ length: 16 }, (_, index) => `${index % 3}/${index}`);

/** A server that is killed again and again. */
export interface Site {
  connection: ConnectOptions;
  /** Resolves when it listens again. */
  listening: Promise<void>;
  /** Whether nothing new is to be begun. */
  isOver: boolean;
}

export interface CrashLoadOptions {
  site: Site;
  random: Random;
  acknowledgements: Acknowledgements;
  /** For what is sent. */
  directory: string;
  /** Called when something was acknowledged, and when bytes have moved. */
  onMoment: () => void;
}

/** By its name in the acknowledgements. */
export function nameOf(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

/**
 * Several clients that put, replace, remove and read what others of them do too, small files, large ones and trees,
 * and go on whenever the server is there again.
 */
export class CrashLoad {
  /** Uploads of large files that were cut, and went on. */
  cutUploads = 0;
  readonly #options: CrashLoadOptions;
  readonly #connectors: Connector[] = [];

  constructor(options: CrashLoadOptions) {
    this.#options = options;
  }

  /** Resolves when the site is over and everything that was begun is done. Throws what no crash explains. */
  async run(): Promise<void> {
    const [one, other] = [this.#connector(), this.#connector()];
    const workers = [
      ...[one, one, one, other, other, other].map((connector) => this.#changeSmallFiles(connector)),
      this.#upload(this.#connector(), 'large/0', 1),
      this.#upload(this.#connector(), 'large/1', 2),
      this.#sendTrees(this.#connector(), 'tree'),
    ];
    try {
      await Promise.all(workers);
    } finally {
      await Promise.all(this.#connectors.map((connector) => connector[Symbol.asyncDispose]()));
    }
  }

  #connector(): Connector {
    const connector = new Connector(this.#options.site.connection);
    this.#connectors.push(connector);
    return connector;
  }

  async #changeSmallFiles(connector: Connector): Promise<void> {
    const { site, random } = this.#options;
    while (!site.isOver) {
      await site.listening;
      const client = await connector.use().catch(unlessCrashed);
      if (client === undefined) continue;
      const path = pick(random, SMALL_PATHS);
      const chance = random.fraction();
      if (chance < 0.65) await this.#put(client, path);
      else if (chance < 0.8) await this.#remove(client, path);
      else await this.#read(client, path);
    }
  }

  async #put(client: Client, path: string): Promise<void> {
    const { random } = this.#options;
    const content = randomBytes(pick(random, [0, 1, 700, 5 * KIB, 5 * KIB, 66 * KIB]));
    const durability = pick(random, ['disk', 'memory'] as const);
    await this.#change(path, nameOf(content), async () => {
      await client.put(path, content, { durability });
    });
  }

  async #remove(client: Client, path: string): Promise<void> {
    await this.#change(path, NOTHING, () => client.remove(path));
  }

  async #change(path: string, content: string, task: () => Promise<void>): Promise<void> {
    const { acknowledgements, onMoment } = this.#options;
    const since = acknowledgements.now();
    const change = acknowledgements.begin(path, content);
    try {
      await task();
      change.acknowledged();
      onMoment();
    } catch (error) {
      if (content === NOTHING && isSealiftError(error, 'not-found')) {
        change.refused();
        this.#assertAllowed(path, NOTHING, since);
      } else {
        change.lost();
        unlessCrashed(error);
      }
    }
  }

  async #read(client: Client, path: string): Promise<void> {
    const since = this.#options.acknowledgements.now();
    try {
      const { content } = await client.get(path);
      this.#assertAllowed(path, nameOf(content), since);
    } catch (error) {
      if (isSealiftError(error, 'not-found')) this.#assertAllowed(path, NOTHING, since);
      else unlessCrashed(error);
    }
  }

  #assertAllowed(path: string, found: string, since: number): void {
    const { acknowledgements } = this.#options;
    if (!acknowledgements.allowed(path, since).includes(found))
      throw new Error(`A reader found ${found} under ${path}, which nobody had put there, or was replaced.`);
  }

  // Each a change of the one before in some of its blocks, or another one.
  async #upload(connector: Connector, path: string, streams: number): Promise<void> {
    const { site, random, acknowledgements, onMoment } = this.#options;
    let content = randomBytes(3 * MIB);
    while (!site.isOver) {
      content =
        random.fraction() < 0.5 ? randomBytes(between(random, MIB + 1, 4 * MIB)) : Buffer.from(content);
      randomBytes(9).copy(content, between(random, 0, content.length - 9));
      const source = await openFileSource(this.#write(path, content));
      const change = acknowledgements.begin(path, nameOf(content));
      const base = pick(random, ['partial', 'existing'] as const);
      const options = { streams, base, retry: PATIENT, onProgress: onMoment };
      const { retries } = await upload(connector, source, path, options);
      change.acknowledged();
      onMoment();
      if (retries > 0) this.cutUploads += 1;
      await source[Symbol.asyncDispose]();
    }
  }

  async #sendTrees(connector: Connector, top: string): Promise<void> {
    const { site, random } = this.#options;
    const root = join(this.#options.directory, top);
    while (!site.isOver) {
      rmSync(root, { recursive: true, force: true });
      mkdirSync(root, { recursive: true });
      const changes: ChangeEnd[] = [];
      for (const name of TREE_PATHS) {
        const content = random.fraction() < 0.8 ? randomBytes(between(random, 0, 9 * KIB)) : undefined;
        if (content !== undefined) this.#write(`${top}/${name}`, content);
        const planned = content === undefined ? NOTHING : nameOf(content);
        changes.push(this.#options.acknowledgements.begin(`${top}/${name}`, planned));
      }
      while (!(await this.#sync(new PutTree({ connector, root, top, retry: PATIENT }))));
      for (const change of changes) change.acknowledged();
    }
  }

  // What a server that is killed had not synced is sent again, a few times: then it is for another run.
  #sync(tree: PutTree): Promise<boolean> {
    return syncTree(tree, {
      rules: { delete: true, compare: 'digest' },
      allowEmptySource: true,
      observer: { onFailed: unlessCrashed, onDone: () => this.#options.onMoment() },
    });
  }

  #write(name: string, content: Buffer): string {
    const path = join(this.#options.directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  }
}

/** Throws again what is not the end of a connection. */
function unlessCrashed(error: unknown): undefined {
  if (!isSealiftError(error, 'connection-lost', 'connection-refused', 'unreachable')) throw error;
}
