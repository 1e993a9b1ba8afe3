import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { nextTurn, systemClock } from '../../src/clock.ts';
import { systemRandom } from '../../src/random.ts';
import type { Store } from '../../src/storage/store.ts';
import { addPrincipal } from '../../src/trust/add-principal.ts';
import { createAuthority } from '../../src/trust/ca/authority.ts';
import { createClientRequest } from '../../src/trust/ca/client-request.ts';
import { joinFields, newJoinCode } from '../../src/trust/join-codes.ts';
import { revokePrincipal } from '../../src/trust/revoke-principal.ts';
import { startAttackedServer } from '../support/attacked-server.ts';
import { failureOf } from '../support/failure.ts';
import { startDirectoryServer, temporaryDirectory, type TestServer } from '../support/test-server.ts';

const services = { clock: systemClock, random: systemRandom };

async function hello({ connect }: TestServer, fields: Record<string, unknown>) {
  return (await (await connect()).hello(fields)).header;
}

/** Lets a principal wait in a users file, as another process does it. */
async function wait(file: string, name: string, fields: Record<string, unknown> = {}): Promise<string> {
  const code = newJoinCode(systemRandom);
  const all = { permissions: ['read'], ...fields, ...joinFields(code, systemClock) };
  await addPrincipal(file, { name, fields: all });
  return code;
}

async function authority() {
  const directory = join(await temporaryDirectory(), 'ca');
  const { key } = await createAuthority(directory, { name: 'CA', days: 30, crlDays: 30 }, services);
  const at = (name: string) => join(directory, name);
  return { ca: at('ca.pem'), caKey: at('ca.key'), key };
}

describe('a code that another process has issued', () => {
  test('works at once, and says who one is', async () => {
    const server = await startDirectoryServer();
    const code = await wait(join(server.root, '.sealift/users.toml'), 'alice', { prefixes: ['photos'] });
    expect(server.server.principalCount).toBe(0);
    expect(await hello(server, { join: code })).toMatchObject({ principal: 'alice', permissions: ['read'] });
    expect(server.server.principalCount).toBe(1);
    expect(await hello(server, { join: code })).toMatchObject({ code: 'unauthenticated' });
  });

  test('works in a file of the operator, and after a restart', async () => {
    const usersFile = join(await temporaryDirectory(), 'users.toml');
    writeFileSync(usersFile, '# ours\n', { mode: 0o600 });
    const first = await startDirectoryServer({ usersFile });
    const code = await first.server.issueJoinCode();
    await first.server.close();
    const again = await startDirectoryServer({ usersFile, root: first.root });
    const { token } = await hello(again, { join: code });
    expect(await hello(again, { token })).toMatchObject({ principal: 'client-1' });
    expect(readFileSync(usersFile, 'utf8')).toMatch(/^# ours\n/);
  });

  test('is found in vain where it was revoked since', async () => {
    const { server, root, connect } = await startDirectoryServer();
    const code = await server.issueJoinCode();
    writeFileSync(join(root, '.sealift/users.toml'), '');
    expect((await (await connect()).hello({ join: code })).header['code']).toBe('unauthenticated');
  });
});

describe('a code is not spent', () => {
  test.each([
    ['from an address that is not welcome', { addresses: ['192.0.2.1'] }, 'unauthenticated'],
    ['for a login that has expired', { expires: new Date(0) }, 'unauthenticated'],
  ])('%s', async (_, fields, problem) => {
    const server = await startDirectoryServer();
    const file = join(server.root, '.sealift/users.toml');
    const code = await wait(file, 'alice', fields);
    const before = await readFile(file, 'utf8');
    expect(await hello(server, { join: code })).toMatchObject({ code: problem });
    expect(await readFile(file, 'utf8')).toBe(before);
  });

  test('where the users file cannot be changed, which the log says', async () => {
    const directory = await temporaryDirectory();
    const usersFile = join(directory, 'users.toml');
    const line = '[principals]\n';
    writeFileSync(usersFile, line, { mode: 0o600 });
    const server = await startAttackedServer({ usersFile, users: undefined });
    const code = newJoinCode(systemRandom);
    const { join: hash, 'join-expires': expires } = joinFields(code, systemClock);
    // An inline table is read, and not edited.
    const inline = `alice = { permissions = [], join = "${hash}", join-expires = ${expires.toISOString()} }\n`;
    writeFileSync(usersFile, `${line}${inline}`);
    expect(await hello(server, { join: code })).toMatchObject({ code: 'busy', retryable: true });
    expect(server.log()).toContain('a client cannot join');
    expect(server.log()).toContain('written in a way that cannot be edited');
    expect(server.log()).not.toContain(code);
    writeFileSync(
      usersFile,
      `[principals.alice]\npermissions = []\njoin = "${hash}"\njoin-expires = ${expires.toISOString()}\n`,
    );
    expect(await hello(server, { join: code })).toMatchObject({ status: 'ok', principal: 'alice' });
  });

  test('while its principal has all its connections', async () => {
    const server = await startDirectoryServer();
    const file = join(server.root, '.sealift/users.toml');
    const [first, second] = [await server.connect(), await server.connect()];
    const limit = { 'max-connections': 1 };
    await first.hello({ join: await wait(file, 'alice', limit) });
    const table = await readFile(file, 'utf8');
    const code = newJoinCode(systemRandom);
    const { join: hash, 'join-expires': expires } = joinFields(code, systemClock);
    writeFileSync(file, `${table}\njoin = "${hash}"\njoin-expires = ${expires.toISOString()}\n`);
    for (let times = 0; times < 2; times += 1)
      expect((await second.hello({ join: code })).header).toMatchObject({ code: 'busy', retryable: true });
    await first.destroy();
    while (server.server.connectionCount > 1) await nextTurn();
    expect((await second.hello({ join: code })).header).toMatchObject({ status: 'ok', principal: 'alice' });
  });

  test('where the root of its principal cannot be served', async () => {
    const server = await startAttackedServer({ users: undefined });
    const code = await wait(join(server.root, '.sealift/users.toml'), 'alice', { root: 'plain/hers' });
    await writeFile(join(server.root, 'plain'), '');
    expect(await hello(server, { join: code })).toMatchObject({ code: 'internal', retryable: true });
    expect(server.log()).toContain('plain/hers cannot be made');
    await rm(join(server.root, 'plain'));
    expect(await hello(server, { join: code })).toMatchObject({ status: 'ok', principal: 'alice' });
  });

  test('for a client that is gone before its root is open', async () => {
    const [opening, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const stores: Store[] = [];
    const decorateStore = (store: Store): Store => {
      const uploads = store.uploads.bind(store);
      // The uploads in the root of the principal are long to look through.
      if (stores.push(store) > 1)
        store.uploads = async function* () {
          opening.resolve();
          await gate.promise;
          yield* uploads();
        };
      return store;
    };
    const server = await startDirectoryServer({ decorateStore });
    const code = await wait(join(server.root, '.sealift/users.toml'), 'alice', { root: 'hers' });
    const gone = await server.connect();
    gone.begin('hello', { protocol: 1, agent: 'raw', join: code });
    await opening.promise;
    server.server.destroyConnections();
    await gone.closed;
    gate.resolve();
    expect(await hello(server, { join: code })).toMatchObject({ status: 'ok', principal: 'alice' });
  });

  test('for a certificate where nobody signs one', async () => {
    const server = await startDirectoryServer();
    const code = await server.server.issueJoinCode();
    const { request } = await createClientRequest();
    const fields = { join: code, 'certificate-request': request };
    expect(await hello(server, fields)).toMatchObject({ code: 'unsupported' });
    expect(await hello(server, { join: code })).toMatchObject({ status: 'ok' });
  });
});

describe('a certificate', () => {
  test('comes with the token, and is as good, until its principal is revoked', async () => {
    const { ca, caKey } = await authority();
    const server = await startDirectoryServer({ clientCa: { file: ca }, clientCaKey: { file: caKey } });
    const file = join(server.root, '.sealift/users.toml');
    const code = await wait(file, 'alice');
    const { key, request } = await createClientRequest();
    expect(await hello(server, { join: code, 'certificate-request': 'nonsense' })).toMatchObject({
      code: 'bad-request',
    });
    const { certificate, token } = await hello(server, { join: code, 'certificate-request': request });
    expect(token).toEqual(expect.any(String));
    const cert = String(certificate);
    expect(new X509Certificate(cert).subject).toBe('CN=alice');
    const client = await server.connect({ cert, key });
    expect((await client.hello()).header).toMatchObject({ principal: 'alice', permissions: ['read'] });
    writeFileSync(file, '');
    await server.server.reload();
    await client.closed;
    expect((await (await server.connect({ cert, key })).hello()).header['code']).toBe('unauthenticated');
  });

  test('of a client that was revoked does not count again when its name is given to another one', async () => {
    const { ca, caKey } = await authority();
    const server = await startDirectoryServer({ clientCa: { file: ca }, clientCaKey: { file: caKey } });
    const file = join(server.root, '.sealift/users.toml');
    const joined = async () => {
      const { key, request } = await createClientRequest();
      const code = await wait(file, 'laptop');
      const { certificate } = await hello(server, { join: code, 'certificate-request': request });
      return { cert: String(certificate), key };
    };
    const answerTo = async (identity: { cert: string; key: string }) =>
      (await (await server.connect(identity)).hello()).header;
    const stolen = await joined();
    expect(await answerTo(stolen)).toMatchObject({ principal: 'laptop' });
    await revokePrincipal(file, 'laptop');
    const replacement = await joined();
    expect(await answerTo(stolen)).toMatchObject({ code: 'unauthenticated' });
    expect(await answerTo(replacement)).toMatchObject({ principal: 'laptop', permissions: ['read'] });
  });

  test('counts no longer where its authority is not trusted any more', async () => {
    const { ca, caKey } = await authority();
    const first = await startDirectoryServer({ clientCa: { file: ca }, clientCaKey: { file: caKey } });
    const { key, request } = await createClientRequest();
    const code = await wait(join(first.root, '.sealift/users.toml'), 'laptop');
    const { certificate } = await hello(first, { join: code, 'certificate-request': request });
    await first.server.close();
    const another = await startDirectoryServer({
      root: first.root,
      clientCa: { file: (await authority()).ca },
    });
    const { header } = await (await another.connect({ cert: String(certificate), key })).hello();
    expect(header).toMatchObject({ code: 'unauthenticated' });
  });

  test.each([
    ['the key of another CA', async () => ({ clientCaKey: { file: (await authority()).caKey } })],
    ['a key without its CA', async () => ({ clientCa: undefined })],
    ['a key that others can read', async ({ caKey }: { caKey: string }) => chmod(caKey, 0o644)],
  ])('is signed with no %s', async (_, change) => {
    const { ca, caKey } = await authority();
    const options = { clientCa: { file: ca }, clientCaKey: { file: caKey }, ...(await change({ caKey })) };
    expect((await failureOf(startDirectoryServer(options))).code).toBe('bad-configuration');
  });
});
