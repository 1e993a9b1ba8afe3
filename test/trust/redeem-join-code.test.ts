import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { systemRandom } from '../../src/random.ts';
import { addPrincipal } from '../../src/trust/add-principal.ts';
import { JOIN_CODE_LIFETIME_MS, joinFields, newJoinCode } from '../../src/trust/join-codes.ts';
import { redeemJoinCode } from '../../src/trust/redeem-join-code.ts';
import { hashToken } from '../../src/trust/tokens.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { test } from './scratch.ts';

const tokenHash = hashToken('secret');
const pinOf = (byte: number) => `sha256//${Buffer.alloc(32, byte).toString('base64')}`;

async function waiting(directory: string, fields: Record<string, unknown> = {}) {
  const [file, clock, code] = [join(directory, 'users.toml'), new FakeClock(), newJoinCode(systemRandom)];
  const all = { permissions: ['read'], ...fields, ...joinFields(code, clock) };
  await addPrincipal(file, { name: 'alice', fields: all }, { clock });
  const redeem = (given = code, certificatePin?: string) =>
    redeemJoinCode(file, given, { tokenHash, certificatePin }, { clock });
  return { file, clock, code, redeem };
}

test('the token takes the place of the code, which works no more', async ({ directory }) => {
  const { file, redeem } = await waiting(directory, { prefixes: ['photos'] });
  const principals = await redeem();
  expect(principals?.byToken('secret')).toMatchObject({ name: 'alice', prefixes: ['photos'] });
  expect(principals?.loginCount).toBe(1);
  expect(await readFile(file, 'utf8')).toBe(
    `[principals.alice]\npermissions = ["read"]\nprefixes = ["photos"]\ntokens = ["${tokenHash}"]\n`,
  );
  expect(await redeem()).toBeUndefined();
});

test('of two who come at once one is first', async ({ directory }) => {
  const { redeem } = await waiting(directory);
  const results = await Promise.all([redeem(), redeem(), redeem()]);
  expect(results.filter((each) => each !== undefined)).toHaveLength(1);
});

test('other credentials stay, and the key of a certificate is added once', async ({ directory }) => {
  const old = hashToken('old');
  const [pin, before] = [pinOf(1), pinOf(2)];
  const { file, redeem } = await waiting(directory, {
    tokens: [old],
    issued: [before, pin],
    names: ['Alice'],
  });
  await redeem(undefined, pin);
  expect(await readFile(file, 'utf8')).toBe(
    `[principals.alice]\npermissions = ["read"]\ntokens = ["${tokenHash}", "${old}"]\nissued = ["${before}", "${pin}"]\nnames = ["Alice"]\n`,
  );
  const other = await waiting(join(directory, 'other'), { issued: [before] });
  await other.redeem(undefined, pin);
  expect(await readFile(other.file, 'utf8')).toContain(`issued = ["${pin}", "${before}"]\n`);
});

test('a wrong code changes nothing', async ({ directory }) => {
  const { file, redeem } = await waiting(directory);
  const before = await readFile(file, 'utf8');
  expect(await redeem(newJoinCode(systemRandom))).toBeUndefined();
  expect(await readFile(file, 'utf8')).toBe(before);
});

test('an expired code is refused, and goes with who had nothing else', async ({ directory }) => {
  const { file, clock, redeem } = await waiting(directory);
  clock.advance(JOIN_CODE_LIFETIME_MS);
  expect(await redeem()).toBeUndefined();
  expect(await readFile(file, 'utf8')).toBe('');
  const known = await waiting(join(directory, 'known'), { tokens: [hashToken('old')] });
  known.clock.advance(JOIN_CODE_LIFETIME_MS);
  expect(await known.redeem()).toBeUndefined();
  expect(await readFile(known.file, 'utf8')).toBe(
    `[principals.alice]\npermissions = ["read"]\ntokens = ["${hashToken('old')}"]\n`,
  );
});

test('an expired code that cannot be taken out of the file keeps nobody from joining', async ({
  directory,
}) => {
  const { file, redeem } = await waiting(directory);
  const inline = `bob = { permissions = [], join = "${hashToken('x')}", join-expires = 2000-01-01 }`;
  await writeFile(file, `[principals]\n${inline}\n\n${await readFile(file, 'utf8')}`);
  expect((await redeem())?.byToken('secret')?.name).toBe('alice');
  expect(await readFile(file, 'utf8')).toContain(inline);
});
