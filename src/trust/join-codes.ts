import type { Clock } from '../clock.ts';
import type { Random } from '../random.ts';
import { hashToken } from './tokens.ts';

/** How long a join code lives unless it is issued otherwise, in milliseconds. */
export const JOIN_CODE_LIFETIME_MS = 15 * 60_000;

/**
 * A code that a client exchanges, once, for a lasting token: 128 random bits as 26 characters that are safe in a URL and
 * hard to misread (Crockford's base 32).
 */
export function newJoinCode(random: Random): string {
  const number = BigInt(`0x${random.bytes(CODE_BYTES).toString('hex')}`);
  const character = (place: number) => ALPHABET.charAt(Number((number >> BigInt(place * 5)) & 31n));
  return Array.from({ length: CODE_CHARACTERS }, (_, i) => character(CODE_CHARACTERS - 1 - i)).join('');
}

/** What a users file keeps of a code from now on, by its keys: a hash as of a token, and until when it lives. */
export function joinFields(
  code: string,
  clock: Clock,
  lifetimeMs = JOIN_CODE_LIFETIME_MS,
): { join: string; 'join-expires': Date } {
  return { join: hashToken(canonicalJoinCode(code)), 'join-expires': new Date(clock.now() + lifetimeMs) };
}

/** A code as it was issued. Letter case, hyphens and spaces do not matter, and O, I and L are read as the digits they look like. */
export function canonicalJoinCode(code: string): string {
  return code.toUpperCase().replace(/[\s-]/g, '').replaceAll('O', '0').replace(/[IL]/g, '1');
}

const CODE_BYTES = 16;
const CODE_CHARACTERS = 26;
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
