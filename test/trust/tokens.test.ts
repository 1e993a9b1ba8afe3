import { expect, test } from 'vitest';
import { systemRandom } from '../../src/random.ts';
import { hashToken, isTokenHash, newToken, tokenMatches } from '../../src/trust/tokens.ts';

test('a token is recognisable, and holds 32 random bytes in base64url', () => {
  const random = { bytes: (length: number) => Buffer.alloc(length, 0xfb), fraction: () => 0 };
  expect(newToken(random)).toBe(`sealift_${Buffer.alloc(32, 0xfb).toString('base64url')}`);
  expect(newToken(systemRandom)).toMatch(/^sealift_[A-Za-z0-9_-]{43}$/);
  expect(newToken(systemRandom)).not.toBe(newToken(systemRandom));
});

test('its hash is the SHA-256 of its text', () => {
  expect(hashToken('abc')).toBe('sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});

test('a hash has one written form', () => {
  const hash = hashToken('abc');
  expect(isTokenHash(hash)).toBe(true);
  for (const text of ['', 'sha256:', hash.slice(0, -1), `${hash}0`, `${hash}\n`, hash.toUpperCase(), 'abc']) {
    expect(isTokenHash(text), text).toBe(false);
  }
});

test('only the token itself matches its hash', () => {
  const token = newToken(systemRandom);
  const hash = hashToken(token);
  expect(tokenMatches(token, hash)).toBe(true);
  for (const other of [
    '',
    token.slice(0, -1),
    `${token} `,
    token.toLowerCase().replace('sealift_', 'x'),
    hash,
  ]) {
    expect(tokenMatches(other, hash), other).toBe(false);
  }
});

test('a malformed hash matches nothing', () => {
  const token = newToken(systemRandom);
  for (const hash of [
    '',
    token,
    hashToken(token).slice(0, -1),
    hashToken(token).toUpperCase(),
    'é'.repeat(71),
  ]) {
    expect(tokenMatches(token, hash), hash).toBe(false);
  }
});
