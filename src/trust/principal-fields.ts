import { TomlDate } from 'smol-toml';

import { isSealiftError, type SealiftError } from '../errors.ts';
import { PERMISSIONS, type Permission } from '../protocol/responses.ts';
import { isWithin, pathProblem } from '../transfer/remote-path.ts';
import { AddressList, isNetwork } from '../transport/address-list.ts';
import { parseSize } from '../units.ts';
import type { Grant } from './grant.ts';
import { isPin } from './pins.ts';
import { isTokenHash } from './tokens.ts';

/** How a principal shows who it is. */
export interface Credentials {
  /** Token hashes, `sha256:<hex>`. */
  readonly tokens: readonly string[];
  /** Pins of client certificates, `sha256//BASE64`. */
  readonly pins: readonly string[];
  /** Pins of client certificates that the server issued: each counts while an authority vouches for the certificate. */
  readonly issued: readonly string[];
  /** Names of client certificates, in lower case. */
  readonly names: readonly string[];
  /** The hash of a join code that may be exchanged once for a token, and until when. */
  readonly join: { readonly hash: string; readonly expiresMs: number } | undefined;
}

/** Makes the error for a field, by its key, with what is wrong. */
export type Fault = (field: string, problem: string) => SealiftError;

/** Reads the table of one principal. A missing `permissions`, an unknown key or a bad value throws what `fault` makes. */
export function readPrincipal(
  table: Readonly<Record<string, unknown>>,
  fault: Fault,
): { grant: Grant; credentials: Credentials } {
  const unknown = Object.keys(table).find((key) => !Object.hasOwn(READERS, key));
  if (unknown !== undefined) throw fault(unknown, `is not a known key (${Object.keys(READERS).join(', ')}).`);
  const read = <K extends keyof typeof READERS>(key: K) => {
    const reader = READERS[key] as Reader<ReturnType<(typeof READERS)[K]>>;
    return reader(Object.hasOwn(table, key) ? table[key] : undefined, (problem) => fault(key, problem));
  };
  return {
    grant: {
      permissions: new Set(read('permissions')),
      prefixes: read('prefixes'),
      root: read('root'),
      quotaBytes: read('quota'),
      quotaFiles: read('quota-files'),
      maxFileBytes: read('max-file-size'),
      bytesPerSecond: read('rate'),
      maxConnections: read('max-connections'),
      expiresMs: read('expires'),
      addresses: read('addresses'),
    },
    credentials: {
      tokens: read('tokens'),
      pins: read('pins'),
      issued: read('issued'),
      names: read('names'),
      join: joinOf(read('join'), read('join-expires'), fault),
    },
  };
}

type Problem = (problem: string) => SealiftError;
type Reader<T> = (value: unknown, fault: Problem) => T;

const READERS = {
  permissions: (value, fault): Permission[] => {
    if (value === undefined) throw fault(`is missing: a list of ${PERMISSIONS.join(', ')}.`);
    return strings(value, isPermission, `one of ${PERMISSIONS.join(', ')}`, fault) as Permission[];
  },
  prefixes: (value, fault): string[] => {
    const prefixes = strings(value, isPathOrRoot, 'a path, as in "photos/2024"', fault);
    // None at all would be a principal that may touch nothing, and is more likely a mistake.
    if (Array.isArray(value) && value.length === 0) throw fault('is empty; leave it out to allow all paths.');
    return value === undefined ? [''] : outermost(prefixes);
  },
  root: (value, fault) => optional(value, isText, 'the name of a directory', fault),
  quota: (value, fault) => size(value, 0, fault),
  'quota-files': (value, fault) => count(value, 0, fault),
  'max-file-size': (value, fault) => size(value, 0, fault),
  rate: (value, fault) => size(value, 1, fault),
  'max-connections': (value, fault) => count(value, 1, fault),
  expires: (value, fault) => moment(value, fault),
  addresses: (value, fault) =>
    value === undefined
      ? undefined
      : new AddressList(strings(value, isNetwork, 'an address or a network, as in 10.0.0.0/8', fault)),
  tokens: (value, fault) => strings(value, isTokenHash, 'a token hash (sha256: and 64 hex digits)', fault),
  pins: (value, fault) => strings(value, isPin, 'a pin (sha256//BASE64)', fault),
  issued: (value, fault) => strings(value, isPin, 'a pin (sha256//BASE64)', fault),
  names: (value, fault) => {
    const names = strings(value, isExactName, 'the name of a client certificate (no pattern)', fault);
    return names.map((name) => name.toLowerCase());
  },
  join: (value, fault) =>
    optional(value, isTokenHash, 'the hash of a join code (sha256: and 64 hex digits)', fault),
  'join-expires': (value, fault) => moment(value, fault),
} satisfies Record<string, Reader<unknown>>;

// Items are told by their number, not by their text: it may be a secret that was put in the wrong place.
function strings(value: unknown, isRight: (item: string) => boolean, what: string, fault: Problem): string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw fault('is not a list.');
  return value.map((item: unknown, index) => {
    if (typeof item === 'string' && isRight(item)) return item;
    throw fault(`has an item, number ${index + 1}, that is not ${what}.`);
  });
}

function optional(
  value: unknown,
  isRight: (text: string) => boolean,
  what: string,
  fault: Problem,
): string | undefined {
  if (value === undefined || (typeof value === 'string' && isRight(value))) return value;
  throw fault(`is not ${what}.`);
}

/** Bytes: a number, or a text as in `10G`. */
function size(value: unknown, min: number, fault: Problem): number | undefined {
  if (typeof value !== 'string') return count(value, min, fault);
  try {
    return count(parseSize(value), min, fault);
  } catch (error) {
    if (!isSealiftError(error, 'usage')) throw error;
    throw fault('is no size; write it as 64K, 10M or 1G.');
  }
}

function count(value: unknown, min: number, fault: Problem): number | undefined {
  if (value === undefined || (Number.isSafeInteger(value) && (value as number) >= min))
    return value as number | undefined;
  throw fault(`is no whole number of at least ${min}.`);
}

/** A date of TOML: a moment with its offset, or a day, which stands for its first moment in UTC. */
function moment(value: unknown, fault: Problem): number | undefined {
  if (value === undefined) return undefined;
  // A time without an offset would mean something else on every machine.
  if (value instanceof TomlDate && (value.isDate() || (value.isDateTime() && !value.isLocal())))
    return value.getTime();
  throw fault('is no date with an offset, as in 2027-01-31T00:00:00Z or 2027-01-31.');
}

function joinOf(hash: string | undefined, expiresMs: number | undefined, fault: Fault): Credentials['join'] {
  if (hash === undefined && expiresMs === undefined) return undefined;
  if (hash === undefined) throw fault('join', 'is missing, and there is a join-expires.');
  if (expiresMs === undefined) throw fault('join-expires', 'is missing, and there is a join.');
  return { hash, expiresMs };
}

function isPermission(text: string): boolean {
  return (PERMISSIONS as readonly string[]).includes(text);
}

/** Without those that lie within another one, which grants them already. */
function outermost(prefixes: readonly string[]): string[] {
  const distinct = [...new Set(prefixes)];
  return distinct.filter((prefix) => !distinct.some((other) => other !== prefix && isWithin(prefix, other)));
}

function isPathOrRoot(text: string): boolean {
  return text === '' || pathProblem(text) === undefined;
}

function isText(text: string): boolean {
  return /^\P{Cc}+$/u.test(text);
}

function isExactName(text: string): boolean {
  return /^[^\p{C}*]{1,255}$/u.test(text) && text.trim() === text;
}
