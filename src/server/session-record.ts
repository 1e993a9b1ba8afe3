import type { Clock } from '../clock.ts';
import type { SealiftError } from '../errors.ts';
import type { Header } from '../protocol/header.ts';
import type { Action, Request } from '../protocol/requests.ts';
import { toWireError } from '../protocol/wire-errors.ts';
import { parseBlockDigest, smallFileDigest } from '../transfer/digests.ts';
import type { AuditEntry, AuditEvent, AuditLog } from './audit.ts';
import type { Answer } from './exchange.ts';
import type { RequestOutcome, ServerMetrics } from './metrics.ts';

/** What moves the content of a file, or tells what it is. */
const TRANSFERS: ReadonlySet<Action> = new Set(['put', 'block', 'commit', 'get', 'digests']);
const CHANGES: ReadonlySet<Action> = new Set(['mkdir', 'symlink', 'set', 'remove', 'move']);
/** What a principal was not let do. */
const REFUSALS: ReadonlySet<string> = new Set(['forbidden', 'quota-exceeded', 'too-large']);

/** How a request ended: the last part of its answer, or what went wrong. */
type Outcome = { answer: Answer } | { error: SealiftError };

/** Is told each part of an answer that was sent. */
export type OnSent = (answer: Answer) => void;

/** Works on a request. */
type Work = (onSent: OnSent) => Promise<Answer>;

/** What the fields of a request do not say. */
interface KnownOfRequest {
  /** Where the upload goes that it names. */
  path: string | undefined;
  receivedBytes: number;
}

/** Who is told what happens on the connections of a server. */
export interface SessionObservers {
  audit: AuditLog | undefined;
  metrics: ServerMetrics | undefined;
  clock: Clock;
}

/** What happens on one connection, for the audit log and the metrics, if there are any. */
export class SessionRecord {
  readonly #log: AuditLog | undefined;
  readonly #metrics: ServerMetrics | undefined;
  readonly #clock: Clock;
  readonly #connection: { connection: number; address: string };
  #principal: string | null | undefined;
  #refusedUpload: string | undefined;

  constructor(
    { audit, metrics, clock }: SessionObservers,
    connection: { connection: number; address: string },
  ) {
    this.#log = audit;
    this.#metrics = metrics;
    this.#clock = clock;
    this.#connection = connection;
  }

  /** Takes down how a hello ended, which resolves with the principal. */
  async hello<T extends { principal: string | null }>({ join }: Header, hello: () => Promise<T>): Promise<T> {
    const event = join === undefined ? 'login' : 'join';
    const beganMs = this.#clock.monotonicMs();
    const count = (result: string) =>
      this.#metrics?.request({
        action: 'hello',
        result,
        seconds: this.#secondsSince(beganMs),
        file: undefined,
      });
    try {
      const done = await hello();
      this.#principal = done.principal;
      this.#record(event, { result: 'ok' });
      count('ok');
      return done;
    } catch (error) {
      const { code, message } = toWireError(error);
      this.#record(event, { result: code, reason: message });
      count(code);
      throw error;
    }
  }

  /** The connection was ended because its login was. */
  cut(reason: string): void {
    this.#record('cut', { result: 'unauthenticated', reason });
  }

  /** A client was told the digest of a file, among those of others. */
  digestTold(path: string, digest: string): void {
    this.#record('transfer', { action: 'file-digests', path, digest, result: 'ok' });
  }

  /** A client asked for digests of files that it may not reach, of which one lies at `path`, and was told nothing of them. */
  digestRefused(path: string): void {
    this.#record('refusal', { action: 'file-digests', path, result: 'forbidden' });
  }

  /** A client was told an error, or its stream was ended with one. */
  error(error: unknown): void {
    this.#metrics?.error(toWireError(error).code);
  }

  /** Takes down how a request ended, where anybody wants to know. */
  request(request: Request, known: KnownOfRequest, work: Work): Promise<Answer> {
    if (this.#log === undefined && this.#metrics === undefined) return work(nobodyAsks);
    return this.#recorded(request, known, work);
  }

  async #recorded(request: Request, { path, receivedBytes }: KnownOfRequest, work: Work): Promise<Answer> {
    const beganMs = this.#clock.monotonicMs();
    let bytes = 0;
    const onSent = (answer: Answer) => {
      bytes += contentBytes(answer);
      this.#metrics?.content('sent', answer.content?.length ?? 0);
    };
    const record = (outcome: Outcome) => {
      const event = this.#eventOf(request, outcome);
      const seconds = this.#secondsSince(beganMs);
      this.#metrics?.request(countedOf(request, event, outcome, seconds));
      if (event !== undefined)
        this.#record(event, {
          ...entryOf(request, path, outcome, bytes),
          seconds: Math.round(seconds * 1_000) / 1_000,
        });
    };
    this.#metrics?.content('received', receivedBytes);
    try {
      const answer = await work(onSent);
      onSent(answer);
      record({ answer });
      return answer;
    } catch (error) {
      record({ error: toWireError(error) });
      throw error;
    }
  }

  #eventOf({ action, fields }: Request, outcome: Outcome): AuditEvent | undefined {
    const isRefusal = 'error' in outcome && REFUSALS.has(outcome.error.code);
    if (action === 'block') {
      // One line for an upload, and not one for each of its blocks.
      if (!isRefusal || fields.upload === this.#refusedUpload) return undefined;
      this.#refusedUpload = fields.upload;
    }
    if (isRefusal) return 'refusal';
    // An upload that begins has not moved anything yet.
    if ('answer' in outcome && outcome.answer.fields?.['upload'] !== undefined) return undefined;
    return TRANSFERS.has(action) ? 'transfer' : CHANGES.has(action) ? 'change' : undefined;
  }

  #secondsSince(beganMs: number): number {
    return (this.#clock.monotonicMs() - beganMs) / 1_000;
  }

  #record(event: AuditEvent, entry: Pick<AuditEntry, 'result'> & Partial<AuditEntry>): void {
    if (this.#log === undefined) return;
    const time = new Date(this.#clock.now()).toISOString();
    this.#log.record({ time, event, ...this.#connection, principal: this.#principal, ...entry });
  }
}

function countedOf(
  { action }: Request,
  event: AuditEvent | undefined,
  outcome: Outcome,
  seconds: number,
): RequestOutcome {
  if ('error' in outcome) return { action, result: outcome.error.code, seconds, file: undefined };
  const direction = action === 'get' ? 'sent' : action === 'digests' ? undefined : 'received';
  return { action, result: 'ok', seconds, file: event === 'transfer' ? direction : undefined };
}

function entryOf(
  { action, fields }: Request,
  uploadPath: string | undefined,
  outcome: Outcome,
  sentBytes: number,
): Pick<AuditEntry, 'result'> & Partial<AuditEntry> {
  const { path, to, version } = { path: uploadPath, to: undefined, version: undefined, ...fields };
  const named = { action, path, to, version };
  const bytes = action === 'get' ? sentBytes : undefined;
  if ('error' in outcome)
    return { ...named, bytes, result: outcome.error.code, reason: outcome.error.message };
  const told = outcome.answer.fields ?? {};
  return {
    ...named,
    // A commit that is said again, when its upload is forgotten.
    path: path ?? (told['path'] as string | undefined),
    bytes: action === 'put' || action === 'commit' ? (told['size'] as number) : bytes,
    digest: wholeDigest(told),
    result: 'ok',
  };
}

/** A file of one block is answered with the digest of that. */
function wholeDigest({ digest, size }: Readonly<Record<string, unknown>>): string | undefined {
  if (typeof digest !== 'string') return undefined;
  const block = parseBlockDigest(digest);
  return block === undefined ? digest : smallFileDigest(block.algorithm, size as number, block.raw);
}

function contentBytes({ fields, content }: Answer): number {
  const decoded = fields?.['decoded-length'];
  return typeof decoded === 'number' ? decoded : (content?.length ?? 0);
}

function nobodyAsks(): void {
  // Without a log and metrics there is nothing to count.
}
