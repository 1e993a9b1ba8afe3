import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import type { AuditEntry } from '../../src/server/audit.ts';
import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { FakeClock } from '../support/fake-clock.ts';
import {
  beginUpload,
  bytesOf,
  commit,
  digestOf,
  fileDigestOf,
  putInline,
  sendBlock,
} from '../support/raw-upload.ts';
import {
  startDirectoryServer,
  startTestServer,
  temporaryDirectory,
  tokenOf,
  usersToml,
} from '../support/test-server.ts';

/** What is common to all lines of one connection, and what differs. */
const FROM_HERE = { time: '2030-01-01T00:00:00.000Z', address: '127.0.0.1', principal: 'tester' };

async function start(users: Parameters<typeof usersToml>[0] = { tester: {} }) {
  const entries: AuditEntry[] = [];
  const audit = { record: (entry: AuditEntry) => void entries.push(entry) };
  const clock = new FakeClock();
  const server = await startTestServer({ users, audit, clock });
  return { ...server, clock, entries };
}

test('every login stands in it, also one that is refused, with the reason and without the secret', async () => {
  const { entries, connect, login } = await start();
  await login();
  const second = await connect();
  await second.hello({ token: 'a secret' });
  await second.hello({ join: 'a code' });
  await second.hello({ protocol: 2 });
  expect(entries).toEqual([
    { ...FROM_HERE, event: 'login', connection: 1, result: 'ok' },
    expect.objectContaining({
      event: 'login',
      connection: 2,
      principal: undefined,
      result: 'unauthenticated',
    }),
    expect.objectContaining({
      event: 'join',
      connection: 2,
      principal: undefined,
      result: 'unauthenticated',
    }),
    expect.objectContaining({ event: 'login', connection: 2, result: 'unsupported-version' }),
  ]);
  expect(entries[1]?.reason).toMatch(/token/);
  expect(JSON.stringify(entries)).not.toMatch(/a secret|a code|token-of/);
});

test('every transfer stands in it, with its bytes and the digest of the file', async () => {
  const { entries, login } = await start();
  const client = await login();
  const [small, large] = [bytesOf(10), bytesOf(2 * BLOCK_BYTES)];
  await putInline(client, 'small', small);
  const { upload } = await beginUpload(client, 'large', large.length);
  for (const index of [0, 1])
    await sendBlock(client, upload, index, large.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES));
  await commit(client, upload, bytesOf(2 * BLOCK_BYTES, 1));
  await commit(client, upload, large);
  await client.ask('get', { path: 'small' });
  await client.ask('get', { path: 'large' });
  await client.ask('get', { path: 'large', 'from-block': 1 });
  await client.ask('get', { path: 'none', version: 'x' });
  await client.ask('digests', { path: 'large' });
  await client.ask('list', { path: '' });
  const common = {
    ...FROM_HERE,
    event: 'transfer',
    connection: 1,
    seconds: 0,
    to: undefined,
    version: undefined,
  };
  const [ofSmall, ofLarge] = [fileDigestOf(small), fileDigestOf(large)];
  const ok = (action: string, path: string, bytes: number | undefined, digest?: string) => {
    return { ...common, action, path, bytes, digest, result: 'ok' };
  };
  expect(entries.slice(1)).toEqual([
    ok('put', 'small', 10, ofSmall),
    expect.objectContaining({ action: 'commit', path: 'large', result: 'digest-mismatch' }),
    ok('commit', 'large', large.length, ofLarge),
    ok('get', 'small', 10, ofSmall),
    ok('get', 'large', large.length, ofLarge),
    ok('get', 'large', BLOCK_BYTES),
    expect.objectContaining({ action: 'get', path: 'none', version: 'x', bytes: 0, result: 'unsupported' }),
    ok('digests', 'large', undefined, ofLarge),
  ]);
});

test('every change stands in it', async () => {
  const { entries, login } = await start();
  const client = await login();
  await client.ask('mkdir', { path: 'd' });
  await client.ask('symlink', { path: 'd/l', target: 'x' });
  await client.ask('set', { path: 'd', 'mtime-ms': 0 });
  await client.ask('move', { path: 'd/l', to: 'm' });
  await client.ask('remove', { path: 'none' });
  expect(
    entries.slice(1).map(({ event, action, path, to, result }) => [event, action, path, to, result]),
  ).toEqual([
    ['change', 'mkdir', 'd', undefined, 'ok'],
    ['change', 'symlink', 'd/l', undefined, 'ok'],
    ['change', 'set', 'd', undefined, 'ok'],
    ['change', 'move', 'd/l', 'm', 'ok'],
    ['change', 'remove', 'none', undefined, 'not-found'],
  ]);
});

test('every refusal stands in it, one line for an upload and not one for each block', async () => {
  const limits = 'quota = "1M"\nmax-file-size = "2M"';
  const { entries, login } = await start({ tester: { permissions: ['write'], limits } });
  const client = await login();
  await client.ask('list', { path: 'secret' });
  await client.ask('remove', { path: 'secret' });
  await client.ask('put', { path: 'a', size: 3 * BLOCK_BYTES });
  const { upload } = await beginUpload(client, 'b', null);
  const block = bytesOf(BLOCK_BYTES);
  for (const index of [1, 2, 3])
    await client.ask('block', { upload, index, digest: digestOf(block) }, { content: block });
  const refusals = entries.slice(1);
  expect(refusals.map(({ event, action, path, result }) => [event, action, path, result])).toEqual([
    ['refusal', 'list', 'secret', 'forbidden'],
    ['refusal', 'remove', 'secret', 'forbidden'],
    ['refusal', 'put', 'a', 'too-large'],
    ['refusal', 'block', 'b', 'quota-exceeded'],
  ]);
  expect(refusals.every(({ reason }) => reason !== undefined && reason !== '')).toBe(true);
});

test('reloads stand in it, and connections that were cut because their login ended', async () => {
  const entries: AuditEntry[] = [];
  const usersFile = join(await temporaryDirectory(), 'users.toml');
  const write = (text: string) => writeFileSync(usersFile, text, { mode: 0o600 });
  write(usersToml({ alice: {} }));
  const audit = { record: (entry: AuditEntry) => void entries.push(entry) };
  const { server, connect } = await startDirectoryServer({ usersFile, audit, clock: new FakeClock() });
  const client = await connect();
  await client.hello({ token: tokenOf('alice') });
  write('no TOML');
  await server.reload().catch(() => undefined);
  write(usersToml({ bob: {} }));
  await server.reload();
  await client.closed;
  const told = entries.map(({ event, principal, result }) => [event, principal, result]);
  expect(told).toEqual([
    ['login', 'alice', 'ok'],
    ['reload', undefined, 'bad-configuration'],
    ['cut', 'alice', 'unauthenticated'],
    ['reload', undefined, 'ok'],
  ]);
});
