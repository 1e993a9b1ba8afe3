import { setImmediate } from 'node:timers/promises';
import { expect } from 'vitest';

import type { Store } from '../../src/storage/store.ts';
import type { FakeClock } from '../support/fake-clock.ts';
import type { RawClient } from '../support/raw-client.ts';
import { fetched, heldIn } from '../support/raw-upload.ts';
import { startTestServer } from '../support/test-server.ts';
import { ownerOf, type Act, type ClientName } from './acts.ts';
import { QUOTA, type Model, type Told } from './model.ts';
import { request } from './requests.ts';
import { withTimes } from './timed-store.ts';

/** Time passes between requests that nobody lets end in peace. */
const FOR_EVER_MS = 2 ** 52;
const LONG_MS = { minutes: 5 * 60_000, days: 8 * 86_400_000 };
/** More turns than any answer takes that has been given already. */
const MAX_TURNS = 100_000;

/** A server of which every client is a real connection, and that can be started again with what its store keeps. */
export class System {
  readonly #open: () => Promise<Store>;
  readonly #clock: FakeClock;
  readonly #clients = new Map<string, RawClient>();
  readonly #writtenMs = new Map<string, number>();
  #store!: Store;
  #running!: Awaited<ReturnType<typeof startTestServer>>;

  private constructor(open: () => Promise<Store>, clock: FakeClock) {
    this.#open = open;
    this.#clock = clock;
  }

  static async start(open: () => Promise<Store>, clock: FakeClock): Promise<System> {
    const system = new System(open, clock);
    await system.#start();
    return system;
  }

  /** Does an act that is a request, and tells what was answered. */
  async ask(by: ClientName, act: Act, model: Model): Promise<Told> {
    const answer = await request(await this.#client(by), act, model);
    const { id: _id, status, code, ...fields } = answer.header;
    const { byteorder: _, ...told } = fields;
    for (const name of ['content-length', 'content-type', 'content-encoding'] as const) delete told[name];
    const blocks = answer.parts.filter(({ header }) => header['status'] === 'block');
    return {
      code: status === 'ok' ? 'ok' : String(code),
      fields: told,
      content: Buffer.concat([answer.content, ...blocks.map(({ content }) => content)]),
      held: heldIn(answer),
    };
  }

  async disconnect(by: ClientName): Promise<void> {
    const client = this.#clients.get(by);
    if (client === undefined) return;
    this.#clients.delete(by);
    await client.destroy();
    // A connection that came afterwards is counted by then.
    const observer = await this.#client('observer');
    while (this.#running.server.connectionCount > this.#clients.size) await observer.askOk('ping');
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.#start();
  }

  async stop(): Promise<void> {
    for (const client of this.#clients.values()) await client.destroy();
    this.#clients.clear();
    await this.#running.server[Symbol.asyncDispose]();
    await this.#store[Symbol.asyncDispose]();
  }

  /** Lets time pass; after days, what is too old has been removed. */
  async pass(time: 'minutes' | 'days'): Promise<void> {
    this.#clock.advance(LONG_MS[time]);
    if (time === 'minutes') return;
    await this.expire();
    // What was given up is looked for when an upload begins.
    const observer = await this.#client('sweeper');
    const { header } = await observer.askOk('put', { path: 'swept', size: null });
    await observer.askOk('abort', { upload: header['upload'] });
  }

  /** Removes the versions that are too old, as a server does every hour. */
  async expire(): Promise<void> {
    await this.#store.expireVersions();
  }

  /** Compares all that stands, is kept and is unfinished with the model, which learns from it what the server chose. */
  async compare(model: Model): Promise<void> {
    const observer = await this.#client('observer');
    const listed = await list(observer, {});
    const nodes = new Map(listed.map((entry) => [entry['path'] as string, entry]));
    expect([...nodes.keys()].sort()).toEqual([...model.files.nodes.keys()].sort());
    for (const [path, node] of model.files.nodes) {
      const entry = nodes.get(path);
      expect(entry).toMatchObject({
        type: node.type,
        ...(node.type === 'directory' ? {} : { size: node.content.length }),
        ...(node.mode !== undefined && { mode: node.mode }),
        ...(node.mtimeMs !== undefined && { 'mtime-ms': node.mtimeMs }),
        ...(node.type === 'symlink' && { target: node.content.toString() }),
      });
      if (node.type !== 'file') {
        node.etag = entry?.['etag'] as string;
        continue;
      }
      // The bytes of what is new, or may have changed.
      if (node.etag === undefined || !this.#seen.has(node.etag))
        expect((await fetched(observer, path))?.equals(node.content), path).toBe(true);
      node.etag ??= entry?.['etag'] as string;
      expect(entry?.['etag']).toBe(node.etag);
      this.#seen.add(node.etag);
    }
    await this.#compareVersions(observer, model);
    await this.#compareUploads(model);
  }

  readonly #seen = new Set<string>();

  async #compareVersions(observer: RawClient, model: Model): Promise<void> {
    const listed = await list(observer, { versions: true });
    expect(listed.map(({ path }) => path).sort()).toEqual(
      model.files.versions.map(({ path }) => path).sort(),
    );
    for (const path of new Set(model.files.versions.map((each) => each.path))) {
      const ids = listed.flatMap((each) => (each['path'] === path ? [each['version'] as string] : []));
      const versions = model.files.versions.filter((each) => each.path === path);
      for (const [index, id] of ids.sort().entries()) {
        const kept = versions[index];
        if (kept?.id === undefined) {
          const { content, parts } = await observer.askOk('get', { path, version: id });
          const whole = Buffer.concat([content, ...parts.map((part) => part.content)]);
          expect(whole.equals(kept?.content ?? Buffer.alloc(0)), `${path} ${id}`).toBe(true);
        } else expect(id).toBe(kept.id);
        if (kept !== undefined) kept.id = id;
      }
    }
  }

  // What was given up is removed behind the answer that began it.
  async #compareUploads(model: Model): Promise<void> {
    for (let turn = 0; turn < MAX_TURNS; turn += 1) {
      const kept = await Array.fromAsync(this.#store.uploads());
      if (kept.length === model.uploads.data.size) return;
      await setImmediate();
    }
    expect(await Array.fromAsync(this.#store.uploads())).toHaveLength(model.uploads.data.size);
  }

  async #client(name: string): Promise<RawClient> {
    const present = this.#clients.get(name);
    if (present !== undefined) return present;
    const client = await this.#running.login(ownerOf(name as ClientName));
    this.#clients.set(name, client);
    return client;
  }

  async #start(): Promise<void> {
    this.#store = withTimes(await this.#open(), this.#clock, this.#writtenMs);
    this.#running = await startTestServer({
      store: this.#store,
      clock: this.#clock,
      idleTimeoutMs: FOR_EVER_MS,
      headerTimeoutMs: FOR_EVER_MS,
      stallTimeoutMs: FOR_EVER_MS,
      users: {
        alice: {},
        bob: {
          permissions: ['read', 'write', 'list'],
          limits: `prefixes = ["b"]\nquota = ${QUOTA.bytes}\nquota-files = ${QUOTA.files}`,
        },
        observer: { permissions: ['read', 'list'] },
        sweeper: { permissions: ['write'] },
      },
    });
  }
}

async function list(client: RawClient, fields: Record<string, unknown>): Promise<Record<string, unknown>[]> {
  const { content, parts } = await client.askOk('list', { path: '', recursive: true, ...fields });
  return [...parts.map((part) => part.content), content].flatMap((page) =>
    page.length === 0 ? [] : (JSON.parse(page.toString()) as { entries: Record<string, unknown>[] }).entries,
  );
}
