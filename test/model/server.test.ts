import { rm } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, test } from 'vitest';

import { FileStore } from '../../src/storage/fs/fs-store.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import type { Store } from '../../src/storage/store.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { holds } from '../support/properties.ts';
import { blocksOf } from '../support/raw-upload.ts';
import { temporaryDirectory } from '../support/test-server.ts';
import { anyAct, CLIENTS, FILES, ownerOf, type Act, type ClientName } from './acts.ts';
import { Model } from './model.ts';
import { System } from './system.ts';

const KEEP_VERSIONS_MS = 86_400_000;

/** What opens the same store again and again, until it is removed: a long run tries thousands. */
interface Kept {
  open: () => Promise<Store>;
  remove: () => Promise<void>;
}

/** The stores, and how often each can be tried within a few seconds. */
const stores: [string, number, (clock: FakeClock) => Promise<Kept>][] = [
  [
    'memory',
    12,
    async (clock) => {
      const store = new MemoryStore({ clock, keepVersionsMs: KEEP_VERSIONS_MS });
      return { open: async () => store, remove: async () => undefined };
    },
  ],
  [
    'a directory',
    8,
    async (clock) => {
      const root = await temporaryDirectory();
      const open = () => FileStore.open({ root, clock, keepVersionsMs: KEEP_VERSIONS_MS });
      return { open, remove: () => rm(root, { recursive: true }) };
    },
  ],
];

class Step implements fc.AsyncCommand<Model, { system: System; clock: FakeClock }> {
  readonly #by: ClientName;
  readonly #act: Act;

  constructor({ by, act }: { by: ClientName; act: Act }) {
    this.#by = by;
    this.#act = act;
  }

  check(model: Readonly<Model>): boolean {
    return !('upload' in this.#act) || model.named(this.#act) !== undefined;
  }

  async run(model: Model, { system, clock }: { system: System; clock: FakeClock }): Promise<void> {
    const act = this.#act;
    const by = this.#client(model);
    // So that no two changes come in the same moment.
    clock.advance(1);
    if (act.type === 'disconnect') await system.disconnect(by);
    else if (act.type === 'restart') await system.restart();
    else if (act.type === 'pass') await system.pass(act.time);
    else if (act.type === 'blocks') {
      const { length = 'small' } = model.named(act) ?? {};
      for (const index of blocksOf(FILES[length][0]).keys())
        await this.#ask(by, { ...act, type: 'block', index, isRight: true }, model, system);
      return;
    } else return this.#ask(by, act, model, system);
    model.pass(by, act);
    await system.compare(model);
  }

  toString(): string {
    return `${this.#by}: ${JSON.stringify(this.#act)}`;
  }

  #client(model: Model): ClientName {
    const act = this.#act;
    if (!('isOwn' in act) || !act.isOwn) return this.#by;
    const owner = model.named(act)?.owner;
    return (
      CLIENTS.find((client) => client === this.#by && ownerOf(client) === owner) ??
      CLIENTS.find((client) => ownerOf(client) === owner) ??
      this.#by
    );
  }

  async #ask(by: ClientName, act: Act, model: Model, system: System): Promise<void> {
    model.take(by, act, await system.ask(by, act, model));
    await system.compare(model);
  }
}

describe.each(stores)('with a store in %s', (kind, numRuns, keep) => {
  test('whatever clients do one after the other, a server answers and keeps what the specification says', async (context) => {
    const commands = fc.noBias(
      fc.commands([anyAct.map((each) => new Step(each))], { maxCommands: 60, size: 'max' }),
    );
    await holds(
      context,
      fc.asyncProperty(commands, async (steps) => {
        const clock = new FakeClock(Date.now());
        const { open, remove } = await keep(clock);
        const system = await System.start(open, clock);
        const model = new Model({ clock, hasHoles: kind !== 'memory' });
        try {
          await fc.asyncModelRun(() => ({ model, real: { system, clock } }), steps);
          // Nothing is left of what was not finished.
          clock.advance(8 * 86_400_000);
          await system.restart();
          model.pass('bob', { type: 'restart' });
          model.pass('bob', { type: 'pass', time: 'days' });
          await system.expire();
          await system.compare(model);
        } finally {
          await system.stop();
          await remove();
        }
      }),
      { numRuns, kind: 'model runs' },
    );
  });
});
