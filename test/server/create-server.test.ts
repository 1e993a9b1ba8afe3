import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { silentLogger } from '../../src/logger.ts';
import { createServer } from '../../src/server/create-server.ts';
import { certificatePin } from '../../src/trust/pins.ts';
import { issueAuthority, issueCertificate } from '../support/certificates.ts';
import { failureOf } from '../support/failure.ts';
import { bytesOf, fetched, putInline } from '../support/raw-upload.ts';
import { watchSyncs } from '../storage/fs/watched-syncs.ts';
import { startDirectoryServer, temporaryDirectory, tokenOf, usersToml } from '../support/test-server.ts';

async function usersFile(users: Parameters<typeof usersToml>[0]): Promise<string> {
  const path = join(await temporaryDirectory(), 'users.toml');
  writeFileSync(path, usersToml(users), { mode: 0o600 });
  return path;
}

test('a directory that is missing is made, and what is put stands in it as a file', async () => {
  const root = join(await temporaryDirectory(), 'new', 'root');
  const { connect } = await startDirectoryServer({ root, anonymous: 'write' });
  const client = await connect();
  await client.hello();
  expect((await putInline(client, 'dir/a', bytesOf(10))).header['status']).toBe('ok');
  expect(readFileSync(join(root, 'dir', 'a'))).toEqual(bytesOf(10));
  mkdirSync(join(root, 'by hand'));
  writeFileSync(join(root, 'by hand', 'b'), 'text');
  expect((await fetched(client, 'by hand/b'))?.toString()).toBe('text');
});

test('the directories that are made for it are on the disk before anybody is served', async () => {
  const above = await temporaryDirectory();
  const synced = await watchSyncs(above);
  await startDirectoryServer({ root: join(above, 'new', 'root') });
  expect(synced.filter((path) => ['', '/new'].includes(path)).sort()).toEqual(['', '/new']);
});

test('what is no upload among the uploads keeps no server from starting, nor the others from being removed', async () => {
  const root = await temporaryDirectory();
  const uploads = join(root, '.sealift', 'uploads');
  mkdirSync(join(uploads, 'aa-00'), { recursive: true });
  for (const name of ['stray file', 'bb-00', 'bb-11']) writeFileSync(join(uploads, name), 'x');
  const { connect } = await startDirectoryServer({
    root,
    anonymous: 'write',
    abandonedUploads: { maxAgeMs: -1 },
  });
  const client = await connect();
  await client.hello();
  expect((await putInline(client, 'a', bytesOf(10))).header['status']).toBe('ok');
  expect(readdirSync(uploads)).toEqual(expect.not.arrayContaining(['bb-00', 'bb-11']));
});

test('the key that is made is kept, and is the one that is shown', async () => {
  const first = await startDirectoryServer();
  const client = await first.connect();
  const shown = client.socket.getPeerX509Certificate();
  expect(certificatePin(shown!)).toBe(first.server.pin);
  await client.destroy();
  await first.server.close();
  const second = await startDirectoryServer({ root: first.root });
  expect(second.server.pin).toBe(first.server.pin);
});

test('what stands in the certificate file, and vouches for nothing, ends without a word', async () => {
  const ca = await issueAuthority();
  const { cert, key } = await issueCertificate({ ca });
  const past = (days: number) => new Date(Date.now() - days * 86_400_000);
  const former = await issueCertificate({ notBefore: past(2), notAfter: past(1) });
  const expired: object[] = [];
  const logger = { ...silentLogger, error: (facts: object) => void expired.push(facts) };
  const { server } = await startDirectoryServer({ cert: cert + ca.cert + former.cert, key, logger });
  expect(server.certificateEndsMs).toBeGreaterThan(Date.now());
  expect(expired).toEqual([]);
  await server.close();
  const other = await startDirectoryServer({ cert: former.cert, key: former.key, logger });
  expect(other.server.certificateEndsMs).toBeLessThan(Date.now());
  expect(expired).toHaveLength(1);
});

test('a certificate that is given is shown', async () => {
  const pair = await issueCertificate();
  const { server, connect } = await startDirectoryServer(pair);
  expect(server.pin).toBe(certificatePin(Buffer.from(pair.cert)));
  const shown = (await connect()).socket.getPeerX509Certificate();
  expect(certificatePin(shown!)).toBe(server.pin);
});

test('the principals of a file of users are those of the server', async () => {
  const { server, login } = await startDirectoryServer({
    usersFile: await usersFile({ alice: {}, bob: {} }),
  });
  expect(server.principalCount).toBe(2);
  expect((await login('bob')).messages[0]?.header['principal']).toBe('bob');
});

test('who joins is counted, and the connections are', async () => {
  const { server, connect } = await startDirectoryServer();
  expect([server.principalCount, server.connectionCount]).toEqual([0, 0]);
  const client = await connect();
  await client.hello({ join: await server.issueJoinCode() });
  expect([server.principalCount, server.connectionCount]).toEqual([1, 1]);
  server.destroyConnections();
  await client.closed;
});

test('once it is told to close, nobody comes in any more', async () => {
  const { server, connect } = await startDirectoryServer({ anonymous: 'read' });
  const closing = server.close();
  await expect(connect()).rejects.toThrow('ECONNREFUSED');
  await closing;
});

test('it can be reached over a Unix socket', async () => {
  const socketPath = join(await temporaryDirectory(), 'server.sock');
  const { connect, server } = await startDirectoryServer({ socketPath, anonymous: 'read' });
  expect(server.address).toEqual({ path: socketPath });
  expect((await (await connect()).hello()).header['status']).toBe('ok');
});

test.each([
  ['a certificate without its key', async () => ({ cert: (await issueCertificate()).cert })],
  ['a key without its certificate', async () => ({ key: (await issueCertificate()).key })],
  ['a certificate that is none', async () => ({ cert: 'no PEM', key: 'no PEM' })],
  [
    'a key of another certificate',
    async () => ({ ...(await issueCertificate()), key: (await issueCertificate()).key }),
  ],
  ['a file of users that is missing', async () => ({ usersFile: join(await temporaryDirectory(), 'none') })],
  ['a file where the directory should be', async () => ({ root: await usersFile({}) })],
])('%s is refused', async (_, options) => {
  expect((await failureOf(startDirectoryServer(await options()))).code).toBe('bad-configuration');
});

test('what is given as undefined is as if it were not given', async () => {
  const { server, connect } = await startDirectoryServer({
    clock: undefined,
    random: undefined,
    logger: undefined,
    anonymous: 'write',
  });
  const client = await connect();
  await client.hello();
  expect((await putInline(client, 'a', bytesOf(10))).header['status']).toBe('ok');
  await server.reload();
});

test.each([
  ...[Infinity, 0, -1, 1.5, NaN].map((idleTimeoutMs) => ({ idleTimeoutMs })),
  ...['all', '', true].map((anonymous) => ({ anonymous })),
  ...[-1, 70_000, NaN, 1.5, '80'].map((port) => ({ port })),
  ...[NaN, -1].flatMap((number) => [{ keepVersionsMs: number }, { maxConnections: number }]),
  { agent: 5 },
  { socketPath: '' },
  { host: 5 },
  { root: 5 },
  { root: '' },
  { usersFile: '/dev' },
  { minVersion: 'x' },
])('the options %o are refused, with the name of what is wrong', async (options) => {
  const failure = await failureOf(startDirectoryServer(options as never));
  expect(failure.code).toBe('bad-configuration');
  const [[name, value] = []] = Object.entries(options);
  expect(failure.message).toContain(name === 'usersFile' ? value : name);
});

test('a server without a root is refused', async () => {
  expect((await failureOf(createServer({} as never))).code).toBe('bad-configuration');
});

test('the token of a user of one directory is nothing in another', async () => {
  const { connect } = await startDirectoryServer({ usersFile: await usersFile({ alice: {} }) });
  expect((await (await connect()).hello({ token: tokenOf('bob') })).header['code']).toBe('unauthenticated');
});
