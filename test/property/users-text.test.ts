import fc from 'fast-check';
import { expect, test } from 'vitest';

import { parsePrincipals, principalTables } from '../../src/trust/principals.ts';
import { hashToken } from '../../src/trust/tokens.ts';
import { editedUsers, type PrincipalTable } from '../../src/trust/users-text.ts';
import { holds } from '../support/properties.ts';

const FILE = 'users.toml';
const names = ['ann', 'bob', 'c.d@e', 'Dora-1'];
const permissions = fc.subarray(['read', 'write', 'list', 'delete']);
const limits = fc.record(
  {
    quota: fc.constantFrom(5, '10G'),
    rate: fc.constantFrom('1M'),
    prefixes: fc.constantFrom(['a'], ['a', 'b/c']),
  },
  { requiredKeys: [] },
);
/** How many tokens somebody has; their texts are made so that nobody has that of another. */
const principals = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom(...names),
    permissions,
    limits,
    tokens: fc.subarray([1, 2, 3]),
    // Around the table, and how it is written.
    comment: fc.constantFrom('', '# a comment\n', '\n# [principals.nobody]\n\n', '\n\n'),
    style: fc.constantFrom('lines', 'wide', 'broken'),
  }),
  { selector: ({ name }) => name, maxLength: 4 },
);
type Written = typeof principals extends fc.Arbitrary<(infer T)[]> ? T : never;

const change = fc.oneof(
  fc.record({ type: fc.constant('revoke' as const), name: fc.constantFrom(...names) }),
  fc.record({ type: fc.constant('add' as const), name: fc.constantFrom(...names), permissions, limits }),
  fc.record({
    type: fc.constant('token' as const),
    name: fc.constantFrom(...names),
    token: fc.integer({ min: 1, max: 4 }),
  }),
  fc.record({
    type: fc.constant('quota' as const),
    name: fc.constantFrom(...names),
    quota: fc.option(fc.nat(9), { nil: undefined }),
  }),
);

test('whatever is added, changed and revoked, the file says that, and every other line stays', async (context) => {
  await holds(
    context,
    fc.property(
      principals,
      fc.array(change, { maxLength: 5 }),
      fc.boolean(),
      fc.boolean(),
      (written, changes, hasCrlf, hasEnd) => {
        let text = written.map(textOf).join('\n');
        if (!hasEnd) text = text.replace(/\n$/, '');
        if (hasCrlf) text = text.replaceAll('\n', '\r\n');
        for (const each of changes) {
          const before = principalTables(text, FILE);
          const wanted = changed(before, each);
          const edited = editedUsers(text, wanted, FILE);
          expect(Object.fromEntries(principalTables(edited, FILE))).toEqual(Object.fromEntries(wanted));
          parsePrincipals(edited, FILE);
          expectOthersStay(text, edited, each.name);
          text = edited;
        }
      },
    ),
    { numRuns: 300 },
  );
});

function changed(
  before: ReadonlyMap<string, PrincipalTable>,
  wanted: typeof change extends fc.Arbitrary<infer T> ? T : never,
): Map<string, PrincipalTable> {
  const after = new Map(before);
  const { name } = wanted;
  const table = after.get(name);
  if (wanted.type === 'revoke') after.delete(name);
  if (wanted.type === 'add' && table === undefined)
    after.set(name, { permissions: wanted.permissions, ...wanted.limits });
  if (wanted.type === 'token' && table !== undefined) {
    const token = tokenOf(name, wanted.token);
    const tokens = (table['tokens'] ?? []) as string[];
    const others = tokens.filter((each) => each !== token);
    after.set(name, { ...table, tokens: others.length < tokens.length ? others : [token, ...tokens] });
  }
  if (wanted.type === 'quota' && table !== undefined) {
    const { quota: _, ...rest } = table;
    after.set(name, wanted.quota === undefined ? rest : { ...rest, quota: wanted.quota });
  }
  return after;
}

/** The lines of others stand in the same order, byte for byte, up to empty ones and the line break at the end. */
function expectOthersStay(before: string, after: string, name: string): void {
  const others = (text: string) => {
    let isOwn = false;
    return (text.match(/[^\n]*\n|[^\n]+$/g) ?? []).filter((line) => {
      if (/^\s*\[/.test(line))
        isOwn = [`[principals.${name}]`, `[principals."${name}"]`].includes(line.trim());
      return (!isOwn || /^\s*#/.test(line)) && line.trim() !== '';
    });
  };
  const [was, is] = [others(before), others(after)];
  const withoutEnd = (lines: string[]) =>
    lines.map((line, i) => (i === lines.length - 1 ? line.trimEnd() : line));
  expect(withoutEnd(is)).toEqual(withoutEnd(was));
}

function textOf({ name, permissions: granted, limits: more, tokens, comment, style }: Written): string {
  const list = tokens.map((each) => JSON.stringify(tokenOf(name, each)));
  const written = {
    lines: `[${list.join(', ')}]`,
    wide: `[ ${list.join(' ,  ')} ]  # tokens`,
    broken: `[\n  ${list.map((each) => `${each},`).join('\n  ')}\n]`,
  }[style];
  const key = /^[A-Za-z0-9_-]+$/.test(name) ? name : JSON.stringify(name);
  const lines = [
    `[principals.${key}]`,
    `permissions = ${JSON.stringify(granted)}`,
    ...(tokens.length === 0 ? [] : [`tokens = ${written}`]),
    ...Object.entries(more).map(([field, value]) => `${field} = ${JSON.stringify(value)} # said by hand`),
  ];
  return `${comment}${lines.join('\n')}\n`;
}

function tokenOf(name: string, number: number): string {
  return hashToken(`${name} ${number}`);
}
