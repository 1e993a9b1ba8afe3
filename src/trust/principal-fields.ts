import type { SealiftError } from '../errors.ts';
import { PERMISSIONS, type Permission } from '../protocol/responses.ts';
import { isPin } from './pins.ts';
import { isTokenHash } from './tokens.ts';

/** What the file says about one principal. */
export interface PrincipalFields {
  permissions: readonly Permission[];
  /** Token hashes, `sha256:<hex>`. */
  tokens: readonly string[];
  /** Pins of client certificates, `sha256//BASE64`. */
  pins: readonly string[];
  /** Names of client certificates, in lower case. */
  names: readonly string[];
}

/** Makes the error for a field, by its key, with what is wrong. */
export type Fault = (field: string, problem: string) => SealiftError;

/** Reads the table of one principal. A missing `permissions`, an unknown key or a bad value throws what `fault` makes. */
export function readPrincipal(table: Readonly<Record<string, unknown>>, fault: Fault): PrincipalFields {
  const unknown = Object.keys(table).find((key) => !Object.hasOwn(READERS, key));
  if (unknown !== undefined) throw fault(unknown, `is not a known key (${Object.keys(READERS).join(', ')}).`);
  const read = <K extends keyof PrincipalFields>(key: K) =>
    READERS[key](Object.hasOwn(table, key) ? table[key] : undefined, (problem) => fault(key, problem));
  return {
    permissions: read('permissions'),
    tokens: read('tokens'),
    pins: read('pins'),
    names: read('names'),
  };
}

type Problem = (problem: string) => SealiftError;
type Reader<T> = (value: unknown, fault: Problem) => T;

const READERS: { [K in keyof PrincipalFields]: Reader<PrincipalFields[K]> } = {
  permissions: (value, fault) => {
    if (value === undefined) throw fault(`is missing: a list of ${PERMISSIONS.join(', ')}.`);
    return strings(value, isPermission, `one of ${PERMISSIONS.join(', ')}`, fault) as Permission[];
  },
  tokens: (value, fault) => strings(value, isTokenHash, 'a token hash (sha256: and 64 hex digits)', fault),
  pins: (value, fault) => strings(value, isPin, 'a pin (sha256//BASE64)', fault),
  names: (value, fault) => {
    const names = strings(value, isExactName, 'the name of a client certificate (no pattern)', fault);
    return names.map((name) => name.toLowerCase());
  },
};

// Items are told by their number, not by their text: it may be a secret that was put in the wrong place.
function strings(value: unknown, isRight: (item: string) => boolean, what: string, fault: Problem): string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw fault('is not a list.');
  return value.map((item: unknown, index) => {
    if (typeof item === 'string' && isRight(item)) return item;
    throw fault(`has an item, number ${index + 1}, that is not ${what}.`);
  });
}

function isPermission(text: string): boolean {
  return (PERMISSIONS as readonly string[]).includes(text);
}

function isExactName(text: string): boolean {
  return /^[^\p{C}*]{1,255}$/u.test(text) && text.trim() === text;
}
