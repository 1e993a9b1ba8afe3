import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeThrownBy } from '../thrown.ts';
import { principalTables } from '../../src/trust/principals.ts';
import { editedUsers, type PrincipalTable } from '../../src/trust/users-text.ts';

const FULL = { permissions: ['read'], tokens: ['sha256:1'] };

function edited(text: string, change: (tables: Map<string, PrincipalTable>) => void): string {
  const tables = new Map<string, PrincipalTable>(principalTables(text, 'users'));
  change(tables);
  return editedUsers(text, tables, 'users');
}

const added = (text: string, name = 'new', table: PrincipalTable = FULL) =>
  edited(text, (tables) => tables.set(name, table));
const removed = (text: string, name = 'new') => edited(text, (tables) => tables.delete(name));
const changed = (text: string, fields: PrincipalTable, name = 'a') =>
  edited(text, (tables) => tables.set(name, { ...tables.get(name), ...fields }));

/** Users files as people write them: tables, comments, empty lines, all ways to end a line. */
const usersText = fc
  .record({
    items: fc.array(
      fc.oneof(
        fc.constantFrom('', '# a comment', '  # [principals.new]', '   ', '# ü "quoted', '[principals]'),
        fc.record({
          head: fc.constantFrom('[principals.%]', '[ principals . "%" ]', "[principals.'%'] # whose"),
          body: fc.subarray(
            [
              'tokens = []',
              'prefixes = [',
              '  "a", # [x]',
              '  "[principals.new]",',
              ']',
              '# in it',
              '',
              'quota = 1',
            ],
            { minLength: 0 },
          ),
        }),
      ),
      { maxLength: 8 },
    ),
    lineEnd: fc.constantFrom('\n', '\r\n'),
    end: fc.constantFrom('', '\n', '\n\n'),
  })
  .map(({ items, lineEnd, end }) => {
    const lines = items.flatMap((item, index) =>
      typeof item === 'string' ? [item] : [item.head.replace('%', `p${index}`), ...item.body],
    );
    return `${lines.join('\n')}${end}`.replaceAll('\n', lineEnd);
  })
  .filter((text) => {
    try {
      return principalTables(text, 'users').size >= 0;
    } catch {
      return false;
    }
  });

test('what is added to any file and taken away again leaves every byte as it was', () => {
  fc.assert(
    fc.property(usersText, (text) => {
      expect(removed(added(text))).toBe(text);
    }),
    { numRuns: 500 },
  );
});

test('whatever is changed in any file, the rest of it keeps its meaning, its comments and its order', () => {
  const edits = [added, (text: string) => removed(text, 'p0'), (text: string) => removed(text, 'p1')];
  fc.assert(
    fc.property(usersText, fc.constantFrom(...edits), (text, edit) => {
      const before = principalTables(text, 'users');
      const after = edit(text);
      const kept = [...principalTables(after, 'users').keys()].filter((name) => name !== 'new');
      expect(kept).toEqual([...before.keys()].filter((name) => kept.includes(name)));
      // What stands before the first table belongs to nobody.
      const preamble = text.slice(0, Math.max(0, text.search(/^\s*\[/m))).trimEnd();
      expect(after.startsWith(preamble)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

describe('a table is taken away', () => {
  test.each([
    [
      'between others',
      '[principals.a]\n\n[principals.new]\nx = 1\n\n[principals.b]\n',
      '[principals.a]\n\n[principals.b]\n',
    ],
    [
      'with what is in it, and no comment around it',
      '# one\n[principals.new]\n# in\nx = 1 # end\n\n# two\n[principals.b]\n',
      '# one\n\n# two\n[principals.b]\n',
    ],
    ['with a value of several lines', '[principals.new]\nx = [\n  1, # one\n]\n# last\n', '# last\n'],
    ['whose name is quoted', '[ principals . "new" ] # it\nx = 1\r\n', ''],
  ])('%s', (_, text, expected) => expect(removed(text)).toBe(expected));
});

describe('a list of one table', () => {
  const A = '[principals.a]\n';
  test.each([
    ['is made', A, { t: ['n'] }, `${A}t = ["n"]\n`],
    ['is made where the last line does not end', `${A}x = 1`, { t: ['n'] }, `${A}x = 1\nt = ["n"]`],
    ['gets its first item', `${A}t = []\n`, { t: ['n'] }, `${A}t = ["n"]\n`],
    ['gets a new first item', `${A}t = ["o"] # kept\n`, { t: ['n', 'o'] }, `${A}t = ["n", "o"] # kept\n`],
    [
      'gets one among lines',
      `${A}t = [\n  "o", # kept\n]\n`,
      { t: ['n', 'o'] },
      `${A}t = ["n",\n  "o", # kept\n]\n`,
    ],
    ['loses its last item', `${A}t = ["n", 'o']\n`, { t: ['n'] }, `${A}t = ["n"]\n`],
    ['loses its first item', `${A}t = ["o", "n"]\n`, { t: ['n'] }, `${A}t = ["n"]\n`],
    [
      'loses one among lines',
      `${A}t = [\n  "n", # new\n  "o", # old\n]\n`,
      { t: ['n'] },
      `${A}t = [\n  "n", # new\n  # old\n]\n`,
    ],
    ['loses the only one among lines', `${A}t = [\n  "o",\n]\n`, { t: [] }, `${A}t = [\n  \n]\n`],
  ])('%s', (_, text, fields, expected) => expect(changed(text, fields)).toBe(expected));
});

test('a field is taken away, and one put in its place', () => {
  const text = '[principals.a]\r\njoin = "x"\r\n"join-expires" = 2026-01-01 # soon\r\nquota = 1\r\n';
  const wanted = new Map([['a', { quota: 1, tokens: ['t'] }]]);
  expect(editedUsers(text, wanted, 'users')).toBe('[principals.a]\r\nquota = 1\r\ntokens = ["t"]\r\n');
});

describe('what cannot be edited is refused:', () => {
  test.each([
    ['a principal in an inline table', '[principals]\nnew = { permissions = [] }\n', removed],
    ['one of dotted keys', '[principals]\nnew.permissions = []\n', removed],
    ['a file that no table can follow', 'principals = {}\n', added],
    [
      'a field of several lines that has to go',
      '[principals.a]\nx = [\n 1,\n]\n',
      (text: string) => changed(text, { x: 2 }),
    ],
    [
      'a head in a text',
      '[principals.a]\nx = """\n[principals.new]\n"""\n[principals.new]\ny = 1\n',
      removed,
    ],
  ])('%s', (_, text, edit) => {
    expect(codeThrownBy(() => edit(text))).toBe('bad-configuration');
  });
});
