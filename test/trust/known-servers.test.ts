import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { KnownServers } from '../../src/trust/known-servers.ts';
import { test } from './scratch.ts';

const [A, B, C] = [1, 2, 3].map((byte) => `sha256//${Buffer.alloc(32, byte).toString('base64')}`) as [
  string,
  string,
  string,
];
const PLACE = { host: 'a.example', port: 7433 };

async function load(directory: string, text?: string) {
  const file = join(directory, 'known_servers');
  if (text !== undefined) await writeFile(file, text);
  return { file, known: await KnownServers.load(file) };
}

describe('reading', () => {
  test('a file that does not exist knows nobody', async ({ directory }) => {
    const { known } = await load(directory);
    expect(known.pinsFor(PLACE)).toEqual([]);
  });

  test('finds names, addresses and sockets, in whatever spelling', async ({ directory }) => {
    const { known } = await load(
      directory,
      `# mine\n\na.example:7433 ${A} ${B}\n  10.0.0.5:7434\t${B}   # the old one\r\n[0:0::1]:7433 ${C}\nunix:/run/my%20sealift.sock ${A}\na.example:7433 ${C} ${A}\n`,
    );
    expect(known.pinsFor(PLACE)).toEqual([A, B, C]);
    expect(known.pinsFor({ host: 'A.Example.', port: 7433 })).toEqual([A, B, C]);
    expect(known.pinsFor({ host: 'a.example', port: 7434 })).toEqual([]);
    expect(known.pinsFor({ host: '10.0.0.5', port: 7434 })).toEqual([B]);
    expect(known.pinsFor({ host: '::1', port: 7433 })).toEqual([C]);
    expect(known.pinsFor({ path: '/run/my sealift.sock' })).toEqual([A]);
  });

  test.for([
    ['no pin', 'a.example:7433'],
    ['no pin but a comment', 'a.example:7433 # soon'],
    ['no port', `a.example ${A}`],
    ['a port out of range', `a.example:70000 ${A}`],
    ['a bare IPv6 address', `::1:7433 ${A}`],
    ['a relative socket', `unix:run/x ${A}`],
    ['a broken escape', `unix:/run/%zz ${A}`],
    ['a damaged pin', `a.example:7433 ${A} ${B.slice(0, -2)}`],
  ])('a line with %s is refused, with its number', async ([, line], { directory }) => {
    const loading = load(directory, `# first\nb.example:1 ${A}\n${line}\n`);
    await expect(loading).rejects.toMatchObject({
      code: 'bad-configuration',
      message: expect.stringMatching(/known_servers, line 3: /),
    });
  });
});

describe('trusting', () => {
  test('makes the file, private, and is found by whoever loads it next', async ({ directory }) => {
    const { file, known } = await load(directory);
    await known.trust(PLACE, A);
    await known.trust({ host: '::1', port: 1 }, B);
    await known.trust({ path: '/run/a b%.sock' }, C);
    expect(await readFile(file, 'utf8')).toBe(
      `a.example:7433 ${A}\n[::1]:1 ${B}\nunix:/run/a%20b%25.sock ${C}\n`,
    );
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const again = await KnownServers.load(file);
    expect(again.pinsFor(PLACE)).toEqual([A]);
    expect(again.pinsFor({ host: '::1', port: 1 })).toEqual([B]);
    expect(again.pinsFor({ path: '/run/a b%.sock' })).toEqual([C]);
  });

  test('adds to the pins of a known server, and keeps comments and other lines as they were', async ({
    directory,
  }) => {
    const { file, known } = await load(
      directory,
      `# mine\nA.example:7433   ${A}   # the old one\n\nb.example:1 ${B}`,
    );
    await known.trust(PLACE, A);
    expect(await readFile(file, 'utf8')).toBe(
      `# mine\nA.example:7433   ${A}   # the old one\n\nb.example:1 ${B}\n`,
    );
    await known.trust(PLACE, C);
    expect(await readFile(file, 'utf8')).toBe(
      `# mine\na.example:7433 ${A} ${C} # the old one\n\nb.example:1 ${B}\n`,
    );
    expect(known.pinsFor(PLACE)).toEqual([A, C]);
  });

  test('with replace, leaves the new pin alone, also where several lines named the server', async ({
    directory,
  }) => {
    const { file, known } = await load(
      directory,
      `a.example:7433 ${A} ${B} # x\nb.example:1 ${B}\na.example:7433 ${B}\n`,
    );
    await known.trust(PLACE, C, { replace: true });
    expect(await readFile(file, 'utf8')).toBe(`a.example:7433 ${C} # x\nb.example:1 ${B}\n`);
    expect(known.pinsFor(PLACE)).toEqual([C]);
  });

  test('sees what another process wrote since', async ({ directory }) => {
    const { file, known } = await load(directory);
    const other = await KnownServers.load(file);
    await Promise.all([known.trust(PLACE, A), other.trust({ host: 'b.example', port: 1 }, B)]);
    const again = await KnownServers.load(file);
    expect(again.pinsFor(PLACE)).toEqual([A]);
    expect(again.pinsFor({ host: 'b.example', port: 1 })).toEqual([B]);
  });

  test('refuses what could not be read again', async ({ directory }) => {
    const { file, known } = await load(directory);
    await expect(known.trust(PLACE, 'sha256//x')).rejects.toMatchObject({ code: 'invalid-argument' });
    await expect(known.trust({ host: 'a b', port: 1 }, A)).rejects.toMatchObject({
      code: 'invalid-argument',
    });
    await expect(known.trust({ host: 'a', port: 0 }, A)).rejects.toMatchObject({ code: 'invalid-argument' });
    await expect(known.trust({ path: 'relative' }, A)).rejects.toMatchObject({ code: 'invalid-argument' });
    await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('leaves a file alone that has become faulty meanwhile', async ({ directory }) => {
    const { file, known } = await load(directory);
    await writeFile(file, 'nonsense\n');
    await expect(known.trust(PLACE, A)).rejects.toMatchObject({ code: 'bad-configuration' });
    expect(await readFile(file, 'utf8')).toBe('nonsense\n');
  });
});

describe('forgetting', () => {
  test('removes every line of the server and says whether there was one', async ({ directory }) => {
    const { file, known } = await load(
      directory,
      `# mine\na.example:7433 ${A}\nb.example:1 ${B}\na.example:7433 ${C}\n`,
    );
    expect(await known.forget(PLACE)).toBe(true);
    expect(await readFile(file, 'utf8')).toBe(`# mine\nb.example:1 ${B}\n`);
    expect(known.pinsFor(PLACE)).toEqual([]);
    expect(await known.forget(PLACE)).toBe(false);
  });

  test('in a file that does not exist makes none', async ({ directory }) => {
    const { file, known } = await load(directory);
    expect(await known.forget(PLACE)).toBe(false);
    await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
