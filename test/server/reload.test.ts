import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { chmod, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { nextTurn } from '../../src/clock.ts';
import { silentLogger } from '../../src/logger.ts';
import type { AuditEntry } from '../../src/server/audit.ts';
import type { CreateServerOptions } from '../../src/server/create-server.ts';
import { statePaths } from '../../src/server/state-paths.ts';
import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { certificatePin } from '../../src/trust/pins.ts';
import { issueAuthority, issueCertificate, issueRevocationList, type Pair } from '../support/certificates.ts';
import { FakeClock } from '../support/fake-clock.ts';
import type { RawClient } from '../support/raw-client.ts';
import { beginUpload, blocksOf, bytesOf, commit, putInline, sendBlock } from '../support/raw-upload.ts';
import {
  startDirectoryServer,
  temporaryDirectory,
  tokenOf,
  usersToml,
  type TestUser,
} from '../support/test-server.ts';

const CONTENT = bytesOf(2 * BLOCK_BYTES);

async function serveUsers(users: Record<string, TestUser>) {
  const usersFile = join(await temporaryDirectory(), 'users.toml');
  const change = (changed: Record<string, TestUser>) => writeFile(usersFile, usersToml(changed));
  await change(users);
  return { ...(await startDirectoryServer({ usersFile })), usersFile, change };
}

describe('when users change', () => {
  test('who was removed is cut off and not let in again; the others go on', async () => {
    const { server, login, connect, change } = await serveUsers({ alice: {}, bob: {} });
    const [alice, bob] = [await login('alice'), await login('bob')];
    await change({ bob: {} });
    await server.reload();
    await alice.ended();
    const { header } = await (await connect()).hello({ token: tokenOf('alice') });
    expect(header).toMatchObject({ code: 'unauthenticated', retryable: false });
    expect((await bob.ask('ping')).header['status']).toBe('ok');
  });

  test('who lost a permission is refused with the next request, and at the commit of what began before', async () => {
    const { server, login, change } = await serveUsers({ alice: {} });
    const alice = await login('alice');
    const { upload } = await beginUpload(alice, 'file', CONTENT.length);
    for (const [index, block] of blocksOf(CONTENT).entries()) await sendBlock(alice, upload, index, block);
    await change({ alice: { permissions: ['read', 'list'] } });
    await server.reload();
    expect((await commit(alice, upload, CONTENT)).header['code']).toBe('forbidden');
    expect((await putInline(alice, 'other', bytesOf(3))).header['code']).toBe('forbidden');
    expect((await alice.ask('stat', { path: 'file' })).header['code']).toBe('not-found');
    await change({ alice: {} });
    await server.reload();
    expect((await commit(alice, upload, CONTENT)).header['status']).toBe('ok');
  });

  test('who may not delete any more replaces nothing with an upload that began before', async () => {
    const { server, login, change } = await serveUsers({ alice: {} });
    const alice = await login('alice');
    await putInline(alice, 'file', bytesOf(3));
    const { upload } = await beginUpload(alice, 'file', CONTENT.length);
    for (const [index, block] of blocksOf(CONTENT).entries()) await sendBlock(alice, upload, index, block);
    await change({ alice: { permissions: ['read', 'list', 'write'] } });
    await server.reload();
    expect((await commit(alice, upload, CONTENT)).header['code']).toBe('forbidden');
    expect((await alice.ask('stat', { path: 'file' })).header['size']).toBe(3);
  });

  test('who is sent elsewhere has to come again', async () => {
    const { server, login, change } = await serveUsers({ alice: {} });
    const alice = await login('alice');
    await putInline(alice, 'file', bytesOf(3));
    await change({ alice: { limits: 'root = "hers"' } });
    await server.reload();
    await alice.ended();
    const again = await login('alice');
    expect((await again.ask('stat', { path: 'file' })).header['code']).toBe('not-found');
  });

  test('a faulty file is refused, and the old users stay', async () => {
    const { server, login, usersFile } = await serveUsers({ alice: {} });
    const alice = await login('alice');
    await writeFile(usersFile, '[principals.alice]\npermisions = ["read"]\n');
    await expect(server.reload()).rejects.toMatchObject({
      code: 'bad-configuration',
      message: expect.stringContaining('permisions'),
    });
    expect((await putInline(alice, 'file', bytesOf(3))).header['status']).toBe('ok');
    await login('alice');
  });
});

test('a reload that does not end keeps no server from being closed', async () => {
  const directory = await temporaryDirectory();
  const [ca, crl] = [join(directory, 'ca.pem'), join(directory, 'list.crl')];
  const authority = await issueAuthority();
  const list = await issueRevocationList(authority, []);
  await Promise.all([writeFile(ca, authority.cert), writeFile(crl, list)]);
  const { server, connect } = await startDirectoryServer({ clientCa: { file: ca }, crl: { file: crl } });
  await rm(crl);
  // As long as nobody writes to it, it is like a file on a file system that does not answer.
  execFileSync('mkfifo', [crl]);
  const reloading = server.reload();
  // Resolves when the reload has opened the other end, and waits.
  const pipe = await open(crl, 'w');
  await server.close({ graceMs: 0 });
  await expect(connect()).rejects.toThrow();
  await pipe.write(list);
  await pipe.close();
  await reloading;
});

test('a reload under way when the server is closed leaves nothing behind', async () => {
  const clock = new FakeClock();
  const { server, root } = await startDirectoryServer({ clock });
  const reloading = server.reload();
  await server.close({ graceMs: 0 });
  await reloading;
  await server.reload();
  expect(clock.pendingCount).toBe(0);
  expect(existsSync(statePaths(root).listening)).toBe(false);
});

test('what changes while the server starts is seen', async () => {
  const usersFile = join(await temporaryDirectory(), 'users.toml');
  writeFileSync(usersFile, usersToml({ alice: {}, bob: {} }));
  const clock = new FakeClock();
  const reloaded = Promise.withResolvers<void>();
  const info = (_facts: object, text: string) => {
    if (text === 'reloaded') reloaded.resolve();
  };
  const { connect, login } = await startDirectoryServer({
    ...{ usersFile, clock, logger: { ...silentLogger, info } },
    // The uploads are swept when the users were read, and before anybody is served.
    decorateStore: (store) => {
      const uploads = store.uploads.bind(store);
      store.uploads = () => {
        writeFileSync(usersFile, usersToml({ bob: {} }));
        return uploads();
      };
      return store;
    },
  });
  const timers = clock.pendingCount;
  for (let looks = 0; looks < 2; looks += 1) {
    clock.advance(1_000);
    await clock.whenScheduled(timers);
  }
  await reloaded.promise;
  const { header } = await (await connect()).hello({ token: tokenOf('alice') });
  expect(header['code']).toBe('unauthenticated');
  await login('bob');
});

describe('when certificates change', () => {
  const names = ['localhost', '127.0.0.1'];

  async function serveFiles(more: Partial<CreateServerOptions> = {}) {
    const directory = await temporaryDirectory();
    const files = {
      cert: join(directory, 'cert.pem'),
      key: join(directory, 'key.pem'),
      ca: join(directory, 'ca.pem'),
    };
    const change = async ({ cert, key }: Pair) => {
      await writeFile(files.cert, cert);
      await writeFile(files.key, key, { mode: 0o600 });
    };
    const first = await issueCertificate({ names });
    await change(first);
    const ca = await issueAuthority();
    await writeFile(files.ca, ca.cert);
    const options = { cert: { file: files.cert }, key: { file: files.key }, clientCa: { file: files.ca } };
    return { ...(await startDirectoryServer({ ...options, ...more })), files, change, first, ca };
  }

  test('new connections see the new one, and those that stand go on', async () => {
    const { server, connect, change, ca } = await serveFiles();
    const signed = await issueCertificate({ commonName: 'alice', ca });
    const before = await connect(signed);
    await before.hello();
    const second = await issueCertificate({ names });
    await change(second);
    await server.reload();
    expect(server.pin).toBe(certificatePin(Buffer.from(second.cert)));
    const after = await connect(signed);
    expect(pinShownTo(after)).toBe(server.pin);
    expect((await after.hello()).header['principal']).toBe('alice');
    expect((await before.ask('ping')).header['status']).toBe('ok');
  });

  test.each([
    [
      'the key of another',
      async (files: Record<string, string>) =>
        writeFile(files['key'] ?? '', (await issueCertificate({ names })).key),
    ],
    [
      'half a certificate',
      (files: Record<string, string>) => writeFile(files['cert'] ?? '', '-----BEGIN CERTIFICATE-----\nMII'),
    ],
    ['no client CA', (files: Record<string, string>) => writeFile(files['ca'] ?? '', '')],
  ])('%s is refused, and the old ones stay', async (_, spoil) => {
    const { server, connect, files, first, ca } = await serveFiles();
    await spoil(files);
    await expect(server.reload()).rejects.toMatchObject({ code: 'bad-configuration' });
    const client = await connect(await issueCertificate({ commonName: 'alice', ca }));
    expect(pinShownTo(client)).toBe(certificatePin(Buffer.from(first.cert)));
    expect((await client.hello()).header['principal']).toBe('alice');
  });

  test('who came by an authority that is not trusted any more is cut off; who is of one that stays is not', async () => {
    const { server, connect, files, ca } = await serveFiles();
    const other = await issueAuthority('Other authority');
    const [old, kept] = [
      await connect(await issueCertificate({ commonName: 'alice', ca })),
      await connect(await issueCertificate({ commonName: 'bob', ca: other })),
    ];
    expect((await old.hello()).header['principal']).toBe('alice');
    expect((await kept.hello()).header['code']).toBe('unauthenticated');
    await writeFile(files.ca, other.cert + ca.cert);
    await server.reload();
    const bob = await connect(await issueCertificate({ commonName: 'bob', ca: other }));
    expect((await bob.hello()).header).toMatchObject({ principal: 'bob' });
    expect((await old.ask('ping')).header['status']).toBe('ok');
    await writeFile(files.ca, other.cert);
    await server.reload();
    await old.ended();
    expect((await bob.ask('ping')).header['status']).toBe('ok');
    const again = await connect(await issueCertificate({ commonName: 'alice', ca }));
    expect((await again.hello()).header['code']).toBe('unauthenticated');
  });

  test('who shook hands before and says hello after is as little let in by an authority that is not trusted any more', async () => {
    const entries: AuditEntry[] = [];
    const audit = { record: (entry: AuditEntry) => void entries.push(entry) };
    const { server, connect, files, ca } = await serveFiles({ audit });
    const other = await issueAuthority('Other authority');
    await writeFile(files.ca, other.cert + ca.cert);
    await server.reload();
    const late = await connect(await issueCertificate({ commonName: 'alice', ca }));
    const kept = await connect(await issueCertificate({ commonName: 'bob', ca: other }));
    // The server may know of a handshake later than the client, and would end it.
    while (server.connectionCount < 2) await nextTurn();
    await writeFile(files.ca, other.cert);
    await server.reload();
    await expect(late.hello()).rejects.toThrow('the connection ended');
    expect((await kept.hello()).header['principal']).toBe('bob');
    const logins = entries.filter(({ event }) => event !== 'reload');
    expect(logins.map(({ event, result }) => [event, result])).toEqual([
      ['login', 'unauthenticated'],
      ['login', 'ok'],
    ]);
  });
});

describe('where one file is faulty', () => {
  async function serveAll() {
    const directory = await temporaryDirectory();
    const [cert, key, ca, crl, usersFile] = ['cert.pem', 'key.pem', 'ca.pem', 'ca.crl', 'users.toml'].map(
      (name) => join(directory, name),
    ) as [string, string, string, string, string];
    const own = await issueCertificate();
    const authority = await issueAuthority();
    const carol = await issueCertificate({ commonName: 'carol', ca: authority });
    const changeUsers = (...names: string[]) =>
      writeFile(usersFile, usersToml(Object.fromEntries(names.map((name) => [name, { names: [name] }]))));
    const changeList = async (revoked: Pair[]) =>
      writeFile(crl, await issueRevocationList(authority, revoked));
    await writeFile(cert, own.cert);
    await writeFile(key, own.key, { mode: 0o600 });
    await writeFile(ca, authority.cert);
    await changeList([]);
    await changeUsers('alice', 'bob', 'carol');
    const files = { cert: { file: cert }, key: { file: key }, clientCa: { file: ca }, crl: { file: crl } };
    const started = await startDirectoryServer({ ...files, usersFile });
    const [alice, bob] = [await started.login('alice'), await started.login('bob')];
    const carols = await started.connect(carol);
    expect((await carols.hello()).header['principal']).toBe('carol');
    return { ...started, cert, key, ca, crl, usersFile, carol, alice, bob, carols, changeUsers, changeList };
  }
  type Served = Awaited<ReturnType<typeof serveAll>>;

  test.each<[string, (served: Served) => Promise<void>]>([
    ['the key is open to others', ({ key }) => chmod(key, 0o644)],
    ['the certificate is half there', ({ cert }) => writeFile(cert, '-----BEGIN CERTIFICATE-----\nMII')],
    ['key and certificate do not fit', async ({ key }) => writeFile(key, (await issueCertificate()).key)],
    ['the client CA is gone', ({ ca }) => rm(ca)],
    ['the revocation list is damaged', ({ crl }) => writeFile(crl, 'no list')],
  ])('who was removed is cut off all the same: %s', async (_, spoil) => {
    const served = await serveAll();
    await spoil(served);
    await served.changeUsers('bob', 'carol');
    await expect(served.server.reload()).rejects.toMatchObject({ code: 'bad-configuration' });
    await served.alice.ended();
    const { header } = await (await served.connect()).hello({ token: tokenOf('alice') });
    expect(header['code']).toBe('unauthenticated');
    expect((await served.bob.ask('ping')).header['status']).toBe('ok');
    expect((await served.carols.ask('ping')).header['status']).toBe('ok');
  });

  test.each<[string, (served: Served) => Promise<void>]>([
    ['the key is open to others', ({ key }) => chmod(key, 0o644)],
    ['the client CA is gone', ({ ca }) => rm(ca)],
    ['the users are', ({ usersFile }) => writeFile(usersFile, 'no users')],
  ])('who was revoked is cut off all the same: %s', async (_, spoil) => {
    const served = await serveAll();
    await spoil(served);
    await served.changeList([served.carol]);
    await expect(served.server.reload()).rejects.toMatchObject({ code: 'bad-configuration' });
    await served.carols.ended();
    const { header } = await (await served.connect(served.carol)).hello();
    expect(header['code']).toBe('unauthenticated');
    expect((await served.alice.ask('ping')).header['status']).toBe('ok');
  });
});

function pinShownTo({ socket }: RawClient): string {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) throw new Error('the server showed no certificate');
  return certificatePin(certificate);
}
