import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';

import type { Store } from '../../src/storage/store.ts';
import { startAttackedServer } from '../support/attacked-server.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { replaceSync } from '../support/replaced-sync.ts';
import { bytesOf, fetched, putInline } from '../support/raw-upload.ts';
import {
  startDirectoryServer,
  temporaryDirectory,
  tokenOf,
  usersToml,
  type TestUser,
} from '../support/test-server.ts';

async function serveUsers(users: Record<string, TestUser>, options = {}) {
  const usersFile = join(await temporaryDirectory(), 'users.toml');
  await writeFile(usersFile, usersToml(users));
  return { usersFile, ...(await startDirectoryServer({ usersFile, ...options })) };
}

test('a principal with a root of its own sees nothing else, and its errors name nothing else', async () => {
  const { login, root } = await serveUsers({ alice: { limits: 'root = "homes/alice"' }, admin: {} });
  const [alice, admin] = [await login('alice'), await login('admin')];
  await putInline(admin, 'secret', bytesOf(5));
  await putInline(alice, 'notes/a', bytesOf(7));
  expect(await readFile(join(root, 'homes/alice/notes/a'))).toEqual(bytesOf(7));
  const { content } = await alice.askOk('list', { path: '', recursive: true });
  const { entries } = JSON.parse(content.toString()) as { entries: { path: string }[] };
  expect(entries.map(({ path }) => path).sort()).toEqual(['notes', 'notes/a']);
  for (const path of ['secret', '../secret', '../../secret', 'homes/alice/notes/a']) {
    const { header } = await alice.ask('get', { path });
    expect(['not-found', 'bad-name']).toContain(header['code']);
    expect(header['message']).not.toContain(root);
  }
  expect(await fetched(admin, 'homes/alice/notes/a')).toEqual(bytesOf(7));
});

test('one that cannot be opened is explained in the log, and not to the client', async () => {
  const { login, connect, root, log } = await startAttackedServer({
    users: { alice: { limits: 'root = "plain/hers"' }, bob: {} },
  });
  await writeFile(join(root, 'plain'), '');
  const { header } = await (await connect()).hello({ token: tokenOf('alice') });
  expect(header).toMatchObject({
    code: 'internal',
    message: 'The server failed on this request; its log says why.',
  });
  const bob = await login('bob');
  expect((await bob.ask('stat', { path: 'nowhere' })).header['code']).toBe('not-found');
  const lines = log().trim().split('\n');
  const errors = lines
    .map((line) => JSON.parse(line) as { level: number })
    .filter(({ level }) => level === pino.levels.values['error']);
  expect(errors).toEqual([
    expect.objectContaining({
      code: 'bad-configuration',
      reason: expect.stringContaining(`${join(root, 'plain/hers')} cannot be made`),
    }),
  ]);
});

test('roots that are one directory, however written, are served as one', async () => {
  const outside = await temporaryDirectory();
  const { login, root } = await serveUsers({
    a: { limits: `root = ${JSON.stringify(outside)}` },
    b: { limits: `root = ${JSON.stringify(join(outside, 'x', '..'))}` },
    whole: { limits: 'root = "."' },
  });
  const [a, b, whole] = [await login('a'), await login('b'), await login('whole')];
  const lease = { name: 'sync', 'ttl-ms': 60_000 };
  expect((await a.ask('lock', lease)).header['status']).toBe('ok');
  expect((await b.ask('lock', lease)).header['code']).toBe('locked');
  await putInline(a, 'file', bytesOf(3));
  expect(await fetched(b, 'file')).toEqual(bytesOf(3));
  await putInline(whole, 'here', bytesOf(4));
  expect(await readFile(join(root, 'here'))).toEqual(bytesOf(4));
});

describe('a link that a client makes', () => {
  test.each([
    ['where a root lies, into the state directory', 'homes/bob', '../.sealift'],
    ['where a root lies, to all that is served', 'homes/bob', '..'],
    ['on the way to a root', 'homes', 'OUTSIDE'],
  ])('%s, is not followed', async (_, path, to) => {
    const outside = await temporaryDirectory();
    const { login, connect, root, log } = await startAttackedServer({
      users: { mallory: {}, bob: { limits: 'root = "homes/bob"' } },
    });
    const mallory = await login('mallory');
    await mallory.askOk('symlink', { path, target: to.replace('OUTSIDE', outside) });
    const { header } = await (await connect()).hello({ token: tokenOf('bob') });
    expect(header).toMatchObject({ status: 'error', code: 'internal' });
    expect(log()).toContain(`The directory ${join(root, 'homes/bob')} cannot be made`);
    expect(log()).toContain('absolute path');
    expect(readdirSync(outside)).toEqual([]);
    expect(existsSync(join(root, '.sealift/.sealift'))).toBe(false);
    await mallory.askOk('remove', { path });
    await putInline(await login('bob'), 'file', bytesOf(3));
    expect(await readFile(join(root, 'homes/bob/file'))).toEqual(bytesOf(3));
  });
});

test('the links of the operator are followed: to what is served, and to a root outside', async () => {
  const [real, outside] = [await temporaryDirectory(), await temporaryDirectory()];
  const links = await temporaryDirectory();
  await symlink(real, join(links, 'served'));
  await symlink(outside, join(links, 'outside'));
  const { login } = await serveUsers(
    {
      a: { limits: 'root = "of-a"' },
      again: { limits: `root = ${JSON.stringify(join(real, 'of-a'))}` },
      b: { limits: `root = ${JSON.stringify(join(links, 'outside'))}` },
    },
    { root: join(links, 'served') },
  );
  await putInline(await login('a'), 'file', bytesOf(3));
  expect(await readFile(join(real, 'of-a/file'))).toEqual(bytesOf(3));
  expect(await fetched(await login('again'), 'file')).toEqual(bytesOf(3));
  await putInline(await login('b'), 'file', bytesOf(4));
  expect(await readFile(join(outside, 'file'))).toEqual(bytesOf(4));
});

test('what is the service’s own is nobody’s root', async () => {
  const { connect } = await serveUsers({ alice: { limits: 'root = ".sealift/identity"' } });
  const { header } = await (await connect()).hello({ token: tokenOf('alice') });
  expect(header).toMatchObject({ status: 'error', code: 'internal' });
});

test('what was moved from another root is on the disk when that is said', async () => {
  const { login } = await serveUsers({
    outer: { limits: 'root = "homes"' },
    inner: { limits: 'root = "homes/inner"' },
  });
  const [outer, inner] = [await login('outer'), await login('inner')];
  await putInline(inner, 'file', bytesOf(3), { durability: 'memory' });
  await outer.askOk('move', { path: 'inner/file', to: 'taken' });
  const calls = replaceSync('exit 0');
  await inner.askOk('sync');
  expect(calls()).toHaveLength(1);
});

test('the name of a lease is taken in all roots at once, and stays so after its holder has left the root', async () => {
  const clock = new FakeClock();
  const users = { a: { limits: 'root = "of-a"' }, b: { limits: 'root = "of-b"' }, whole: {} };
  const { login, server } = await serveUsers(users, { clock });
  const lease = { name: 'nightly', 'ttl-ms': 180_000 };
  const a = await login('a');
  await a.askOk('lock', lease);
  await a.destroy();
  while (server.connectionCount > 0) await new Promise(setImmediate);
  clock.advance(60_000);
  for (const user of ['b', 'whole'])
    expect((await (await login(user)).ask('lock', lease)).header['code']).toBe('locked');
  await (await login('a')).askOk('unlock', lease);
  await (await login('b')).askOk('lock', lease);
});

test('uploads of a root are gone on with after everybody has left it', async () => {
  const clock = new FakeClock();
  const { login, server } = await serveUsers({ alice: { limits: 'root = "hers"' } }, { clock });
  const put = { path: 'file', size: 2_000_000, 'resume-key': 'a'.repeat(32) };
  const alice = await login('alice');
  const first = await alice.askOk('put', put);
  await alice.destroy();
  while (server.connectionCount > 0) await new Promise(setImmediate);
  clock.advance(60_000);
  const again = await login('alice');
  const second = await again.askOk('put', put);
  expect(second.header['upload']).not.toBe(first.header['upload']);
  expect((await putInline(again, 'other', bytesOf(3))).header['status']).toBe('ok');
});

test('a root that cannot be served refuses its principal, and nobody else', async () => {
  const { login, connect, root } = await serveUsers({ alice: { limits: 'root = "file"' }, bob: {} });
  await writeFile(join(root, 'file'), '');
  const { header } = await (await connect()).hello({ token: 'token-of-alice' });
  expect(header).toMatchObject({ status: 'error' });
  expect(header['message']).not.toContain(root);
  await login('bob');
});

test('what another server holds is not served twice', async () => {
  const outside = await temporaryDirectory();
  await mkdir(join(outside, 'shared'));
  const first = await startDirectoryServer({ root: join(outside, 'shared') });
  const second = await serveUsers({ alice: { limits: `root = ${JSON.stringify(first.root)}` } });
  const { header } = await (await second.connect()).hello({ token: 'token-of-alice' });
  // Claimed by this very process, which serves it already.
  expect(header).toMatchObject({ status: 'error' });
});

describe('versions in a root to which nobody comes any more', () => {
  const HOUR_MS = 3_600_000;
  const USERS: Record<string, TestUser> = {
    broken: { limits: 'root = "file"' },
    nobody: { limits: 'root = "never-used"' },
    alice: { limits: 'root = "hers"' },
  };

  /** Serves a directory in which alice has left a version, and her root is closed again. */
  async function serveAlice() {
    const clock = new FakeClock();
    const served = await serveUsers(USERS, { clock, keepVersionsMs: HOUR_MS / 2 });
    const { login, server, root } = served;
    await writeFile(join(root, 'file'), '');
    const alice = await login('alice');
    await putInline(alice, 'file', bytesOf(3));
    await alice.askOk('remove', { path: 'file' });
    await alice.destroy();
    while (server.connectionCount > 0) await new Promise(setImmediate);
    clock.advance(60_000);
    const own = join(root, 'hers/.sealift');
    const isOpen = () => existsSync(join(own, 'server.lock'));
    while (isOpen()) await new Promise(setImmediate);
    const versionCount = () => readdirSync(join(own, 'versions')).length;
    expect(versionCount()).toBe(1);
    return { ...served, clock, isOpen, versionCount };
  }

  test('go while the server runs, and the root is not held open for that', async () => {
    const { clock, isOpen, versionCount, root } = await serveAlice();
    while (versionCount() > 0) {
      clock.advance(HOUR_MS);
      await new Promise(setImmediate);
    }
    while (isOpen()) await new Promise(setImmediate);
    expect(existsSync(join(root, 'never-used'))).toBe(false);
  });

  test('go when the server starts again', async () => {
    const { isOpen, versionCount } = await restarted();
    while (versionCount() > 0 || isOpen()) await new Promise(setImmediate);
  });

  test('do not close it, when they have gone, to somebody who came meanwhile', async () => {
    const gate = Promise.withResolvers<void>();
    const { arrival, decorateStore } = watchedExpiry(() => gate.promise);
    const { login, versionCount } = await restarted(decorateStore);
    await arrival;
    const alice = await login('alice');
    gate.resolve();
    while (versionCount() > 0) await new Promise(setImmediate);
    await putInline(alice, 'other', bytesOf(4));
    expect(await fetched(await login('alice'), 'other')).toEqual(bytesOf(4));
  });

  test('do not keep the server from closing', async () => {
    const { arrival, decorateStore } = watchedExpiry(async (signal) => {
      await new Promise((resolve) => signal?.addEventListener('abort', resolve));
    });
    const { server, isOpen, versionCount } = await restarted(decorateStore);
    await arrival;
    await server.close();
    expect(isOpen()).toBe(false);
    expect(versionCount()).toBe(1);
  });

  /** The server of `serveAlice`, started again when the version has become too old. */
  async function restarted(decorateStore?: (store: Store) => Store) {
    const { clock, server, root, usersFile, ...rest } = await serveAlice();
    await server.close();
    clock.advance(HOUR_MS);
    const options = { root, usersFile, clock, keepVersionsMs: HOUR_MS / 2, decorateStore };
    return { ...rest, ...(await startDirectoryServer(options)) };
  }

  /** Lets the second store that is opened, which is not the one that is served, wait before it removes versions. */
  function watchedExpiry(wait: (signal: AbortSignal | undefined) => Promise<unknown>) {
    const { promise: arrival, resolve: arrive } = Promise.withResolvers<void>();
    let isMain = true;
    const decorateStore = (store: Store): Store => {
      const { expireVersions } = store;
      if (!isMain)
        store.expireVersions = async (options) => {
          arrive();
          await wait(options?.signal);
          await expireVersions.call(store, options);
        };
      isMain = false;
      return store;
    };
    return { arrival, decorateStore };
  }
});
