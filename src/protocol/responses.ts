import { SealiftError } from '../errors.ts';
import { DIGEST_ALGORITHMS } from '../transfer/digests.ts';
import { pathProblem } from '../transfer/remote-path.ts';
import {
  FieldError,
  integer,
  list,
  nullable,
  oneOf,
  optional,
  readFields,
  text,
  type Field,
  type FieldsOf,
  type Shape,
  blockDigest,
  etag,
  fileDigest,
  mode,
} from './fields.ts';
import { jsonContent } from './json-content.ts';
import {
  MAX_CERTIFICATE_CHARACTERS,
  MAX_FILE_BYTES,
  MAX_LINK_TARGET_BYTES,
  MAX_SECRET_CHARACTERS,
  MAX_VERSION_CHARACTERS,
  PLAIN_KEY_BYTES,
} from './limits.ts';
import { BASES, DURABILITIES } from './requests.ts';

/** What a principal may do. */
export const PERMISSIONS = ['read', 'write', 'list', 'delete'] as const;
export type Permission = (typeof PERMISSIONS)[number];

/** The kinds of things under a root. */
export const ENTRY_TYPES = ['file', 'directory', 'symlink'] as const;

/** A part of an answer: any number of the first three, then one of the last two. */
export const STATUSES = ['more', 'block', 'progress', 'ok', 'error'] as const;

// A server's paths are checked as a client's are: what it answers must not name a place outside, nor the root itself.
const path: Field<string> = (value) => {
  if (typeof value === 'string' && value !== '' && pathProblem(value) === undefined) return value;
  throw new FieldError('is not a path by the grammar of the protocol');
};
const size = integer(0, MAX_FILE_BYTES);
const anyInteger = integer(Number.MIN_SAFE_INTEGER);

export const HELLO_ANSWER = {
  protocol: integer(1),
  agent: text(1_000),
  principal: nullable(text(1_000)),
  permissions: list(text(32), 64),
  digest: oneOf(...DIGEST_ALGORITHMS),
  encodings: list(text(32), 64),
  timeMs: anyInteger,
  blockSize: integer(1),
  maxRequests: integer(1),
  idleTimeoutMs: integer(1),
  timeGrainMs: optional(integer(1)),
  features: list(text(64), 256),
  token: optional(text(MAX_SECRET_CHARACTERS)),
  certificate: optional(text(MAX_CERTIFICATE_CHARACTERS)),
} as const satisfies Shape;
export type HelloAnswer = FieldsOf<typeof HELLO_ANSWER>;

export const RECEIPT = {
  path,
  size,
  digest: fileDigest,
  mtimeMs: anyInteger,
  etag,
  durability: oneOf(...DURABILITIES),
} as const satisfies Shape;
/** The server's word that a file stands whole under its name. */
export type Receipt = FieldsOf<typeof RECEIPT>;

export const UPLOAD_ANSWER = { upload: text(128), base: oneOf(...BASES) } as const satisfies Shape;

/** The answer to `get`: for a file of at most one block with its digest, else in the first `more`. */
export const FILE_ANSWER = {
  size,
  mtimeMs: anyInteger,
  mode,
  etag,
  digest: optional(blockDigest),
} as const satisfies Shape;

export const BLOCK_PART = { index: integer(0), digest: blockDigest } as const satisfies Shape;
export const GET_END = { digest: optional(fileDigest) } as const satisfies Shape;
export const DIGESTS_END = { size, etag, digest: fileDigest } as const satisfies Shape;

const entryShape = {
  type: oneOf(...ENTRY_TYPES),
  size: integer(0),
  mtimeMs: anyInteger,
  mode,
  etag: optional(etag),
  target: optional(text(MAX_LINK_TARGET_BYTES)),
} as const;
/** The answer to `stat`. */
export const STAT_ANSWER = { ...entryShape, digest: optional(fileDigest) } as const satisfies Shape;
export type StatAnswer = FieldsOf<typeof STAT_ANSWER>;
/** One entry of a listing. */
export const LIST_ENTRY = {
  path,
  ...entryShape,
  version: optional(text(MAX_VERSION_CHARACTERS)),
} as const satisfies Shape;
export type ListEntry = FieldsOf<typeof LIST_ENTRY>;

/** A directory of a listing that holds names which no path can say, or at which the server may not look: `""` is the root. */
export const UNLISTED = {
  path: (value) => (value === '' ? value : path(value)),
  count: integer(1),
} as const satisfies Shape;
export type Unlisted = FieldsOf<typeof UNLISTED>;

/** The answer to `bench`, with the port and its key if one was asked for. */
export const BENCH_ANSWER = {
  port: optional(integer(1, 65_535)),
  key: optional(text(2 * PLAIN_KEY_BYTES, /^[0-9a-f]{64}$/)),
} as const satisfies Shape;

export const PING_ANSWER = { timeMs: anyInteger } as const satisfies Shape;

/** Reads the fields of an answer. Throws `protocol-violation`: then the peer is broken, not the caller. */
export function readAnswer<S extends Shape>(
  shape: S,
  header: Readonly<Record<string, unknown>>,
): FieldsOf<S> {
  try {
    return readFields(shape, header);
  } catch (cause) {
    if (!(cause instanceof FieldError)) throw cause;
    throw new SealiftError(
      'protocol-violation',
      `The server sent an answer that breaks the protocol: ${cause.message}`,
      { cause },
    );
  }
}

/** Reads one page of a listing: `key` is `entries` or `result`. Throws `protocol-violation`. */
export function readListing<T>(content: Buffer, key: string, read: (item: unknown) => T): T[] {
  if (content.length === 0) return [];
  const items = itemsOf(content, key);
  if (!Array.isArray(items))
    throw new SealiftError('protocol-violation', 'The server sent a listing without its list.');
  return items.map(read);
}

/** The directories with names that are not listed, of a page that tells of any. Throws `protocol-violation`. */
export function readUnlisted(content: Buffer): Unlisted[] {
  // Hardly a page does, and to read each twice would cost.
  if (!content.includes('"unlisted"')) return [];
  const items = itemsOf(content, 'unlisted');
  return Array.isArray(items) ? items.map((item) => readAnswer(UNLISTED, fieldsOf(item))) : [];
}

function itemsOf(content: Buffer, key: string): unknown {
  let page: unknown;
  try {
    page = jsonContent(content);
  } catch (cause) {
    throw new SealiftError('protocol-violation', 'The server sent a listing that is not JSON.', { cause });
  }
  const fields = fieldsOf(page);
  return Object.hasOwn(fields, key) ? fields[key] : undefined;
}

function fieldsOf(item: unknown): Record<string, unknown> {
  return typeof item === 'object' && item !== null ? (item as Record<string, unknown>) : {};
}

/** One entry of a listing, checked. */
export function readListEntry(item: unknown): ListEntry {
  return readAnswer(LIST_ENTRY, fieldsOf(item));
}

/** One item of the answer to `file-digests`, checked: a file digest, or nothing. */
export function readFileDigest(item: unknown): string | undefined {
  return item === null ? undefined : readAnswer({ digest: fileDigest }, { digest: item }).digest;
}

/** One path of a search's result, checked. */
export function readPath(item: unknown): string {
  return readAnswer({ path }, { path: item }).path;
}
