import * as crypto from 'node:crypto';
import { expect, test, vi } from 'vitest';
import { parsePrincipals } from '../../src/trust/principals.ts';
import { hashToken, tokenMatches } from '../../src/trust/tokens.ts';

// What a comparison does is seen; how long it takes on a busy machine says nothing.
vi.mock(import('node:crypto'), async (original) => {
  const actual = await original();
  return { ...actual, timingSafeEqual: vi.fn(actual.timingSafeEqual) };
});
const timingSafeEqual = vi.mocked(crypto.timingSafeEqual);

function comparisons(task: () => unknown): number {
  timingSafeEqual.mockClear();
  task();
  return timingSafeEqual.mock.calls.length;
}

test('a token is compared with a hash to its last character, wherever they differ', () => {
  const hash = hashToken('right');
  for (const token of ['right', 'wrong', ''])
    expect(
      comparisons(() => tokenMatches(token, hash)),
      token,
    ).toBe(1);
});

test('a token and a join code are compared with those of every principal, whichever is right', () => {
  const table = (name: string) => `[principals.${name}]\npermissions = ["read"]\n`;
  const tokens = (...all: string[]) => `tokens = ${JSON.stringify(all.map(hashToken))}\n`;
  const join = (code: string) => `join = "${hashToken(code)}"\njoin-expires = 2030-01-01T00:00:00Z\n`;
  const text = `${table('a')}${tokens('1', '2')}${join('A1')}${table('b')}${tokens('3')}${join('B1')}`;
  const principals = parsePrincipals(text, 'users.toml');
  for (const token of ['1', '2', '3', 'none'])
    expect(
      comparisons(() => principals.byToken(token)),
      token,
    ).toBe(3);
  for (const code of ['A1', 'B1', 'C1'])
    expect(
      comparisons(() => principals.byJoinCode(code, 0)),
      code,
    ).toBe(2);
});
