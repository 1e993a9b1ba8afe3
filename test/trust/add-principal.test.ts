import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { addPrincipal } from '../../src/trust/add-principal.ts';
import { parsePrincipals } from '../../src/trust/principals.ts';
import { hashToken } from '../../src/trust/tokens.ts';
import { test } from './scratch.ts';

const hash = hashToken('secret');
const all = ['read', 'write', 'list', 'delete'] as const;

test('makes the file, private, with the first free name', async ({ directory }) => {
  const file = join(directory, 'state', 'users.toml');
  const { principal, principals } = await addPrincipal(file, { permissions: new Set(all), tokenHash: hash });
  expect(principal.name).toBe('client-1');
  expect([...principal.permissions]).toEqual(all);
  expect(principals.byToken('secret')).toBe(principal);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await readFile(file, 'utf8')).toBe(
    `[principals.client-1]\npermissions = ["read", "write", "list", "delete"]\ntokens = ["${hash}"]\n`,
  );
});

test('keeps what is there, comments too, and takes the gap in the numbers', async ({ directory }) => {
  const file = join(directory, 'users.toml');
  const before =
    '# mine\n[principals.client-1] # the first\npermissions = []\n[principals.client-3]\npermissions = []';
  await writeFile(file, before);
  const { principal, principals } = await addPrincipal(file, { permissions: ['read'], tokenHash: hash });
  expect(principal.name).toBe('client-2');
  expect([...principals].map(({ name }) => name)).toEqual(['client-1', 'client-3', 'client-2']);
  const after = await readFile(file, 'utf8');
  expect(after.startsWith(`${before}\n\n[principals.client-2]\n`)).toBe(true);
});

test('takes a name that needs quotes', async ({ directory }) => {
  const file = join(directory, 'users.toml');
  await addPrincipal(file, { name: 'me@a.example', permissions: ['list'], tokenHash: hash });
  expect(parsePrincipals(await readFile(file, 'utf8'), file).byToken('secret')?.name).toBe('me@a.example');
});

test('gives clients that join at once a name each', async ({ directory }) => {
  const file = join(directory, 'users.toml');
  const tokens = Array.from({ length: 20 }, (_, i) => `token ${i}`);
  const added = await Promise.all(
    tokens.map((token) => addPrincipal(file, { permissions: all, tokenHash: hashToken(token) })),
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
    ['a name that is taken', '[principals.a]\npermissions = []\n', { name: 'a' }, 'bad-configuration'],
    [
      'a token that is known',
      `[principals.a]\npermissions = []\ntokens = ["${hash}"]\n`,
      {},
      'bad-configuration',
    ],
    ['a name that is none', '', { name: 'a\n[b]' }, 'invalid-argument'],
    ['a token in the clear', '', { tokenHash: 'secret' }, 'bad-configuration'],
  ] as const)('%s', async ([, before, change, code], { directory }) => {
    const file = join(directory, 'users.toml');
    await writeFile(file, before);
    const adding = addPrincipal(file, { permissions: all, tokenHash: hash, ...change });
    await expect(adding).rejects.toMatchObject({ code });
    expect(await readFile(file, 'utf8')).toBe(before);
  });
});
