import { writeFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { silentLogger } from '../../../src/logger.ts';
import { createServer, type CreatedServer } from '../../../src/server/create-server.ts';
import { FakeClock } from '../fake-clock.ts';
import { plantTree, treeAt, type Standing } from '../planted-tree.ts';
import { RawClient } from '../raw-client.ts';
import { tokenOf, usersToml, type TestUser } from '../test-server.ts';
import { turnUntil, turnUntilSettled } from '../turning.ts';

/** Who may do what on the server. */
export const USERS = {
  all: {},
  reader: { permissions: ['read', 'list'] },
  writer: { permissions: ['write'] },
  tenant: { limits: 'prefixes = ["mine"]' },
} as const satisfies Record<string, TestUser>;

/** What only those may be told who may read the place. */
export const SECRETS = { outside: 'SECRET-OUTSIDE', theirs: 'SECRET-THEIRS', mine: 'SECRET-MINE' } as const;

/** What stands in the root. */
const TREE = {
  'mine/file': `${SECRETS.mine} in a file`,
  'mine/tree/a/b': `${SECRETS.mine} deep`,
  'mine/linked': { link: '../../outside/file' },
  'mine/out': { link: '../../outside' },
  'theirs/file': `${SECRETS.theirs} in a file`,
  [`theirs/${SECRETS.theirs}`]: 'a name',
  'mine-not/file': `${SECRETS.theirs} beside`,
  [`mine-not/${SECRETS.theirs}`]: 'a name',
};
/** The contents of its files. */
export const PLANTED: readonly string[] = Object.values(TREE).filter(
  (content) => typeof content === 'string',
);
const STATE = '.sealift';
/** Turns of the loop before another second passes. */
const TURNS_PER_SECOND = 200;

/** A server in a directory of its own, beside which lies what nobody may reach. */
export class FuzzedServer implements AsyncDisposable {
  readonly server: CreatedServer;
  /** What the server logged as faults of its own. */
  readonly faults: readonly string[];
  readonly root: string;
  readonly #directory: string;
  readonly #clock: FakeClock;

  private constructor(
    directory: string,
    { server, clock, faults }: { server: CreatedServer; clock: FakeClock; faults: string[] },
  ) {
    this.#directory = directory;
    this.#clock = clock;
    this.root = join(directory, 'root');
    this.server = server;
    this.faults = faults;
  }

  static async start(): Promise<FuzzedServer> {
    const directory = await mkdtemp(join(tmpdir(), 'sealift-fuzz-'));
    await plantTree(join(directory, 'outside'), { file: SECRETS.outside });
    const usersFile = join(directory, 'users.toml');
    writeFileSync(usersFile, usersToml(USERS), { mode: 0o600 });
    const clock = new FakeClock();
    const faults: string[] = [];
    const error = ({ err, cause }: Record<string, unknown>, message: string) => {
      faults.push(`${message}: ${String(err)} ${cause instanceof Error ? String(cause.stack) : ''}`);
    };
    const root = join(directory, 'root');
    // So few may be strangers at once that places which are not given back are missed soon.
    const options = { root, host: '127.0.0.1', port: 0, usersFile, clock, maxUnauthenticated: 16 };
    const server = await createServer({ ...options, logger: { ...silentLogger, error } });
    return new FuzzedServer(directory, { server, clock, faults });
  }

  /** Makes the tree as it is to be at the beginning. */
  async plant(): Promise<void> {
    for (const name of await this.#names()) await rm(join(this.root, name), { recursive: true });
    await plantTree(this.root, TREE);
  }

  /** All that stands beside the state of the server, in its root and out of it. */
  async standing(): Promise<{ root: Map<string, Standing>; outside: Record<string, Standing> }> {
    const root = new Map<string, Standing>();
    for (const name of await this.#names())
      for (const [below, standing] of Object.entries(await treeAt(join(this.root, name))))
        root.set(join(name, below), standing);
    return { root, outside: await treeAt(join(this.#directory, 'outside')) };
  }

  content(path: string): Promise<Buffer> {
    return readFile(join(this.root, path));
  }

  /** Throws unless a newcomer is let in and answered. */
  async assertServes(): Promise<void> {
    const client = await RawClient.connect({ address: this.server.address });
    const answered = client.hello({ token: tokenOf('reader') }).then(() => client.ask('ping'));
    const { header } = await this.passUntil(answered, 'a newcomer is not served');
    await client.destroy();
    if (header['status'] !== 'ok') throw new Error(`a newcomer is answered ${JSON.stringify(header)}`);
  }

  /** Waits until nobody is connected any more, and throws if something is kept for those who were. */
  async assertLeft(): Promise<void> {
    await turnUntil(
      () => this.server.connectionCount === 0,
      'a connection is kept',
      (turn) => this.#pass(turn),
    );
    if (this.server.openUploadCount > 0) throw new Error('an upload is kept open');
    if (this.faults.length > 0) throw new Error(`the server failed: ${this.faults.join('; ')}`);
    // So that nobody has to wait for the failed logins of others.
    this.#clock.advance(61_000);
  }

  /** Lets time pass, slowly enough for real work, until `task` is over. */
  async passUntil<T>(task: Promise<T>, otherwise: string): Promise<T> {
    await turnUntilSettled(task, otherwise, (turn) => this.#pass(turn));
    return task;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await rm(this.#directory, { recursive: true, force: true });
  }

  #pass(turn: number): void {
    if (turn % TURNS_PER_SECOND === 0) this.#clock.advance(1_000);
  }

  async #names(): Promise<string[]> {
    return (await readdir(this.root)).filter((name) => name !== STATE);
  }
}
