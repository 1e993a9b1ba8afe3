import { chmod, chown, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { parsePrincipals } from '../../src/trust/principals.ts';
import { revokeOlderTokens, revokePrincipal } from '../../src/trust/revoke-principal.ts';
import { hashToken } from '../../src/trust/tokens.ts';
import { test } from './scratch.ts';

const NOBODY = 65_534;
const pinOf = (byte: number) => `sha256//${Buffer.alloc(32, byte).toString('base64')}`;
const [newest, older, oldest] = ['newest', 'older', 'oldest'].map(hashToken) as [string, string, string];

async function users(directory: string, text: string): Promise<string> {
  const file = join(directory, 'users.toml');
  await writeFile(file, text, { mode: 0o644 });
  return file;
}

test('a principal goes, and all else stays, also who may read the file', async ({ directory }) => {
  const others = '# ours\n[principals.b]\npermissions = [] # none\n';
  for (const mode of [0o600, 0o640, 0o644]) {
    const file = await users(directory, `[principals.a]\npermissions = []\n${others}`);
    await chmod(file, mode);
    await revokePrincipal(file, 'a');
    expect(await readFile(file, 'utf8')).toBe(others);
    expect((await stat(file)).mode & 0o777).toBe(mode);
  }
});

test('what a group may read stays open to no other group', async ({ directory }) => {
  const others = '[principals.b]\npermissions = []\n';
  const file = await users(directory, `[principals.a]\npermissions = []\n${others}`);
  await chmod(file, 0o640);
  // Only root can give a file to a group that it is not in, and only who is not root cannot keep it there.
  const isRoot = process.getuid?.() === 0;
  if (isRoot) {
    await chown(directory, NOBODY, 0);
    await chown(file, NOBODY, NOBODY);
    process.seteuid?.(NOBODY);
  }
  try {
    await revokePrincipal(file, 'a');
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
  expect((await stat(file)).mode & 0o777).toBe(isRoot ? 0o600 : 0o640);
});

test('of several tokens the first is kept', async ({ directory }) => {
  const table = '[principals.a]\npermissions = []\n';
  const file = await users(directory, `${table}tokens = ["${newest}", "${older}", '${oldest}'] # rotated\n`);
  expect(await revokeOlderTokens(file, 'a')).toBe(2);
  expect(await readFile(file, 'utf8')).toBe(`${table}tokens = ["${newest}"] # rotated\n`);
  expect(await revokeOlderTokens(file, 'a')).toBe(0);
});

test('of the certificates that were issued the newest is kept, as of the tokens', async ({ directory }) => {
  const [pin, before] = [pinOf(1), pinOf(2)];
  const table = '[principals.a]\npermissions = []\n';
  const file = await users(
    directory,
    `${table}tokens = ["${newest}", "${older}"]\nissued = ["${pin}", "${before}"]\n`,
  );
  expect(await revokeOlderTokens(file, 'a')).toBe(1);
  expect(await readFile(file, 'utf8')).toBe(`${table}tokens = ["${newest}"]\nissued = ["${pin}"]\n`);
});

test('a comment may quote what is revoked, wherever it stands', async ({ directory }) => {
  const quoted = `# "${older}" is that of the old laptop, '${oldest}' of the one before\n`;
  const before = `${quoted}[principals.b]\npermissions = [] ${quoted}[principals.a]\n${quoted}permissions = []\n`;
  const file = await users(
    directory,
    `${before}tokens = [ ${quoted}  "${newest}",\n  "${older}",\n  '${oldest}',\n] ${quoted}`,
  );
  expect(await revokeOlderTokens(file, 'a')).toBe(2);
  const after = await readFile(file, 'utf8');
  expect(after.startsWith(`${before}tokens = [ ${quoted}  "${newest}"`)).toBe(true);
  expect(after.endsWith(`] ${quoted}`)).toBe(true);
  expect(parsePrincipals(after, file).credentialsOf('a')?.tokens).toEqual([newest]);
});

test('nobody can be revoked who is not there', async ({ directory }) => {
  const missing = join(directory, 'none.toml');
  for (const revoke of [revokePrincipal, revokeOlderTokens])
    await expect(revoke(missing, 'a')).rejects.toMatchObject({ code: 'local-not-found' });
  await expect(stat(missing)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('what cannot be edited is refused, and nothing changes', async ({ directory }) => {
  const text = 'principals = { a = { permissions = [] } }\n';
  const file = await users(directory, text);
  await expect(revokePrincipal(file, 'a')).rejects.toMatchObject({ code: 'bad-configuration' });
  expect(await readFile(file, 'utf8')).toBe(text);
});
