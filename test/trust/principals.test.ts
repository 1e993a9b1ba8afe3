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
      for (const names of [[], ['John Doe'], ['backup.example']])
        expect(principals.byCertificate({ pin: pin(1), names, caVerified })).toMatchObject({
          principal: { name: 'backup' },
          isPinned: true,
        });
    }
  });

  test('finds it by name only if an authority vouches for the name', () => {
    for (const name of ['backup.example', 'BACKUP.example', 'me@example.org']) {
      const names = ['other.example', name];
      expect(principals.byCertificate({ pin: pin(9), names, caVerified: true }), name).toMatchObject({
        principal: { name: 'backup' },
        isPinned: false,
      });
      expect(principals.byCertificate({ pin: pin(9), names, caVerified: false }), name).toBeUndefined();
    }
    expect(
      principals.byCertificate({ pin: pin(9), names: ['john doe'], caVerified: true })?.principal.name,
    ).toBe('reader@home');
    for (const name of ['x.backup.example', 'backup', 'nobody', '*']) {
      expect(
        principals.byCertificate({ pin: pin(9), names: [name], caVerified: true }),
        name,
      ).toBeUndefined();
    }
  });

  test('gives a certificate with the names of two to the first in the file', () => {
    const names = ['John Doe', 'backup.example'];
    expect(principals.byCertificate({ pin: pin(9), names, caVerified: true })?.principal.name).toBe('backup');
  });
});

describe('what a principal is granted', () => {
  const grantOf = (fields: string) =>
    parsePrincipals(`[principals.a]\npermissions = ["read"]\n${fields}`, FILE).byName('a');

  test('has no limits unless there are any', () => {
    const grant = grantOf('');
    expect(grant?.prefixes).toEqual(['']);
    const { name: _name, permissions: _permissions, prefixes: _prefixes, ...limits } = grant ?? {};
    expect(Object.values(limits).every((limit) => limit === undefined)).toBe(true);
  });

  test.each([
    ['prefixes = ["photos/2024", "notes"]', { prefixes: ['photos/2024', 'notes'] }],
    ['root = "laptop"', { root: 'laptop' }],
    ['quota = "10G"', { quotaBytes: 10 * 2 ** 30 }],
    ['quota = 1_000', { quotaBytes: 1_000 }],
    ['quota-files = 5', { quotaFiles: 5 }],
    ['max-file-size = "1.5K"', { maxFileBytes: 1_536 }],
    ['rate = "10M"', { bytesPerSecond: 10 * 2 ** 20 }],
    ['max-connections = 4', { maxConnections: 4 }],
    ['expires = 2030-01-31', { expiresMs: Date.UTC(2030, 0, 31) }],
    ['expires = 2030-01-31T02:00:00+02:00', { expiresMs: Date.UTC(2030, 0, 31) }],
  ])('%s', (fields, expected) => {
    expect(grantOf(fields)).toMatchObject(expected);
  });

  test('addresses and networks of both families', () => {
    const { addresses } = grantOf('addresses = ["10.1.0.0/16", "192.0.2.7", "2001:db8::/32"]') ?? {};
    for (const inside of ['10.1.2.3', '192.0.2.7', '2001:db8:1::1'])
      expect(addresses?.has(inside)).toBe(true);
    for (const outside of ['10.2.0.1', '192.0.2.8', '2001:db9::1', '', '10.1.2']) {
      expect(addresses?.has(outside), outside).toBe(false);
    }
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
    ['prefixes that are no list', `${A}prefixes = "a"\n`, 'principals.a.prefixes'],
    ['no prefix at all', `${A}prefixes = []\n`, 'principals.a.prefixes'],
    ['a prefix that leads out', `${A}prefixes = ["../b"]\n`, 'principals.a.prefixes'],
    ['a prefix that ends in a slash', `${A}prefixes = ["b/"]\n`, 'principals.a.prefixes'],
    ['a root that is no text', `${A}root = 1\n`, 'principals.a.root'],
    ['an empty root', `${A}root = ""\n`, 'principals.a.root'],
    ['a quota that is no size', `${A}quota = "much"\n`, 'principals.a.quota'],
    ['a quota below nothing', `${A}quota = -1\n`, 'principals.a.quota'],
    ['half a file', `${A}quota-files = 1.5\n`, 'principals.a.quota-files'],
    ['a rate of nothing', `${A}rate = 0\n`, 'principals.a.rate'],
    ['no connection at all', `${A}max-connections = 0\n`, 'principals.a.max-connections'],
    ['a date that is a text', `${A}expires = "2030-01-01"\n`, 'principals.a.expires'],
    ['a moment without an offset', `${A}expires = 2030-01-01T00:00:00\n`, 'principals.a.expires'],
    ['a time of day', `${A}expires = 10:00:00\n`, 'principals.a.expires'],
    ['a host name as an address', `${A}addresses = ["host.example"]\n`, 'principals.a.addresses'],
    ['a network that is too narrow', `${A}addresses = ["10.0.0.0/33"]\n`, 'principals.a.addresses'],
    ['a join code that does not end', `${A}join = "${hashToken('x')}"\n`, 'principals.a.join-expires'],
    ['the end of no join code', `${A}join-expires = 2030-01-01\n`, 'principals.a.join'],
    ['a join code in the clear', `${A}join = "secret"\njoin-expires = 2030-01-01\n`, 'principals.a.join'],
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
