import { describe, expect, test } from 'vitest';
import { PERMISSIONS } from '../../src/protocol/responses.ts';
import { isSealiftError } from '../../src/errors.ts';
import { isPrincipalName, parsePrincipals } from '../../src/trust/principals.ts';
import { hashToken } from '../../src/trust/tokens.ts';

const FILE = '/etc/sealift/users.toml';
const pin = (byte: number) => `sha256//${Buffer.alloc(32, byte).toString('base64')}`;
const TEXT = `
# who may come in
[principals.backup]
permissions = ["read", "write", "list", "delete"]
tokens = ["${hashToken('one')}", "${hashToken('two')}"]
pins = ["${pin(1)}"]
names = ["backup.example", "Me@Example.org"]

[principals."reader@home"]
permissions = ["read", "list"]
tokens = ["${hashToken('three')}"]
names = ["John Doe"]

[principals.nobody]
permissions = []
`;

describe('a sound file', () => {
  const principals = parsePrincipals(TEXT, FILE);

  test('is read in its order', () => {
    expect([...principals].map(({ name, permissions }) => [name, [...permissions]])).toEqual([
      ['backup', [...PERMISSIONS]],
      ['reader@home', ['read', 'list']],
      ['nobody', []],
    ]);
    expect(principals.byName('nobody')?.permissions.size).toBe(0);
    expect(principals.byName('constructor')).toBeUndefined();
  });

  test('without principals is sound too', () => {
    expect([...parsePrincipals('', FILE)]).toEqual([]);
    expect([...parsePrincipals('# none yet\n[principals]\n', FILE)]).toEqual([]);
  });

  test('finds the principal of a token', () => {
    expect(principals.byToken('one')?.name).toBe('backup');
    expect(principals.byToken('two')?.name).toBe('backup');
    expect(principals.byToken('three')?.name).toBe('reader@home');
    for (const token of ['', 'four', 'ONE', hashToken('one')])
      expect(principals.byToken(token)).toBeUndefined();
  });

  test('finds the principal of a client certificate by its key, whoever signed it', () => {
    for (const caVerified of [true, false]) {
      expect(principals.byCertificate({ pin: pin(1), names: [], caVerified })?.name).toBe('backup');
      expect(principals.byCertificate({ pin: pin(1), names: ['John Doe'], caVerified })?.name).toBe('backup');
    }
  });

  test('finds it by name only if an authority vouches for the name', () => {
    for (const name of ['backup.example', 'BACKUP.example', 'me@example.org']) {
      const names = ['other.example', name];
      expect(principals.byCertificate({ pin: pin(9), names, caVerified: true })?.name, name).toBe('backup');
      expect(principals.byCertificate({ pin: pin(9), names, caVerified: false }), name).toBeUndefined();
    }
    expect(principals.byCertificate({ pin: pin(9), names: ['john doe'], caVerified: true })?.name).toBe(
      'reader@home',
    );
    for (const name of ['x.backup.example', 'backup', 'nobody', '*']) {
      expect(
        principals.byCertificate({ pin: pin(9), names: [name], caVerified: true }),
        name,
      ).toBeUndefined();
    }
  });

  test('gives a certificate with the names of two to the first in the file', () => {
    const names = ['John Doe', 'backup.example'];
    expect(principals.byCertificate({ pin: pin(9), names, caVerified: true })?.name).toBe('backup');
  });
});

describe('a faulty file is refused, naming the file and the key:', () => {
  const A = '[principals.a]\npermissions = ["read"]\n';
  const B = '[principals.b]\npermissions = ["read"]\n';
  test.each([
    ['no TOML', 'principals = [', 'line 1'],
    ['a line that is no TOML', `${A}tokens = \n`, 'line 3'],
    ['a table given twice', A + A, 'line 3'],
    ['an unknown key at the top', 'users = 1\n', '"users"'],
    ['principals that are no table', 'principals = 1\n', 'principals'],
    ['principals that are a list', '[[principals]]\n', 'principals'],
    ['principals that are a date', 'principals = 2030-01-01\n', 'principals'],
    ['a principal that is no table', 'principals.a = "read"\n', 'principals.a'],
    ['no permissions', '[principals.a]\n', 'principals.a.permissions'],
    ['permissions that are no list', '[principals.a]\npermissions = "read"\n', 'principals.a.permissions'],
    [
      'an unknown permission',
      '[principals.a]\npermissions = ["read", "admin"]\n',
      'principals.a.permissions',
    ],
    ['a permission that is no text', '[principals.a]\npermissions = [1]\n', 'principals.a.permissions'],
    ['an unknown key', `${A}token = []\n`, 'principals.a.token'],
    ['a key of every object', `${A}toString = []\n`, 'principals.a.toString'],
    ['a prototype as a key', `${A}__proto__ = { tokens = [] }\n`, 'principals.a.__proto__'],
    [
      'a prototype as a principal',
      `[principals.__proto__]\npermissions = ["read"]\n`,
      'principals."__proto__"',
    ],
    ['an empty name', '[principals.""]\npermissions = []\n', 'principals.""'],
    ['a name with a space', '[principals."a b"]\npermissions = []\n', 'principals."a b"'],
    ['a token in the clear', `${A}tokens = ["sealift_secret"]\n`, 'principals.a.tokens'],
    ['a damaged pin', `${A}pins = ["sha256//x"]\n`, 'principals.a.pins'],
    ['a pattern as a name', `${A}names = ["*.example"]\n`, 'principals.a.names'],
    ['an empty certificate name', `${A}names = [""]\n`, 'principals.a.names'],
    ['a name with a line break', `${A}names = ["a\\nb"]\n`, 'principals.a.names'],
    [
      'a token of two',
      `${A}tokens = ["${hashToken('x')}"]\n${B}tokens = ["${hashToken('x')}"]\n`,
      'principals.b.tokens',
    ],
    ['a pin of two', `${A}pins = ["${pin(1)}"]\n${B}pins = ["${pin(1)}"]\n`, 'principals.b.pins'],
    ['a name of two', `${A}names = ["x.example"]\n${B}names = ["X.Example"]\n`, 'principals.b.names'],
    [
      'a token given twice',
      `${A}tokens = ["${hashToken('x')}", "${hashToken('x')}"]\n`,
      'principals.a.tokens',
    ],
  ])('%s', (_, text, where) => {
    const error = refusal(text);
    expect(error).toMatchObject({ code: 'bad-configuration', hint: expect.any(String) });
    expect(error.message).toContain(FILE);
    expect(error.message).toContain(where);
    expect(error.message).not.toContain('\n');
    expect(error.message).not.toContain('secret');
  });

  function refusal(text: string) {
    try {
      parsePrincipals(text, FILE);
    } catch (error) {
      if (isSealiftError(error)) return error;
      throw error;
    }
    throw new Error('nothing was refused');
  }
});

test('what names a principal can have', () => {
  for (const name of ['a', 'client-1', 'me@example.org', '1', 'A_b.c', 'x'.repeat(64)]) {
    expect(isPrincipalName(name), name).toBe(true);
  }
  for (const name of ['', '-a', '.a', '@a', 'a b', 'a\n', 'ä', 'x'.repeat(65)]) {
    expect(isPrincipalName(name), name).toBe(false);
  }
});
