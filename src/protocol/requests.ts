import { SealiftError } from '../errors.ts';
import { DIGEST_ALGORITHMS } from '../transfer/digests.ts';
import { checkPath } from '../transfer/remote-path.ts';
import {
  boolean,
  FieldError,
  integer,
  list,
  nullable,
  oneOf,
  optional,
  readFields,
  text,
  wireName,
  writeFields,
  type Field,
  type FieldsOf,
  type Shape,
  blockDigest,
  etag,
  fileDigest,
  mode,
} from './fields.ts';
import type { Header } from './header.ts';
import { jsonContent } from './json-content.ts';
import {
  BLOCK_BYTES,
  MAX_AGENT_CHARACTERS,
  MAX_CERTIFICATE_CHARACTERS,
  MAX_CONTENT_BYTES,
  MAX_DIGESTED_FILES,
  MAX_FILE_BYTES,
  MAX_LINK_TARGET_BYTES,
  MAX_LOCK_NAME_CHARACTERS,
  MAX_LOCK_TTL_MS,
  MAX_QUERY_CHARACTERS,
  MAX_SECRET_CHARACTERS,
  MAX_VERSION_CHARACTERS,
} from './limits.ts';

/** The encodings that block contents may have besides `binary`. */
export const CONTENT_ENCODINGS = ['zstd', 'gzip'] as const;
/** What publication depends on. */
export const CONDITIONS = ['any', 'absent', 'match'] as const;
/** What an upload starts from. */
export const BASES = ['none', 'partial', 'existing'] as const;
/** What a receipt promises. */
export const DURABILITIES = ['disk', 'memory'] as const;

const pathField = (allowRoot: boolean): Field<string> => {
  return (value) => {
    if (typeof value !== 'string') throw new FieldError('is not a string');
    checkPath(value, { allowRoot });
    return value;
  };
};
const path = pathField(false);
const pathOrRoot = pathField(true);
const size: Field<number> = (value) => {
  const bytes = integer(0)(value);
  if (bytes <= MAX_FILE_BYTES) return bytes;
  throw new SealiftError('too-large', `A file of ${bytes} bytes is larger than ${MAX_FILE_BYTES}.`);
};
const blockIndex = integer(0, MAX_FILE_BYTES / BLOCK_BYTES - 1);
const mtimeMs = optional(integer(-8_640_000_000_000_000, 8_640_000_000_000_000));
// Any text that no server gave out is an upload that does not exist, not a mistake in the request.
const uploadId: Field<string> = (value) => {
  if (typeof value !== 'string') throw new FieldError('is not a string');
  if (/^[A-Za-z0-9_-]{1,128}$/.test(value)) return value;
  throw new SealiftError('unknown-upload', 'There is no such upload.');
};
const condition = { if: optional(oneOf(...CONDITIONS)), etag: optional(etag) };
// Counted in bytes, as the kernel counts it; an empty target or one with a zero byte is none.
const linkTarget: Field<string> = (value) => {
  const target = text(MAX_LINK_TARGET_BYTES, /^[^\0]+$/)(value);
  if (Buffer.byteLength(target) <= MAX_LINK_TARGET_BYTES) return target;
  throw new FieldError(`is longer than ${MAX_LINK_TARGET_BYTES} bytes`);
};
const secret = text(MAX_SECRET_CHARACTERS);
const lockName = text(MAX_LOCK_NAME_CHARACTERS, /^[\x21-\x7e]+$/);
const version = optional(text(MAX_VERSION_CHARACTERS));
const randomKey = text(32, /^[0-9a-f]{32}$/);

/** The fields of every action's request. SPEC.md, "Actions". */
export const REQUESTS = {
  hello: {
    protocol: integer(0),
    agent: text(MAX_AGENT_CHARACTERS),
    token: optional(secret),
    join: optional(secret),
    certificateRequest: optional(text(MAX_CERTIFICATE_CHARACTERS)),
    digest: optional(oneOf(...DIGEST_ALGORITHMS)),
    encodings: optional(list(text(32), 16)),
  },
  ping: {},
  echo: {},
  put: {
    path,
    size: nullable(size),
    mtimeMs,
    mode: optional(mode),
    resumeKey: optional(randomKey),
    base: optional(oneOf(...BASES)),
    durability: optional(oneOf(...DURABILITIES)),
    ...condition,
    digest: optional(blockDigest),
  },
  block: { upload: uploadId, index: blockIndex, digest: blockDigest },
  commit: { upload: uploadId, size, digest: fileDigest },
  abort: { upload: uploadId },
  get: {
    path,
    fromBlock: optional(blockIndex),
    blockCount: optional(integer(0)),
    ifMatch: optional(etag),
    version,
  },
  digests: { path, version, remembered: optional(boolean) },
  'file-digests': {},
  stat: { path: pathOrRoot, digest: optional(boolean) },
  list: { path: pathOrRoot, recursive: optional(boolean), versions: optional(boolean) },
  search: { query: text(MAX_QUERY_CHARACTERS) },
  set: { path, mtimeMs, mode: optional(mode) },
  mkdir: { path, mtimeMs, mode: optional(mode) },
  symlink: { path, target: linkTarget, ...condition },
  remove: { path, recursive: optional(boolean) },
  move: { path, to: path, ...condition },
  sync: {},
  lock: { name: lockName, ttlMs: integer(1, MAX_LOCK_TTL_MS), holder: optional(randomKey) },
  unlock: { name: lockName, holder: optional(randomKey) },
  cancel: { target: integer(1) },
  bench: { plain: optional(boolean) },
} as const satisfies Record<string, Shape>;

export type Action = keyof typeof REQUESTS;
/** The fields of a request for `A`, besides `action` and `id`. */
export type RequestFields<A extends Action> = FieldsOf<(typeof REQUESTS)[A]>;
/** A request as it was understood. Only `block` may come without an `id`. */
export type Request<A extends Action = Action> = {
  [K in A]: { action: K; id: number | undefined; fields: RequestFields<K> };
}[A];

const id = integer(1);

/** The `id` of a request, however wrong the rest of it is; undefined if there is none that could be answered. */
export function requestId(header: Header): number | undefined {
  const { id: value } = header;
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 ? value : undefined;
}

/** Whether `text` names an action of the protocol. */
export function isAction(text: unknown): text is Action {
  return typeof text === 'string' && Object.hasOwn(REQUESTS, text);
}

/**
 * Understands a request. Throws `bad-request`, `unsupported` (an unknown action), `bad-name`, `unknown-upload` or
 * `too-large`.
 */
export function parseRequest(header: Header): Request {
  const { action } = header;
  if (typeof action !== 'string') throw badRequest('The request names no action.');
  if (!isAction(action))
    throw new SealiftError('unsupported', `There is no action ${JSON.stringify(action.slice(0, 64))}.`);
  try {
    const requestIdentity = action === 'block' ? optional(id) : id;
    const { id: read } = readFields({ id: requestIdentity }, header);
    return { action, id: read, fields: readFields(REQUESTS[action], header) } as Request;
  } catch (error) {
    if (error instanceof FieldError) throw badRequest(error.message);
    throw error;
  }
}

/** The content of a `file-digests` that asks about `paths`. */
export function pathsContent(paths: readonly string[]): Buffer {
  return Buffer.from(JSON.stringify({ paths }));
}

const PATHS = { paths: list(text(MAX_CONTENT_BYTES), MAX_DIGESTED_FILES) } as const;

/** The texts that the content of a `file-digests` asks about, which need not be paths. Throws `bad-request`. */
export function readPaths(content: Buffer): string[] {
  let value: unknown;
  try {
    value = jsonContent(content);
  } catch {
    throw badRequest('The content is not JSON in UTF-8.');
  }
  try {
    return readFields(PATHS, Object(value) as Record<string, unknown>).paths;
  } catch (error) {
    if (error instanceof FieldError) throw badRequest(error.message);
    throw error;
  }
}

/** The header fields of a request. Throws `bad-name` or `bad-request` for a text that is cut within a character: no header can hold it, and the server would end the stream. */
export function requestHeader<A extends Action>(
  action: A,
  requestIdentity: number,
  fields: RequestFields<A>,
): Record<string, unknown> {
  for (const name in fields) assertWellFormed(name, (fields as Record<string, unknown>)[name]);
  return writeFields(fields, { action, id: requestIdentity });
}

function assertWellFormed(name: string, value: unknown): void {
  if (typeof value !== 'string' || value.isWellFormed()) return;
  if (name === 'path' || name === 'to') checkPath(value, { allowRoot: true });
  throw badRequest(`The field ${wireName(name)} holds a lone surrogate.`);
}

function badRequest(message: string): SealiftError {
  return new SealiftError('bad-request', message);
}
