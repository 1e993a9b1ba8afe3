import { isErrorCode, SealiftError, type ErrorCode } from '../errors.ts';
import { MAX_RETRY_AFTER_MS } from './limits.ts';

/**
 * The error codes that travel, and whether each ends the stream: after `bad-frame` and its like nobody knows
 * where the next message begins. SPEC.md, "Errors".
 */
export const WIRE_ERRORS = {
  'bad-frame': { endsStream: true },
  'bad-header': { endsStream: true },
  'header-too-large': { endsStream: true },
  'content-too-large': { endsStream: true },
  timeout: { endsStream: true },
  'bad-request': { endsStream: false },
  unsupported: { endsStream: false },
  'unsupported-version': { endsStream: false },
  'bad-name': { endsStream: false },
  unauthenticated: { endsStream: false },
  forbidden: { endsStream: false },
  'not-found': { endsStream: false },
  exists: { endsStream: false },
  'is-directory': { endsStream: false },
  'not-directory': { endsStream: false },
  'not-empty': { endsStream: false },
  'precondition-failed': { endsStream: false },
  'unknown-upload': { endsStream: false },
  incomplete: { endsStream: false },
  'digest-mismatch': { endsStream: false },
  locked: { endsStream: false },
  'too-large': { endsStream: false },
  'quota-exceeded': { endsStream: false },
  'no-space': { endsStream: false },
  busy: { endsStream: false },
  'rate-limited': { endsStream: false },
  'shutting-down': { endsStream: false },
  internal: { endsStream: false },
  cancelled: { endsStream: false },
  superseded: { endsStream: false },
} as const satisfies Partial<Record<ErrorCode, { endsStream: boolean }>>;

export type WireErrorCode = keyof typeof WIRE_ERRORS;

/** Whether `code` may stand on the wire. */
export function isWireErrorCode(code: ErrorCode): code is WireErrorCode {
  return Object.hasOwn(WIRE_ERRORS, code);
}

/** Whether the stream cannot go on after `code`. */
export function endsStream(code: ErrorCode): boolean {
  return isWireErrorCode(code) && WIRE_ERRORS[code].endsStream;
}

/** The error as one of ours, of which a peer may be told: of one that is none only that the server failed, and that it may not fail again. */
export function toWireError(error: unknown): SealiftError {
  if (error instanceof SealiftError) return error;
  return new SealiftError('internal', 'Something failed that should not have.', { cause: error });
}

/** The header fields of an error answer. What is not meant for a peer becomes a bare `internal`. */
export function errorFields(error: unknown): Record<string, unknown> {
  const known = toWireError(error);
  if (!isWireErrorCode(known.code)) {
    return errorFields(new SealiftError('internal', 'The server failed on this request; its log says why.'));
  }
  return {
    ...known.details,
    status: 'error',
    code: known.code,
    message: known.message,
    retryable: known.retryable,
    ...(known.retryAfterMs === undefined ? {} : { 'retry-after-ms': Math.ceil(known.retryAfterMs) }),
  };
}

/** Fields of an error answer that are not its details. */
const ERROR_FIELDS = new Set(['id', 'status', 'code', 'message', 'retryable', 'retry-after-ms']);
const FRAME_FIELDS = new Set(['byteorder', 'content-length', 'content-type', 'content-encoding']);

/** The error that an answer's header tells of. A code unknown here is kept in the message, as `internal`. */
export function errorFromFields(header: Readonly<Record<string, unknown>>): SealiftError {
  const { code, message, retryable } = header;
  const retryAfter = header['retry-after-ms'];
  const known = isErrorCode(code) && isWireErrorCode(code) ? code : 'internal';
  const text = typeof message === 'string' && message !== '' ? message : 'The server gave no reason.';
  const isNew = typeof code === 'string' && code !== known;
  return new SealiftError(known, isNew ? `${code}: ${text}` : text, {
    ...(typeof retryable === 'boolean' ? { retryable } : {}),
    ...(typeof retryAfter === 'number' && retryAfter >= 0
      ? { retryAfterMs: Math.min(retryAfter, MAX_RETRY_AFTER_MS) }
      : {}),
    details: errorDetails(header),
  });
}

function errorDetails(header: Readonly<Record<string, unknown>>): SealiftError['details'] {
  const entries = Object.entries(header).filter(
    ([name, value]) => !ERROR_FIELDS.has(name) && !FRAME_FIELDS.has(name) && isDetail(value),
  );
  return Object.fromEntries(entries) as SealiftError['details'];
}

/** Whether `value` is a plain one or a list of texts or of numbers. */
function isDetail(value: unknown): boolean {
  if (!Array.isArray(value)) return ['string', 'number', 'boolean'].includes(typeof value);
  return ['string', 'number'].some((type) => value.every((item) => typeof item === type));
}
