/**
 * Every way an operation of this project can fail, by code.
 *
 * `retryable` says whether the same operation may succeed later without anybody changing anything; the retry
 * policy of the client reads it. The first group travels on the wire (SPEC.md, "Errors"); the second is met
 * only on this side of a connection.
 */
const ERROR_KINDS = {
  // On the wire: the stream cannot be trusted any more.
  'bad-frame': { retryable: false },
  'bad-header': { retryable: false },
  'header-too-large': { retryable: false },
  'content-too-large': { retryable: false },
  timeout: { retryable: false },
  // On the wire: well-framed, but refused.
  'bad-request': { retryable: false },
  unsupported: { retryable: false },
  'unsupported-version': { retryable: false },
  'bad-name': { retryable: false },
  unauthenticated: { retryable: false },
  forbidden: { retryable: false },
  'not-found': { retryable: false },
  exists: { retryable: false },
  'is-directory': { retryable: false },
  'not-directory': { retryable: false },
  'not-empty': { retryable: false },
  'precondition-failed': { retryable: false },
  'unknown-upload': { retryable: true },
  incomplete: { retryable: true },
  'digest-mismatch': { retryable: true },
  locked: { retryable: true },
  'too-large': { retryable: false },
  'quota-exceeded': { retryable: false },
  'no-space': { retryable: false },
  busy: { retryable: true },
  'rate-limited': { retryable: true },
  'shutting-down': { retryable: true },
  internal: { retryable: true },
  cancelled: { retryable: false },
  superseded: { retryable: false },

  // Here: asked for something that makes no sense, or that is not there.
  usage: { retryable: false },
  'invalid-argument': { retryable: false },
  'bad-configuration': { retryable: false },
  'local-file': { retryable: false },
  'local-not-found': { retryable: false },
  'local-exists': { retryable: false },
  'local-no-space': { retryable: false },
  'source-changed': { retryable: false },
  // Here: a safety rail stopped a run before it changed anything.
  'empty-source': { retryable: false },
  'too-many-deletions': { retryable: false },
  // Here: no connection.
  'name-not-resolved': { retryable: true },
  'connection-refused': { retryable: true },
  unreachable: { retryable: true },
  'connect-timeout': { retryable: true },
  // Here: the peer is not who it should be, or does not accept who we are.
  'certificate-untrusted': { retryable: false },
  'certificate-expired': { retryable: false },
  'certificate-not-yet-valid': { retryable: false },
  'certificate-wrong-name': { retryable: false },
  'pin-mismatch': { retryable: false },
  'not-tls': { retryable: false },
  'tls-refused': { retryable: false },
  'alpn-refused': { retryable: false },
  // Here: the peer or the run is not as `--require` asks.
  'condition-failed': { retryable: false },
  // Here: there was a connection, and it failed us.
  'connection-lost': { retryable: true },
  stalled: { retryable: true },
  'protocol-violation': { retryable: false },
  'retries-exhausted': { retryable: false },
  // Here: somebody told us to stop.
  aborted: { retryable: false },
} as const satisfies Record<string, { retryable: boolean }>;

/** The closed set of error codes. */
export type ErrorCode = keyof typeof ERROR_KINDS;

/** Every error code there is, for tables and tests. */
export const ERROR_CODES = Object.keys(ERROR_KINDS) as ErrorCode[];

/** What may accompany an error besides its code and message. */
export interface ErrorContext {
  /** What made this happen; kept for whoever debugs, never sent to a peer. */
  cause?: unknown;
  /** What a person can do about it, one sentence or a command. */
  hint?: string;
  /** Overrides the code's own answer, for an error that a peer reported with its own judgement. */
  retryable?: boolean;
  /** The least time to wait before trying again, in milliseconds, where known. */
  retryAfterMs?: number;
  /** Facts that a program may read, in the names of the wire (`etag`, `digest`, `upload`, `index`, …). */
  details?: Readonly<Record<string, string | number | boolean | readonly string[] | readonly number[]>>;
}

/** The one error class. `message` is one sentence for a person; programs read `code`. */
export class SealiftError extends Error {
  override readonly name = 'SealiftError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly details: NonNullable<ErrorContext['details']>;

  constructor(code: ErrorCode, message: string, context: ErrorContext = {}) {
    super(message, 'cause' in context ? { cause: context.cause } : undefined);
    this.code = code;
    this.hint = context.hint;
    this.retryable = context.retryable ?? ERROR_KINDS[code].retryable;
    this.retryAfterMs = context.retryAfterMs;
    this.details = context.details ?? {};
  }
}

/** Whether `error` is one of ours, with one of `codes` if any are given. */
export function isSealiftError(error: unknown, ...codes: ErrorCode[]): error is SealiftError {
  return error instanceof SealiftError && (codes.length === 0 || codes.includes(error.code));
}

/** Whether `text` is a code of the closed set (what a peer sends need not be). */
export function isErrorCode(text: unknown): text is ErrorCode {
  return typeof text === 'string' && Object.hasOwn(ERROR_KINDS, text);
}

/** The code of an error that Node raised (`ENOENT`, `ECONNRESET`, …), if it has one. */
export function systemCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}

/** Whether the system said that a disk is full, or what this user may have of it. */
export function isDiskFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes(systemCode(error) ?? '');
}

/** Whether a `link` failed for want of links: FAT and some network file systems have none, and elsewhere a file can have only so many. */
export function cannotLink(error: unknown): boolean {
  return ['EPERM', 'ENOTSUP', 'ENOSYS', 'EMLINK'].includes(systemCode(error) ?? '');
}

/**
 * The first cause, as one of ours. An error that is none becomes `internal`, with the original kept and its message told:
 * a mistake of this program, or of one that uses it as a library, which trying again would only repeat. A peer is told
 * less (`toWireError`).
 */
export function toSealiftError(error: unknown): SealiftError {
  if (error instanceof SealiftError) return error;
  // Node looks it up wherever it resolves a relative name.
  if ((error as NodeJS.ErrnoException | null | undefined)?.syscall === 'uv_cwd')
    return new SealiftError('local-file', 'The working directory has been removed.', { cause: error });
  const reason = (error instanceof Error ? error.message : String(error)).replace(/\.$/, '');
  const message = `Something failed that should not have${reason === '' ? '' : `: ${reason}`}.`;
  return new SealiftError('internal', message, { cause: error, retryable: false });
}
