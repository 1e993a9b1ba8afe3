import { MAX_ETAG_CHARACTERS } from './limits.ts';

/**
 * Shapes of headers: what a field may hold, said once, from which both the check at run time and the type come.
 * Here names are in camel case; on the wire they are in kebab case (`mtimeMs` is `mtime-ms`).
 */

/** Reads the value of one field, or throws a `FieldError`. */
export type Field<T> = (value: unknown) => T;
export type Shape = Readonly<Record<string, Field<unknown>>>;

type OptionalKeys<S extends Shape> = {
  [K in keyof S]: undefined extends ReturnType<S[K]> ? K : never;
}[keyof S];
/** The type of what `readFields` returns for a shape. */
export type FieldsOf<S extends Shape> = { [K in Exclude<keyof S, OptionalKeys<S>>]: ReturnType<S[K]> } & {
  [K in OptionalKeys<S>]?: ReturnType<S[K]>;
};

/** A field that does not hold what its shape says; `message` is the end of a sentence that begins with its name. */
export class FieldError extends Error {}

/** Reads the fields of `shape` out of a header. Unknown fields are ignored, as SPEC.md says. Throws `FieldError`. */
export function readFields<S extends Shape>(
  shape: S,
  header: Readonly<Record<string, unknown>>,
): FieldsOf<S> {
  const result: Record<string, unknown> = {};
  let name = '';
  try {
    for (const key in shape) {
      name = wireName(key);
      const value = shape[key]?.(Object.hasOwn(header, name) ? header[name] : undefined);
      if (value !== undefined) result[key] = value;
    }
  } catch (error) {
    if (error instanceof FieldError) throw new FieldError(`The field ${name} ${error.message}.`);
    throw error;
  }
  return result as FieldsOf<S>;
}

/** Adds fields to `header` as they stand on the wire; those that are undefined are left out. */
export function writeFields(fields: object, header: Record<string, unknown> = {}): Record<string, unknown> {
  for (const key of Object.keys(fields)) {
    const value = (fields as Record<string, unknown>)[key];
    if (value !== undefined) header[wireName(key)] = value;
  }
  return header;
}

/** The name on the wire of a field of ours: `mtimeMs` is `mtime-ms`. */
export function wireName(key: string): string {
  const known = WIRE_NAMES.get(key);
  if (known !== undefined) return known;
  const name = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  WIRE_NAMES.set(key, name);
  return name;
}

// A listing says the same few names for each of a million entries.
const WIRE_NAMES = new Map<string, string>();

/** May be missing. `null` is not the same as missing. */
export function optional<T>(field: Field<T>): Field<T | undefined> {
  return (value) => (value === undefined ? undefined : field(value));
}

/** May be `null`. */
export function nullable<T>(field: Field<T>): Field<T | null> {
  return (value) => (value === null ? null : field(value));
}

/** A whole number from `min` to `max`, at most what JSON carries exactly. */
export function integer(min: number, max = Number.MAX_SAFE_INTEGER): Field<number> {
  return (value) => {
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max)
      return value;
    throw new FieldError(`is not a whole number from ${min} to ${max}`);
  };
}

/** A string of at most `maxCharacters`, which matches `pattern` if one is given. */
export function text(maxCharacters: number, pattern?: RegExp): Field<string> {
  return (value) => {
    if (typeof value !== 'string') throw new FieldError('is not a string');
    if (value.length > maxCharacters) throw new FieldError(`is longer than ${maxCharacters} characters`);
    if (pattern !== undefined && !pattern.test(value))
      throw new FieldError('is not of the form that it should have');
    return value;
  };
}

/** One of `values`. */
export function oneOf<const T extends string>(...values: T[]): Field<T> {
  return (value) => {
    const found = values.find((candidate) => candidate === value);
    if (found === undefined) throw new FieldError(`is none of ${values.join(', ')}`);
    return found;
  };
}

export const boolean: Field<boolean> = (value) => {
  if (typeof value === 'boolean') return value;
  throw new FieldError('is neither true nor false');
};

/** A list of at most `maxItems`. */
export function list<T>(item: Field<T>, maxItems: number): Field<T[]> {
  return (value) => {
    if (!Array.isArray(value) || value.length > maxItems)
      throw new FieldError(`is not a list of at most ${maxItems}`);
    return value.map((each) => item(each));
  };
}

/** What tells one version of a file from another; opaque. */
export const etag = text(MAX_ETAG_CHARACTERS);
/** Permission bits only: what could raise a file's powers (setuid, setgid, sticky), or tells its type, is dropped, not refused. */
export const mode: Field<number> = (value) => integer(0, 0o177777)(value) & 0o777;
/** The digest of one block in its written form. */
export const blockDigest = text(71, /^(sha256|blake3):[0-9a-f]{64}$/);
/** The digest of a whole file in its written form. */
export const fileDigest = text(74, /^(sha256|blake3)-1m:[0-9a-f]{64}$/);
