import { expect, test } from 'vitest';
import { systemRandom } from '../../src/random.ts';
import { JOIN_CODE_LIFETIME_MS, joinFields, newJoinCode } from '../../src/trust/join-codes.ts';
import { parsePrincipals } from '../../src/trust/principals.ts';
import { FakeClock } from '../support/fake-clock.ts';

const clock = new FakeClock();

function codeOf(bytes: (length: number) => Buffer): string {
  return newJoinCode({ bytes, fraction: () => 0 });
}

/** The principals of a file in which `code` waits, and somebody else's code, too. */
function waitingFor(code: string, lifetimeMs?: number) {
  const tables = Object.entries({ alice: code, bob: newJoinCode(systemRandom) }).map(([name, each]) => {
    const { join, 'join-expires': expires } = joinFields(each, clock, lifetimeMs);
    return `[principals.${name}]\npermissions = []\njoin = "${join}"\njoin-expires = ${expires.toISOString()}\n`;
  });
  return parsePrincipals(tables.join(''), 'users');
}

test('a code is 26 characters that need no escaping and cannot be misread', () => {
  for (let i = 0; i < 100; i += 1) expect(newJoinCode(systemRandom)).toMatch(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
});

test('a code carries all 128 random bits', () => {
  expect(codeOf((length) => Buffer.alloc(length, 0xff))).toBe(`7${'Z'.repeat(25)}`);
  expect(codeOf((length) => Buffer.alloc(length))).toBe('0'.repeat(26));
  const last = codeOf((length) => Buffer.concat([Buffer.alloc(length - 1), Buffer.from([0x21])]));
  expect(last).toBe(`${'0'.repeat(24)}11`);
});

test('a code is found as a person may type it', () => {
  const zeros = waitingFor(codeOf((length) => Buffer.alloc(length)));
  expect(zeros.byJoinCode(' oOoo-0000 0000-0000-0000-0000-00 ', clock.now())?.name).toBe('alice');
  const code = codeOf(() => Buffer.from('42108421084210842108421084210842'.padStart(32, '0'), 'hex'));
  const typed = code.toLowerCase().replaceAll('1', 'l');
  expect(waitingFor(code).byJoinCode(typed, clock.now())?.name).toBe('alice');
});

test('a wrong code is nobody’s', () => {
  const code = newJoinCode(systemRandom);
  const wrong = `${code.slice(0, -1)}${code.endsWith('0') ? '1' : '0'}`;
  for (const text of ['', wrong, `${code}0`, code.slice(1), '\u0000'.repeat(26)])
    expect(waitingFor(code).byJoinCode(text, clock.now()), text).toBeUndefined();
});

test('a code lives 15 minutes, to the millisecond, or as long as it is told to', () => {
  expect(JOIN_CODE_LIFETIME_MS).toBe(900_000);
  const code = newJoinCode(systemRandom);
  for (const [lifetimeMs, given] of [[900_000], [1_000, 1_000]] as const) {
    const principals = waitingFor(code, given);
    expect(principals.byJoinCode(code, clock.now() + lifetimeMs - 1)?.name).toBe('alice');
    expect(principals.byJoinCode(code, clock.now() + lifetimeMs)).toBeUndefined();
  }
});

test('who only waits to join is not counted among those who may log in', () => {
  expect(waitingFor(newJoinCode(systemRandom)).loginCount).toBe(0);
});
