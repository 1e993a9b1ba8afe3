import type { Clock } from '../clock.ts';
import { isSealiftError, SealiftError, toSealiftError } from '../errors.ts';
import { withFields, type Logger } from '../logger.ts';
import type { Message } from '../protocol/decoder.ts';
import {
  BLOCK_BYTES,
  HELLO_TIMEOUT_MS,
  MAX_ANSWER_BYTES_IN_FLIGHT,
  MAX_CONTENT_BYTES,
  MAX_CONTENT_BYTES_IN_FLIGHT,
  MAX_REQUESTS,
} from '../protocol/limits.ts';
import {
  CONTENT_ENCODINGS,
  parseRequest,
  requestId,
  type Action,
  type Request,
} from '../protocol/requests.ts';
import { endsStream, errorFields } from '../protocol/wire-errors.ts';
import type { Store } from '../storage/store.ts';
import { Compressor } from '../transport/compressor.ts';
import type { Connection } from '../transport/connection.ts';
import { chooseEncoding, decodedContent } from '../transport/content-encoding.ts';
import type { Peer } from '../transport/peer.ts';
import { authenticate, type AuthenticationOptions, type Identity } from './authentication.ts';
import { authorize } from './authorization.ts';
import { BlockTracker } from './block-tracker.ts';
import { blockBuffers } from '../transport/block-buffers.ts';
import { Budget } from '../transport/budget.ts';
import { withProgress, type Answer, type Exchange, type Handler, type SessionState } from './exchange.ts';
import type { FileDigests } from './file-digests.ts';
import { HANDLERS } from './handlers/index.ts';
import { checkVersion, chooseDigest, helloAnswer } from './hello.ts';
import type { Leases } from './leases.ts';
import { blockFields, clipped, withoutContext } from './told-errors.ts';
import { answerTutorial } from './tutorial.ts';
import { Unsynced } from './unsynced.ts';
import type { Uploads } from './uploads.ts';

/** What all sessions of a server share. */
export interface SessionParts {
  store: Store;
  uploads: Uploads;
  fileDigests: FileDigests;
  leases: Leases;
  clock: Clock;
  logger: Logger;
  authentication: AuthenticationOptions;
  /** The name by which the server introduces itself. */
  agent: string;
  /** Whether requests of the tutorial dialect are answered. */
  speaksTutorial: boolean;
  idleTimeoutMs: number;
  helloTimeoutMs?: number | undefined;
}

const ACCEPTED = { accepted: CONTENT_ENCODINGS, code: 'bad-request' } as const;
const CONNECTION_ENDED = new SealiftError('cancelled', 'The connection has ended.');

/** What an operator wants to find in the log: what was fetched, and what changed. */
const LOGGED: ReadonlySet<Action> = new Set([
  'put',
  'commit',
  'get',
  'mkdir',
  'symlink',
  'set',
  'remove',
  'move',
]);

/** One client's connection: next message → state → handler → answer, until either side ends it. */
export class Session {
  readonly #parts: SessionParts;
  readonly #connection: Connection;
  readonly #peer: Peer;
  readonly #requests = new Budget(MAX_REQUESTS);
  // Of their own, since a client cancels when all places are taken; bounded all the same, for their answers wait too.
  readonly #cancels = new Budget(MAX_REQUESTS);
  readonly #contentBytes = new Budget(MAX_CONTENT_BYTES_IN_FLIGHT);
  readonly #working = new Map<number, AbortController>();
  readonly #tasks = new Set<Promise<void>>();
  #state: SessionState | undefined;
  #isDraining = false;
  #logger: Logger;

  constructor(parts: SessionParts, connection: Connection, peer: Peer) {
    this.#parts = parts;
    this.#connection = connection;
    this.#peer = peer;
    this.#logger = parts.logger;
  }

  /** Serves until the connection ends; never rejects. Leaves nothing behind but uploads that can be resumed. */
  async run(): Promise<void> {
    const { helloTimeoutMs = HELLO_TIMEOUT_MS } = this.#parts;
    this.#connection.setDeadline(helloTimeoutMs, 'The hello');
    // Also where the client had ended its side before, and what it asked for was still being worked on.
    void this.#connection.closed.then(() => this.#abortAll(CONNECTION_ENDED));
    try {
      await this.#serve();
      await Promise.all(this.#tasks);
      await this.#connection.finish();
    } catch (error) {
      await this.#endStream(toSealiftError(error));
    }
    await this.#leave();
  }

  /** Takes no new requests, ends when those under way have; a client that asks meanwhile is told to come back. */
  drain(): void {
    this.#isDraining = true;
    if (this.#tasks.size === 0) void this.#connection.finish();
  }

  /** Ends at once. */
  destroy(reason: SealiftError): void {
    this.#connection.destroy(reason);
  }

  async #serve(): Promise<void> {
    for (;;) {
      const message = await this.#connection.receive();
      if (message === undefined) return;
      if (this.#state === undefined) await this.#beforeHello(message);
      else await this.#begin(message, this.#state);
    }
  }

  async #beforeHello(message: Message): Promise<void> {
    const { header } = message;
    const id = requestId(header);
    try {
      if (header['action'] === undefined && this.#parts.speaksTutorial) {
        return await this.#send({}, await answerTutorial(message, this.#parts.store));
      }
      if (header['action'] !== 'hello')
        throw new SealiftError('unauthenticated', 'The first request has to be a hello.');
      const request = parseRequest(header) as Request<'hello'>;
      const { state, answer } = await this.#login(request);
      this.#connection.clearDeadline();
      this.#connection.maxContentBytes = MAX_CONTENT_BYTES;
      await this.#send({ id, status: 'ok' }, { fields: answer });
      this.#state = state;
    } catch (error) {
      await this.#sendError(id, error);
    }
  }

  async #login({
    fields,
  }: Request<'hello'>): Promise<{ state: SessionState; answer: Record<string, unknown> }> {
    const { authentication, agent, clock, store, idleTimeoutMs } = this.#parts;
    checkVersion(fields);
    const identity = await authenticate(authentication, this.#peer, fields);
    const digest = chooseDigest(fields.digest);
    const encoding = chooseEncoding(fields.encodings ?? []);
    this.#logger = withFields(this.#parts.logger, {
      address: this.#peer.address,
      principal: identity.principal,
    });
    this.#logger.info({ agent: fields.agent, tls: this.#peer.tlsVersion }, 'login');
    return {
      state: this.#stateFor(identity, digest, encoding),
      answer: helloAnswer({ agent, identity, digest, clock, features: store.features, idleTimeoutMs }),
    };
  }

  #stateFor(
    { principal, permissions }: Identity,
    algorithm: SessionState['algorithm'],
    encoding: SessionState['encoding'],
  ): SessionState {
    const { store, uploads, fileDigests, leases, clock } = this.#parts;
    return {
      store,
      uploads,
      fileDigests,
      leases,
      clock,
      // No principal's name can be the empty string.
      owner: principal ?? '',
      permissions,
      algorithm,
      encoding,
      smallFiles: new Compressor(encoding),
      answerBytes: new Budget(MAX_ANSWER_BYTES_IN_FLIGHT),
      blocks: new BlockTracker(),
      ownUploads: new Set(),
      unsynced: new Unsynced(store),
      made: new Set(),
      cancel: (id) =>
        this.#working.get(id)?.abort(new SealiftError('cancelled', 'The request was cancelled.')),
    };
  }

  // Reading goes on only when the request has its place: that is the pressure that the client feels.
  async #begin(message: Message, state: SessionState): Promise<void> {
    const isCancel = message.header['action'] === 'cancel';
    const releaseRequest = await (isCancel ? this.#cancels : this.#requests).take(1);
    const releaseBytes = await this.#contentBytes.take(contentBytes(message));
    this.#connection.inFlight += 1;
    const task = this.#work(message, state).finally(() => {
      releaseRequest();
      releaseBytes();
      blockBuffers.give(message.content);
      this.#tasks.delete(task);
      this.#connection.inFlight -= 1;
      if (this.#isDraining && this.#tasks.size === 0) void this.#connection.finish();
    });
    this.#tasks.add(task);
  }

  // Never rejects: what goes wrong is answered, and a connection that is gone is noticed by its reader.
  async #work({ header, content }: Message, state: SessionState): Promise<void> {
    const id = requestId(header);
    const controller = new AbortController();
    try {
      if (this.#isDraining)
        throw new SealiftError('shutting-down', 'The server is shutting down.', { retryAfterMs: 1_000 });
      const request = parseRequest(header);
      if (id !== undefined) this.#register(id, controller);
      authorize(request, state.permissions, state.made);
      const answer = await this.#handle(request, { header, content, state, signal: controller.signal });
      try {
        this.#logDone(request, answer);
        if (id !== undefined) await this.#send({ id, status: 'ok' }, answer);
        else await this.#tellHeld(answer, request);
      } finally {
        answer.release?.();
      }
    } catch (error) {
      await this.#sendError(id, error, blockFields(header));
    } finally {
      if (id !== undefined && this.#working.get(id) === controller) this.#working.delete(id);
    }
  }

  #logDone({ action, fields }: Request, { fields: answer }: Answer): void {
    if (!LOGGED.has(action) || (action === 'put' && answer?.['upload'] !== undefined)) return;
    const { path, to } = { path: undefined, to: undefined, ...fields };
    this.#logger.info({ action, path: path ?? answer?.['path'], to, size: answer?.['size'] }, 'done');
  }

  #register(id: number, controller: AbortController): void {
    if (this.#working.has(id))
      throw new SealiftError('bad-request', `A request with the id ${id} is being worked on already.`);
    this.#working.set(id, controller);
  }

  async #handle<A extends Action>(
    { action, fields, id }: Request<A>,
    rest: Pick<Exchange<A>, 'header' | 'content' | 'state' | 'signal'>,
  ): Promise<Answer> {
    const carriesFile = action === 'put' || action === 'block';
    const content = carriesFile ? await decodedContent(rest, ACCEPTED) : rest.content;
    const part: Exchange<A>['part'] = (status, answer) => this.#send({ id, status }, answer);
    const handler = HANDLERS[action] as unknown as Handler<A>;
    const exchange: Exchange<A> = { ...rest, action, fields, content, part, progress: () => ({}) };
    // Whatever touches data may take long, on a slow disk if on nothing else. Without an id nobody waits.
    return id === undefined ? handler(exchange) : withProgress(exchange, () => handler(exchange));
  }

  #isTellingHeld = false;
  // A block without id has no answer; what is held is told now and then, and never queued.
  async #tellHeld(answer: Answer, request: Request): Promise<void> {
    if (this.#isTellingHeld || request.action !== 'block') return;
    this.#isTellingHeld = true;
    try {
      await this.#send({ status: 'progress', upload: request.fields.upload }, answer);
    } finally {
      this.#isTellingHeld = false;
    }
  }

  async #send(
    fields: Record<string, unknown>,
    { fields: more, release: _, ...content }: Answer,
  ): Promise<void> {
    await this.#connection.send({ fields: { ...fields, ...more }, ...content });
  }

  async #sendError(
    id: number | undefined,
    error: unknown,
    context: Record<string, unknown> = {},
  ): Promise<void> {
    const known = toSealiftError(error);
    if (known.code === 'connection-lost' || known.code === 'timeout') return;
    if (known.code === 'internal') this.#logger.error({ err: error, cause: known.cause }, 'a request failed');
    else this.#logger.debug({ code: known.code, reason: known.message }, 'a request was refused');
    const answer = id === undefined ? {} : { id };
    try {
      const fields: Record<string, unknown> = { ...context, ...answer, ...errorFields(known) };
      await this.#connection
        .send({ fields: { ...fields, message: clipped(String(fields['message'])) } })
        .catch((sendError: unknown) => {
          if (!isSealiftError(sendError, 'header-too-large')) throw sendError;
          return this.#connection.send({
            fields: { ...answer, ...errorFields(withoutContext(known)) },
          });
        });
    } catch (sendError) {
      this.#logger.debug({ err: sendError }, 'an error could not be told');
    }
  }

  async #endStream(error: SealiftError): Promise<void> {
    this.#abortAll(error);
    if (!endsStream(error.code)) {
      if (!isSealiftError(error, 'connection-lost', 'shutting-down'))
        this.#logger.error({ err: error }, 'a session failed');
      return this.#connection.destroy(error);
    }
    this.#parts.logger.warn(
      { address: this.#peer.address, code: error.code, reason: error.message },
      'the stream was ended',
    );
    await this.#connection.send({ fields: errorFields(error) }).catch(() => undefined);
    await this.#connection.finish();
  }

  async #leave(): Promise<void> {
    this.#abortAll(CONNECTION_ENDED);
    await Promise.all(this.#tasks);
    const state = this.#state;
    if (state === undefined) return;
    await state.uploads.leave(state, state.ownUploads).catch((error: unknown) => {
      this.#logger.error({ err: error }, 'closing the uploads of a connection failed');
    });
    this.#logger.debug({}, 'connection ended');
  }

  #abortAll(reason: SealiftError): void {
    for (const controller of this.#working.values()) controller.abort(reason);
    // Long work for an upload ends when nobody works with it any more.
    for (const upload of this.#state?.ownUploads ?? []) upload.removeUser(this.#state as SessionState);
  }
}

// Compressed, a content weighs what it becomes: but for one that declares nonsense, which is never decoded.
function contentBytes({ header, content }: Message): number {
  const decoded = header['decoded-length'];
  const isCompressed = header['content-encoding'] !== 'binary';
  if (!isCompressed || typeof decoded !== 'number' || !Number.isSafeInteger(decoded)) return content.length;
  return Math.max(content.length, Math.min(decoded, BLOCK_BYTES));
}
