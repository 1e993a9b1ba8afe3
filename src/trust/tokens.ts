import { hash, timingSafeEqual } from 'node:crypto';

import type { Random } from '../random.ts';

/** A new bearer token: `sealift_` (so that scanners for leaked secrets know it) and 256 random bits in base64url. */
export function newToken(random: Random): string {
  return `sealift_${random.bytes(32).toString('base64url')}`;
}

/** What is kept of a token: `sha256:<64 hex>`. A plain hash is enough, because a token cannot be guessed. */
export function hashToken(token: string): string {
  return `${PREFIX}${hash('sha256', token)}`;
}

/** Whether `text` is a token hash in its one written form. */
export function isTokenHash(text: string): boolean {
  return /^sha256:[0-9a-f]{64}$/.test(text);
}

/** Whether `token` is the one with this hash. The time taken says nothing about either; a malformed hash is no match. */
export function tokenMatches(token: string, tokenHash: string): boolean {
  const expected = Buffer.from(tokenHash);
  const actual = Buffer.from(hashToken(token));
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}

const PREFIX = 'sha256:';
