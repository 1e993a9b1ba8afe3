import { endianness } from 'node:os';

import { SealiftError } from '../errors.ts';
import { MAX_HEADER_DEPTH, MAX_HEADER_FIELDS, MAX_TYPE_CHARACTERS } from './limits.ts';

/** A header as it was read: the four fields of the header protocol are there and sound, the rest is not judged yet. */
export interface Header {
  readonly byteorder: 'little' | 'big';
  readonly 'content-length': number;
  readonly 'content-type': string;
  readonly 'content-encoding': string;
  readonly [field: string]: unknown;
}

/** The media types of the protocol itself; file contents may bear any other. */
export const CONTENT_TYPE = {
  json: 'text/json',
  bytes: 'application/octet-stream',
  digestList: 'application/x-digest-list',
} as const;

/** The byte order of this machine, told in every header and used for nothing. */
export const NATIVE_BYTE_ORDER = endianness() === 'LE' ? 'little' : 'big';

// `toString()` would hide broken UTF-8, and a byte order mark is no JSON.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
// Names that change what an object is, once a careless program copies them.
const FORBIDDEN_FIELDS = new Set(['__proto__', 'constructor', 'prototype']);

/** Reads the bytes of a header (without the length before it). Throws `bad-header`. */
export function parseHeader(bytes: Uint8Array): Header {
  const value = parseJson(bytes);
  if (!isObject(value)) throw badHeader('The header is not a JSON object.');
  if (Object.keys(value).length > MAX_HEADER_FIELDS)
    throw badHeader(`The header has more than ${MAX_HEADER_FIELDS} fields.`);
  checkValue(value, 0);
  return checkFrameFields(value);
}

/** Reads JSON from UTF-8 bytes, both strictly. Throws `bad-header`. */
function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(bytes)) as unknown;
  } catch (cause) {
    throw badHeader('The header is not JSON in UTF-8.', cause);
  }
}

function checkFrameFields(header: Record<string, unknown>): Header {
  const { byteorder } = header;
  const length = header['content-length'];
  if (byteorder !== 'little' && byteorder !== 'big')
    throw badHeader('The field byteorder is neither "little" nor "big".');
  if (typeof length !== 'number' || !Number.isSafeInteger(length) || length < 0 || Object.is(length, -0)) {
    throw badHeader('The field content-length is not a whole number from 0 up.');
  }
  for (const name of ['content-type', 'content-encoding']) {
    const text = header[name];
    if (typeof text !== 'string' || text === '' || text.length > MAX_TYPE_CHARACTERS) {
      throw badHeader(`The field ${name} is not a string of 1 to ${MAX_TYPE_CHARACTERS} characters.`);
    }
  }
  return header as Header;
}

function checkValue(value: unknown, depth: number): void {
  if (depth > MAX_HEADER_DEPTH) throw badHeader(`The header nests deeper than ${MAX_HEADER_DEPTH} levels.`);
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw badHeader('The header holds a lone surrogate.');
  } else if (Array.isArray(value)) {
    for (const item of value) checkValue(item, depth + 1);
  } else if (isObject(value)) {
    for (const name of Object.keys(value)) {
      if (FORBIDDEN_FIELDS.has(name))
        throw badHeader(`The header has the field ${name}, which is not allowed.`);
      checkValue(name, depth);
      checkValue(value[name], depth + 1);
    }
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function badHeader(message: string, cause?: unknown): SealiftError {
  return new SealiftError('bad-header', message, { cause });
}
