import { expect, test } from 'vitest';
import { systemRandom } from '../../src/random.ts';
import { JOIN_CODE_LIFETIME_MS, JoinCodes } from '../../src/trust/join-codes.ts';
import { FakeClock } from '../support/fake-clock.ts';

function joinCodes(bytes = systemRandom.bytes) {
  const clock = new FakeClock();
  return { clock, codes: new JoinCodes(clock, { bytes, fraction: () => 0 }) };
}

test('a code is 26 characters that need no escaping and cannot be misread', () => {
  const { codes } = joinCodes();
  for (let i = 0; i < 100; i += 1) expect(codes.issue()).toMatch(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
});

test('a code carries all 128 random bits', () => {
  expect(joinCodes((length) => Buffer.alloc(length, 0xff)).codes.issue()).toBe(`7${'Z'.repeat(25)}`);
  expect(joinCodes((length) => Buffer.alloc(length)).codes.issue()).toBe('0'.repeat(26));
  const last = joinCodes((length) => Buffer.concat([Buffer.alloc(length - 1), Buffer.from([0x21])]));
  expect(last.codes.issue()).toBe(`${'0'.repeat(24)}11`);
});

test('a code works once', () => {
  const { codes } = joinCodes();
  const code = codes.issue();
  expect(codes.pending).toBe(1);
  expect(codes.redeem(code)).toBe(true);
  expect(codes.pending).toBe(0);
  expect(codes.redeem(code)).toBe(false);
});

test('a code works as a person may type it', () => {
  const { codes } = joinCodes((length) => Buffer.alloc(length));
  codes.issue();
  expect(codes.redeem(' oOoo-0000 0000-0000-0000-0000-00 ')).toBe(true);
  const ones = joinCodes(() =>
    Buffer.from('42108421084210842108421084210842'.padStart(32, '0'), 'hex'),
  ).codes;
  const code = ones.issue();
  expect(ones.redeem(code.toLowerCase().replaceAll('1', 'l'))).toBe(true);
});

test('a wrong code is refused and voids nothing', () => {
  const { codes } = joinCodes();
  const code = codes.issue();
  const wrong = `${code.slice(0, -1)}${code.endsWith('0') ? '1' : '0'}`;
  for (const text of ['', wrong, `${code}0`, code.slice(1), '\u0000'.repeat(26)]) {
    expect(codes.redeem(text), text).toBe(false);
  }
  expect(codes.redeem(code)).toBe(true);
});

test('several codes live side by side, each for itself', () => {
  const { codes } = joinCodes();
  const issued = [codes.issue(), codes.issue(), codes.issue()] as const;
  expect(codes.pending).toBe(3);
  expect(codes.redeem(issued[1])).toBe(true);
  expect(codes.redeem(issued[1])).toBe(false);
  expect(codes.redeem(issued[0])).toBe(true);
  expect(codes.redeem(issued[2])).toBe(true);
});

test('a code lives 15 minutes, to the millisecond', () => {
  const { codes, clock } = joinCodes();
  expect(JOIN_CODE_LIFETIME_MS).toBe(900_000);
  const early = codes.issue();
  const late = codes.issue();
  clock.advance(JOIN_CODE_LIFETIME_MS - 1);
  expect(codes.redeem(early)).toBe(true);
  clock.advance(1);
  expect(codes.pending).toBe(0);
  expect(codes.redeem(late)).toBe(false);
});

test('a lifetime of its own', () => {
  const { codes, clock } = joinCodes();
  const short = codes.issue({ lifetimeMs: 1_000 });
  const long = codes.issue();
  clock.advance(1_000);
  expect(codes.pending).toBe(1);
  expect(codes.redeem(short)).toBe(false);
  expect(codes.redeem(long)).toBe(true);
});

test('setting the wall clock back does not prolong a life; sleeping through it ends it', () => {
  const { codes, clock } = joinCodes();
  const code = codes.issue();
  clock.jump(-86_400_000);
  clock.advance(JOIN_CODE_LIFETIME_MS);
  expect(codes.redeem(code)).toBe(false);

  const asleep = codes.issue();
  clock.jump(JOIN_CODE_LIFETIME_MS);
  expect(codes.redeem(asleep)).toBe(false);
});
