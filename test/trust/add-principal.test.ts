import { chown, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { addCredential, addPrincipal } from '../../src/trust/add-principal.ts';
import { joinFields, newJoinCode } from '../../src/trust/join-codes.ts';
import { parsePrincipals } from '../../src/trust/principals.ts';
import { systemRandom } from '../../src/random.ts';
import { hashToken } from '../../src/trust/tokens.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { test } from './scratch.ts';

const hash = hashToken('secret');
const all = ['read', 'write', 'list', 'delete'] as const;
const fields = { permissions: all, tokens: [hash] };

test('makes the file, private, with the first free name', async ({ directory }) => {
  const file = join(directory, 'state', 'users.toml');
  const { principal, principals } = await addPrincipal(file, { fields });
  expect(principal.name).toBe('client-1');
  expect([...principal.permissions]).toEqual(all);
  expect(principals.byToken('secret')).toBe(principal);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await readFile(file, 'utf8')).toBe(
    `[principals.client-1]\npermissions = ["read", "write", "list", "delete"]\ntokens = ["${hash}"]\n`,
  );
});

test('made by root, the file and its directories belong to the owner of the directory that is served', async ({
  directory,
}) => {
  // Only root can give a directory away, and what somebody else makes is his anyway.
  const owner = process.getuid?.() === 0 ? 65_534 : (await stat(directory)).uid;
  await chown(directory, owner, (await stat(directory)).gid);
  const above = join(directory, '.sealift');
  const state = join(above, 'state');
  for (const name of ['first.toml', 'second.toml']) {
    const file = join(state, name);
    await addPrincipal(file, { fields });
    for (const each of [above, state, file]) expect((await stat(each)).uid, each).toBe(owner);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  }
  expect((await stat(state)).mode & 0o777).toBe(0o700);
});

test('keeps what is there, comments too, and takes the gap in the numbers', async ({ directory }) => {
  const file = join(directory, 'users.toml');
  const before =
    '# mine\n[principals.client-1] # the first\npermissions = []\n[principals.client-3]\npermissions = []';
  await writeFile(file, before, { mode: 0o644 });
  const { principal, principals } = await addPrincipal(file, { fields: { permissions: ['read'] } });
  expect(principal.name).toBe('client-2');
  expect([...principals].map(({ name }) => name)).toEqual(['client-1', 'client-3', 'client-2']);
  expect(await readFile(file, 'utf8')).toBe(`${before}\n\n[principals.client-2]\npermissions = ["read"]`);
  expect((await stat(file)).mode & 0o777).toBe(0o644);
});

test('takes a name that needs quotes, and all that a principal can have', async ({ directory }) => {
  const file = join(directory, 'users.toml');
  const expires = new Date('2027-01-31T12:00:00Z');
  const given = { ...fields, prefixes: ['a b', 'ü"\\'], quota: '10G', 'max-connections': 2, expires };
  await addPrincipal(file, { name: 'me@a.example', fields: given });
  const principal = parsePrincipals(await readFile(file, 'utf8'), file).byToken('secret');
  expect(principal).toMatchObject({
    name: 'me@a.example',
    prefixes: ['a b', 'ü"\\'],
    quotaBytes: 10 * 2 ** 30,
    maxConnections: 2,
    expiresMs: expires.getTime(),
  });
});

test('gives clients that join at once a name each', async ({ directory }) => {
  const file = join(directory, 'users.toml');
  const tokens = Array.from({ length: 20 }, (_, i) => `token ${i}`);
  const added = await Promise.all(
    tokens.map((token) => addPrincipal(file, { fields: { permissions: all, tokens: [hashToken(token)] } })),
  );
  const principals = parsePrincipals(await readFile(file, 'utf8'), file);
  expect(new Set(added.map(({ principal }) => principal.name)).size).toBe(20);
  for (const [i, token] of tokens.entries())
    expect(principals.byToken(token)?.name).toBe(added[i]?.principal.name);
});

describe('refuses, and leaves the file as it is:', () => {
  test.for([
    ['a faulty file', 'nonsense', {}, 'bad-configuration'],
    ['a file that no table can follow', 'principals = {}\n', {}, 'bad-configuration'],
    ['a name that is taken', '[principals.a]\npermissions = []\n', { name: 'a' }, 'local-exists'],
    [
      'a token that is known',
      `[principals.a]\npermissions = []\ntokens = ["${hash}"]\n`,
      {},
      'bad-configuration',
    ],
    ['a name that is none', '', { name: 'a\n[b]' }, 'invalid-argument'],
    ['a token in the clear', '', { fields: { permissions: all, tokens: ['secret'] } }, 'bad-configuration'],
    ['a permission that is none', '', { fields: { permissions: ['all'] } }, 'bad-configuration'],
  ] as const)('%s', async ([, before, change, code], { directory }) => {
    const file = join(directory, 'users.toml');
    await writeFile(file, before);
    await expect(addPrincipal(file, { fields, ...change })).rejects.toMatchObject({ code });
    expect(await readFile(file, 'utf8')).toBe(before);
  });
});

describe('one more credential', () => {
  test('a token comes before those that there are', async ({ directory }) => {
    const file = join(directory, 'users.toml');
    await addPrincipal(file, { name: 'a', fields });
    await addCredential(file, 'a', { token: hashToken('newer') });
    const text = await readFile(file, 'utf8');
    expect(text).toContain(`tokens = ["${hashToken('newer')}", "${hash}"]\n`);
  });

  test('a join code takes the place of the one before', async ({ directory }) => {
    const file = join(directory, 'users.toml');
    const clock = new FakeClock();
    const [first, second] = [newJoinCode(systemRandom), newJoinCode(systemRandom)];
    await addPrincipal(file, { name: 'a', fields }, { clock });
    await addCredential(file, 'a', joinFields(first, clock), { clock });
    await addCredential(file, 'a', joinFields(second, clock), { clock });
    const principals = parsePrincipals(await readFile(file, 'utf8'), file);
    expect(principals.byJoinCode(first, clock.now())).toBeUndefined();
    expect(principals.byJoinCode(second, clock.now())?.name).toBe('a');
    expect(principals.byToken('secret')?.name).toBe('a');
  });

  test('of nobody is refused', async ({ directory }) => {
    const adding = addCredential(join(directory, 'users.toml'), 'a', { token: hash });
    await expect(adding).rejects.toMatchObject({ code: 'local-not-found' });
  });
});
