import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';

import type { Client } from '../../../src/client/client.ts';
import type { Action } from '../../../src/client/tree/action.ts';
import { PutTree, type PutTreeOptions } from '../../../src/client/tree/put-tree.ts';
import { UnsyncedReceipts } from '../../../src/client/tree/unsynced-receipts.ts';
import { SealiftError } from '../../../src/errors.ts';
import { certificatePin } from '../../../src/trust/pins.ts';
import { loopbackCertificate } from '../../support/certificates.ts';
import { failureOf } from '../../support/failure.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { GatedStore } from '../../support/gated-store.ts';
import { directory, file, MemoryDirection } from '../../support/memory-direction.ts';
import { contentsAt, plantTree, type Planted } from '../../support/planted-tree.ts';
import { startTestServer, temporaryDirectory, tokenOf } from '../../support/test-server.ts';
import { AT_ONCE, connectorTo, MIB, noise } from '../setting.ts';
import { copy, startTrees } from './tree-setting.ts';

/** How a file is put into a store, whatever stands there. */
function publicationOf(path: string) {
  return { path, durability: 'disk', condition: { if: 'any' }, mayReplace: true } as const;
}

describe('receipts that are good only when they are synced', () => {
  /** A client whose syncs end when the test says so. */
  function syncing() {
    const syncs: PromiseWithResolvers<void>[] = [];
    const sync = () => {
      syncs.push(Promise.withResolvers());
      return syncs.at(-1)?.promise;
    };
    const close = () => Promise.resolve();
    return { client: { sync, close } as unknown as Client, syncs };
  }
  function receipts() {
    const told: string[] = [];
    const clock = new FakeClock();
    const unsynced = new UnsyncedReceipts<string>(
      (item) => told.push(item),
      (item, { code }) => told.push(`${item} ${code}`),
      clock,
    );
    return { told, unsynced, clock };
  }
  const LOST = new SealiftError('connection-lost', 'It is gone.');
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  test('are told when their own connection has synced', async () => {
    const [{ told, unsynced }, a, b] = [receipts(), syncing(), syncing()];
    unsynced.add(a.client, 'a1', 1);
    unsynced.add(a.client, 'a2', 1);
    // Another connection: the first one is likely to be gone, so that what waits for it is asked about at once.
    unsynced.add(b.client, 'b1', 1);
    const settled = unsynced.settle();
    await turn();
    expect([told, a.syncs.length, b.syncs.length]).toEqual([[], 1, 0]);
    a.syncs[0]?.resolve();
    await turn();
    expect(told).toEqual(['a1', 'a2']);
    // What comes while it is synced waits for the next.
    unsynced.add(b.client, 'b2', 1);
    await turn();
    b.syncs[0]?.resolve();
    await settled;
    expect(told).toEqual(['a1', 'a2', 'b1']);
    const again = unsynced.settle();
    await turn();
    b.syncs[1]?.resolve();
    await again;
    expect(told.at(-1)).toBe('b2');
    await unsynced.settle();
    expect([a.syncs.length, b.syncs.length]).toEqual([1, 2]);
  });

  test('are void where their own connection is lost, and not those of others', async () => {
    const [{ told, unsynced }, a, b] = [receipts(), syncing(), syncing()];
    unsynced.add(a.client, 'a1', 1);
    unsynced.add(b.client, 'b1', 1);
    const settled = unsynced.settle();
    await turn();
    a.syncs[0]?.reject(LOST);
    await turn();
    b.syncs[0]?.resolve();
    await settled;
    expect(told).toEqual(['a1 connection-lost', 'b1']);
  });

  test('are fewer at a time where connections end soon, and more again where they do not', async () => {
    const { unsynced } = receipts();
    /** After how many receipts of these many bytes a sync is asked for; it ends so. */
    const syncedAfter = async (bytes: number, failure?: SealiftError) => {
      const { client, syncs } = syncing();
      let count = 0;
      for (; syncs.length === 0; count += 1) {
        unsynced.add(client, 'item', bytes);
        await turn();
      }
      if (failure) syncs[0]?.reject(failure);
      else syncs[0]?.resolve();
      await unsynced.settle();
      return count;
    };
    const { client, syncs } = syncing();
    for (let nth = 0; nth < 10; nth += 1) unsynced.add(client, 'item', 1);
    const settled = unsynced.settle();
    await turn();
    syncs[0]?.reject(LOST);
    await settled;
    expect(await syncedAfter(1, LOST)).toBe(5);
    expect(await syncedAfter(1, LOST)).toBe(3);
    expect(await syncedAfter(1)).toBe(2);
    expect(await syncedAfter(1)).toBe(4);
    // The disk of the server is no better for being asked more often.
    expect(await syncedAfter(1, new SealiftError('no-space', 'It is full.'))).toBe(8);
    expect(await syncedAfter(MIB)).toBe(4);
    expect(await syncedAfter(1)).toBe(16);
  });

  test('are void where a sync failed while they came: the server may have forgotten them with the others', async () => {
    const [{ told, unsynced }, a] = [receipts(), syncing()];
    unsynced.add(a.client, 'a1', 1);
    const settled = unsynced.settle();
    await turn();
    unsynced.add(a.client, 'a2', 1);
    a.syncs[0]?.reject(new SealiftError('internal', 'The disk failed.'));
    await settled;
    expect(told).toEqual(['a1 internal', 'a2 internal']);
    await unsynced.settle();
    expect(a.syncs).toHaveLength(1);
  });

  test.each([
    ['2,048 of them', 2_048, 1],
    ['256 MiB', 2, 128 * MIB],
  ])('are synced unasked after %s', async (_, count, bytes) => {
    const [{ unsynced }, a] = [receipts(), syncing()];
    for (let each = 1; each < count; each += 1) unsynced.add(a.client, `${each}`, bytes);
    await turn();
    expect(a.syncs).toHaveLength(0);
    unsynced.add(a.client, 'last', bytes);
    await turn();
    expect(a.syncs).toHaveLength(1);
    unsynced.add(a.client, 'next', bytes);
    await turn();
    expect(a.syncs).toHaveLength(1);
    a.syncs[0]?.resolve();
  });

  test('are synced unasked after 5 s: over a slow way much time is in a few of them', async () => {
    const [{ told, unsynced, clock }, a] = [receipts(), syncing()];
    unsynced.add(a.client, '1', 1);
    clock.advance(4_999);
    unsynced.add(a.client, '2', 1);
    await turn();
    expect(a.syncs).toHaveLength(0);
    clock.advance(1);
    unsynced.add(a.client, '3', 1);
    await turn();
    expect(a.syncs).toHaveLength(1);
    // Counted anew from the next on, however long ago that was.
    clock.advance(5_000);
    unsynced.add(a.client, '4', 1);
    clock.advance(4_999);
    unsynced.add(a.client, '5', 1);
    a.syncs[0]?.resolve();
    await turn();
    expect([told, a.syncs.length]).toEqual([['1', '2', '3'], 1]);
  });
});

const TREE: Record<string, Planted> = { 'd/a': 'a', 'd/b': 'b', large: noise(2 * MIB), l: { link: 'd' } };

/** A tree that is to be put on a server whose store can be held, and be made to fail. */
async function gatedTrees(tree = TREE, options: Partial<PutTreeOptions> = {}) {
  const store = new GatedStore();
  const { server } = await startTestServer({ store });
  const root = await plantTree(join(await temporaryDirectory(), 'source'), tree);
  const connector = connectorTo(
    server.address,
    certificatePin(new X509Certificate((await loopbackCertificate()).cert)),
    {
      token: tokenOf('tester'),
    },
  );
  const direction = new PutTree({
    ...{ connector, root, top: 'tree', retry: AT_ONCE },
    ...{ archive: true, delta: 'auto', mustBeNew: false, ...options },
  });
  return { store, server, direction };
}

describe('a tree on its way to a server', () => {
  test('is told of as done when it is on the disk, and not before', async () => {
    const { store, direction } = await gatedTrees();
    const gate = store.hold('sync');
    const done: string[] = [];
    const observer = { onDone: ({ entry }: { entry: { path: string } }) => void done.push(entry.path) };
    const copying = copy(direction, { observer });
    await gate.reached();
    expect(await Array.fromAsync(store.list('tree', { recursive: true }))).toHaveLength(5);
    expect(done).toEqual([]);
    gate.open();
    const { told } = await copying;
    expect(done.sort()).toEqual(['', 'd', 'd/a', 'd/b', 'l', 'large']);
    expect(told.outcomes['large']).toMatchObject({ durability: 'disk', size: 2 * MIB });
    expect(told.outcomes['large']).not.toHaveProperty('unsynced');
  });

  test('is not sent again where the connection ended before and the server has it still', async () => {
    const { store, server, direction } = await gatedTrees({
      ...TREE,
      small: noise(16_384),
      middle: noise(16_385),
    });
    const gate = store.hold('sync');
    const copying = copy(direction);
    await gate.reached();
    server.destroyConnections();
    gate.open();
    const { told, isComplete } = await copying;
    expect([told.failed, isComplete]).toEqual([{}, true]);
    expect(told.outcomes).toMatchObject({
      small: { movedBytes: 16_384, resumedBytes: 0, durability: 'disk' },
      middle: { movedBytes: 0, resumedBytes: 16_385, durability: 'disk' },
      large: { movedBytes: 0, resumedBytes: 2 * MIB, durability: 'disk' },
    });
  });

  test('is sent again where the connection ended before', async () => {
    const { store, server, direction } = await gatedTrees();
    const gate = store.hold('sync');
    const puts = store.count('put tree/d/a');
    const copying = copy(direction);
    await gate.reached();
    server.destroyConnections();
    gate.open();
    const { told, isComplete } = await copying;
    expect([told.failed, isComplete]).toEqual([{}, true]);
    expect(puts()).toBe(2);
    expect(told.done.sort()).toEqual(
      ['directory ', 'directory d', 'file d/a', 'file d/b', 'file large', 'link l'].sort(),
    );
    // What stands there is most likely the same: of a large file only digests go over the wire again.
    expect(told.outcomes['large']).toMatchObject({ movedBytes: 0, resumedBytes: 2 * MIB });
  });

  test('is sent as often as something more of it comes to the disk, however often the connection ends', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const direction = new MemoryDirection([directory(''), ...names.map((name) => file(name))]);
    const send = direction.send.bind(direction);
    const attempts = new Map(names.map((name, index) => [name, -index]));
    direction.send = async (action, hooks) => {
      const { path } = action.entry;
      const attempt = (attempts.get(path) ?? 0) + 1;
      attempts.set(path, attempt);
      const lost = new SealiftError('connection-lost', 'It is gone.');
      const sync = () => (attempt > 0 ? Promise.resolve() : Promise.reject(lost));
      return { ...(await send(action, hooks)), unsynced: { sync } };
    };
    const { told, isComplete } = await copy(direction);
    expect([told.failed, isComplete]).toEqual([{}, true]);
    expect(told.done).toHaveLength(1 + names.length);
  });

  test('is a failure when the server cannot sync it, time after time', async () => {
    const { store, direction } = await gatedTrees();
    let syncs = 0;
    store.sync = () => {
      syncs += 1;
      return Promise.reject(new SealiftError('no-space', 'The disk is full.'));
    };
    const { told, isComplete } = await copy(direction);
    expect(isComplete).toBe(false);
    expect(syncs).toBe(4);
    expect(told.done).toEqual([]);
    expect(new Set(Object.values(told.failed))).toEqual(new Set(['retries-exhausted']));
    expect(Object.keys(told.failed)).toHaveLength(6);
    expect(told.errors[0]?.details).toMatchObject({ lastCode: 'no-space' });
  });

  test.each([true, false])(
    'is told of also when the rest is given up; can it be synced: %s',
    async (canSync) => {
      const { store, direction } = await gatedTrees();
      const put = store.put.bind(store);
      store.put = (publication, content) =>
        publication.path === 'tree/d/b'
          ? Promise.reject(new SealiftError('quota-exceeded', 'It is too much.'))
          : put(publication, content);
      if (!canSync) store.sync = () => Promise.reject(new SealiftError('no-space', 'The disk is full.'));
      const { told } = await copy(direction, {
        run: { transfers: 1, isHopeless: ({ code }) => code === 'quota-exceeded' },
      });
      expect(told.failed).toMatchObject({
        'd/b': 'quota-exceeded',
        ...(canSync ? {} : { 'd/a': 'retries-exhausted' }),
      });
      expect(told.done.includes('file d/a')).toBe(canSync);
    },
  );
});

test.each(['mkdir', 'symlink', 'set', 'remove', 'move', 'sync'] as const)(
  'an abort ends a put also while the server is at %s, however long',
  async (step) => {
    const controller = new AbortController();
    const { signal } = controller;
    const backupDirectory = step === 'move' ? 'backup' : undefined;
    const { store, direction } = await gatedTrees(
      { a: 'new', 'd/b': 'b', l: { link: 'a' } },
      { signal, backupDirectory },
    );
    await store.mkdir('tree', {});
    for (const name of ['a', 'extra']) await store.put(publicationOf(`tree/${name}`), Buffer.from('old'));
    const stuck = Promise.withResolvers<never>();
    onTestFinished(() => stuck.reject(new SealiftError('internal', 'It took too long.')));
    store[step] = () => {
      controller.abort();
      return stuck.promise;
    };
    const done: string[] = [];
    const observer = { onDone: ({ kind }: Action) => void done.push(kind) };
    expect((await failureOf(copy(direction, { run: { signal }, observer }))).code).toBe('aborted');
    expect(done).not.toContain(step === 'sync' ? 'file' : step);
  },
);

test('what is sent again leaves what really was there in the backup', async () => {
  const trees = await startTrees(
    'put',
    { a: 'new', large: noise(3 * MIB, 2), l: { link: 'new' } },
    {
      a: { content: 'old', mtimeMs: 1 },
      large: { content: noise(3 * MIB, 1), mtimeMs: 1 },
      l: { link: 'old' },
    },
  );
  const { setting } = trees;
  const before = await contentsAt(trees.target);
  let cuts = 0;
  const direction = trees.direction({ backupDirectory: 'backup' });
  const link = direction.link.bind(direction);
  // Nothing was synced yet when the last of it is made.
  direction.link = async (action) => {
    const client = await link(action);
    if ((cuts += 1) === 1) setting.server.destroyConnections();
    return client;
  };
  const { told, isComplete } = await copy(direction);
  expect([told.failed, isComplete, cuts]).toEqual([{}, true, 2]);
  expect(await contentsAt(trees.target)).toEqual(await contentsAt(trees.source));
  expect(await contentsAt(join(setting.root, 'backup'))).toEqual(before);
});

test('a link of which the answer was lost leaves what stood before in the backup', async () => {
  const { store, server, direction } = await gatedTrees(
    { l: { link: 'new' } },
    { backupDirectory: 'backup' },
  );
  await store.mkdir('tree', {});
  await store.put(publicationOf('tree/l'), Buffer.from('old'));
  const symlink = store.symlink.bind(store);
  let made = 0;
  store.symlink = async (...link) => {
    const entry = await symlink(...link);
    if ((made += 1) === 1) server.destroyConnections();
    return entry;
  };
  const { told, isComplete } = await copy(direction);
  expect([told.failed, isComplete, made]).toEqual([{}, true, 2]);
  expect(await store.stat('backup/l')).toMatchObject({ type: 'file', size: 3 });
});
