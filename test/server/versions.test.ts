import { describe, expect, test } from 'vitest';

import { silentLogger } from '../../src/logger.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { putText } from '../contract/store/samples.ts';
import { FakeClock } from '../support/fake-clock.ts';
import type { RawAnswer, RawClient } from '../support/raw-client.ts';
import {
  blocksOf,
  bytesOf,
  digestOf,
  fileDigestOf,
  heldIn,
  putBlocks,
  putInline,
} from '../support/raw-upload.ts';
import { startTestServer } from '../support/test-server.ts';

const DAY_MS = 86_400_000;
const OLD = bytesOf(1_000, 1);
const LARGE = bytesOf(2.5 * BLOCK_BYTES, 2);
const NEW = bytesOf(500, 3);

const USERS = {
  tester: {},
  reader: { permissions: ['read'] },
  lister: { permissions: ['list'] },
  adder: { permissions: ['read', 'write', 'list'] },
  insider: { limits: 'prefixes = ["team/a"]' },
} as const;

const start = (clock = new FakeClock()) =>
  startTestServer({ users: USERS, clock, store: new MemoryStore({ clock, keepVersionsMs: DAY_MS }) });

interface VersionEntry {
  path: string;
  size: number;
  version: string;
}

function entriesIn({ parts, content }: RawAnswer): VersionEntry[] {
  return [...parts.map((part) => part.content), content].flatMap(
    (page) => (JSON.parse(page.toString()) as { entries: VersionEntry[] }).entries,
  );
}

const versionsOf = async (client: RawClient, path: string, fields: Record<string, unknown> = {}) =>
  entriesIn(await client.askOk('list', { path, versions: true, ...fields }));

/** The id of the only version of a file. */
async function versionOf(client: RawClient, path: string): Promise<string> {
  const [entry, ...others] = await versionsOf(client, path);
  expect(others).toEqual([]);
  return entry?.version ?? '';
}

describe('a version', () => {
  test('is listed, and fetched as the file was', async () => {
    const client = await (await start()).login();
    await putInline(client, 'file', OLD, { 'mtime-ms': 1_234, mode: 0o600 });
    await putInline(client, 'file', NEW);
    const [entry] = await versionsOf(client, 'file');
    expect(entry).toMatchObject({
      path: 'file',
      type: 'file',
      size: OLD.length,
      'mtime-ms': 1_234,
      mode: 0o600,
    });
    const answer = await client.askOk('get', { path: 'file', version: entry?.version });
    expect(answer.content.equals(OLD)).toBe(true);
    expect(answer.header).toMatchObject({ digest: digestOf(OLD), 'mtime-ms': 1_234, mode: 0o600 });
    expect((await client.askOk('get', { path: 'file' })).content.equals(NEW)).toBe(true);
  });

  test('of more than a block comes in ranges, and tells its digests', async () => {
    const client = await (await start()).login();
    await putBlocks(client, 'file', LARGE);
    await client.askOk('remove', { path: 'file' });
    const version = await versionOf(client, 'file');
    const range = await client.askOk('get', { path: 'file', version, 'from-block': 1, 'block-count': 1 });
    expect(range.parts).toHaveLength(2);
    expect(range.parts[1]?.content.equals(blocksOf(LARGE)[1] as Buffer)).toBe(true);
    const digests = await client.askOk('digests', { path: 'file', version });
    expect(digests.header).toMatchObject({ size: LARGE.length, digest: fileDigestOf(LARGE) });
    expect(heldIn(digests)).toEqual(blocksOf(LARGE).map(digestOf));
    const etag = range.parts[0]?.header['etag'];
    await client.askOk('get', { path: 'file', version, 'if-match': etag, 'block-count': 0 });
  });

  test.each(['get', 'digests'])(
    'that is none is not found by %s, and the file itself is not sent',
    async (action) => {
      const client = await (await start()).login();
      await putInline(client, 'file', OLD);
      for (const version of ['', 'x', '../file', 'v'.repeat(128)]) {
        const { header, content } = await client.ask(action, { path: 'file', version });
        expect([header['code'], content.length]).toEqual(['not-found', 0]);
      }
      expect((await client.ask(action, { path: 'file', version: 'v'.repeat(129) })).header['code']).toBe(
        'bad-request',
      );
    },
  );

  test('is what the hello promises', async () => {
    const { connect } = await start();
    const { header } = await (await connect()).hello({ token: 'token-of-tester' });
    expect(header['features']).toContain('versions');
  });
});

describe('who may do what', () => {
  test('listing needs list, and fetching needs read', async () => {
    const { login } = await start();
    const client = await login();
    await putInline(client, 'file', OLD);
    await putInline(client, 'file', NEW);
    const version = await versionOf(client, 'file');
    const reader = await login('reader');
    expect((await reader.ask('list', { path: 'file', versions: true })).header['code']).toBe('forbidden');
    expect((await reader.askOk('get', { path: 'file', version })).content.equals(OLD)).toBe(true);
    const lister = await login('lister');
    expect(await versionOf(lister, 'file')).toBe(version);
    for (const action of ['get', 'digests'])
      expect((await lister.ask(action, { path: 'file', version })).header['code']).toBe('forbidden');
  });

  test('without delete nothing is replaced, although it would be kept', async () => {
    const { login } = await start();
    const client = await login('adder');
    await putInline(client, 'file', OLD);
    expect((await putInline(client, 'file', NEW)).header['code']).toBe('forbidden');
    expect(await versionsOf(client, '', { recursive: true })).toEqual([]);
  });

  test('no removal reaches a version', async () => {
    const client = await (await start()).login();
    await putInline(client, 'dir/file', OLD);
    await putInline(client, 'dir/file', NEW);
    const version = await versionOf(client, 'dir/file');
    await client.askOk('remove', { path: 'dir', recursive: true });
    expect((await client.ask('remove', { path: 'dir/file' })).header['code']).toBe('not-found');
    expect((await client.askOk('get', { path: 'dir/file', version })).content.equals(OLD)).toBe(true);
    expect(await versionsOf(client, 'dir/file')).toHaveLength(2);
  });

  test('who may only see a part sees the versions of that part', async () => {
    const { login } = await start();
    const client = await login();
    for (const path of ['top', 'team/b', 'team/a/file', 'team/a/deep/file', 'team/a-evil']) {
      await putInline(client, path, OLD);
      await client.askOk('remove', { path });
    }
    const insider = await login('insider');
    const seen = async (path: string, recursive: boolean) =>
      (await versionsOf(insider, path, { recursive })).map((entry) => entry.path).sort();
    expect(await seen('', true)).toEqual(['team/a/deep/file', 'team/a/file']);
    expect(await seen('team', true)).toEqual(['team/a/deep/file', 'team/a/file']);
    expect(await seen('', false)).toEqual([]);
    expect(await seen('team', false)).toEqual([]);
    expect(await seen('team/a', false)).toEqual(['team/a/file']);
    const hidden = { path: 'team/b', version: await versionOf(client, 'team/b') };
    expect((await insider.ask('get', hidden)).header['code']).toBe('forbidden');
    expect((await insider.ask('list', { path: 'team/b', versions: true })).header['code']).toBe('forbidden');
    // What stood at the place itself is seen from above it.
    await client.askOk('remove', { path: 'team/a', recursive: true });
    await putInline(client, 'team/a', OLD);
    await client.askOk('remove', { path: 'team/a' });
    expect(await seen('team', false)).toEqual(['team/a']);
  });
});

describe('a server that runs', () => {
  const HOUR_MS = 3_600_000;

  test('lets versions go within an hour after their age, also when no client comes', async () => {
    const clock = new FakeClock();
    const store = new MemoryStore({ clock, keepVersionsMs: DAY_MS });
    await startTestServer({ clock, store });
    await clock.whenScheduled();
    await removeOne(store);
    const kept = async () =>
      (await Array.fromAsync(store.list('', { recursive: true, versions: true }))).length;
    for (let hour = 0; hour < 24; hour += 1) await passHour(clock);
    expect(await kept()).toBe(1);
    await passHour(clock);
    await passHour(clock);
    expect(await kept()).toBe(0);
  });

  test('lets those go at its start that have become too old meanwhile, and ends its timer with itself', async () => {
    const clock = new FakeClock();
    const store = new MemoryStore({ clock, keepVersionsMs: DAY_MS });
    await removeOne(store);
    clock.advance(DAY_MS + 1);
    const { server } = await startTestServer({ clock, store });
    await clock.whenScheduled();
    expect(await Array.fromAsync(store.list('file', { recursive: true, versions: true }))).toEqual([]);
    await server.close();
    expect(clock.pendingCount).toBe(0);
  });

  test('tries again after a failure, and says so', async () => {
    const clock = new FakeClock();
    let failures = 1;
    class Failing extends MemoryStore {
      override async expireVersions(): Promise<void> {
        if (failures-- > 0) throw new Error('the disk is in flames');
        await super.expireVersions();
      }
    }
    const store = new Failing({ clock, keepVersionsMs: HOUR_MS / 2 });
    await removeOne(store);
    const said: string[] = [];
    const note = (_: unknown, message: string) => void said.push(message);
    await startTestServer({ clock, store, logger: { ...silentLogger, error: note } });
    await passHour(clock);
    await clock.whenScheduled();
    expect(said).toContain('removing old versions failed');
    expect(await Array.fromAsync(store.list('file', { recursive: true, versions: true }))).toEqual([]);
  });

  /** Leaves one version behind. */
  async function removeOne(store: MemoryStore): Promise<void> {
    await putText(store, 'file', 'text');
    await store.remove('file', { recursive: false });
  }

  /** Lets the next look at the versions come, and waits until it is over. */
  async function passHour(clock: FakeClock): Promise<void> {
    await clock.whenScheduled();
    clock.advance(HOUR_MS);
    await clock.whenScheduled();
  }
});
