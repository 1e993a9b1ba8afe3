import { nextTurn } from '../clock.ts';
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
import { endsStream } from '../protocol/wire-errors.ts';
import { Compressor } from '../transport/compressor.ts';
import type { Connection } from '../transport/connection.ts';
import { chooseEncoding, decodedContent } from '../transport/content-encoding.ts';
import { networkOf, type Peer } from '../transport/peer.ts';
import { Answers } from './answers.ts';
import type { Identity } from './authentication.ts';
import { authorize } from './authorization.ts';
import { BlockTracker } from './block-tracker.ts';
import { Cancellation } from './cancellation.ts';
import { blockBuffers } from '../transport/block-buffers.ts';
import { Budget } from '../transport/budget.ts';
import type { ConnectionCounts } from './connection-counts.ts';
import { ProgressTeller, type Answer, type Exchange, type Handler, type SessionState } from './exchange.ts';
import { HANDLERS } from './handlers/index.ts';
import { checkVersion, chooseDigest, helloAnswer } from './hello.ts';
import { Login, type LoginParts } from './login.ts';
import type { PlainSinks } from './plain-sinks.ts';
import { SessionRecord, type OnSent, type SessionObservers } from './session-record.ts';
import { SmallRequests } from './small-requests.ts';
import { blockFields } from './told-errors.ts';
import { answerTutorial } from './tutorial.ts';
import { Unsynced } from './unsynced.ts';

/** What all sessions of a server share. */
export interface SessionParts extends LoginParts, SessionObservers {
  logger: Logger;
  counts: ConnectionCounts;
  plainSinks: PlainSinks;
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
  readonly #answers: Answers;
  readonly #peer: Peer;
  readonly #requests = new Budget(MAX_REQUESTS);
  // Of their own, since a client cancels when all places are taken; bounded all the same, for their answers wait too.
  readonly #cancels = new Budget(MAX_REQUESTS);
  readonly #contentBytes = new Budget(MAX_CONTENT_BYTES_IN_FLIGHT);
  readonly #working = new Map<number, Cancellation>();
  readonly #tasks = new Set<Promise<void>>();
  /** Fires when the connection is closed. */
  readonly #gone = new AbortController();
  readonly #record: SessionRecord;
  readonly #progress: ProgressTeller;
  #state: SessionState | undefined;
  #smallRequests: SmallRequests | undefined;
  #login: Login | undefined;
  #isDraining = false;
  #logger: Logger;

  /** `number` tells the connections of a server apart. */
  constructor(parts: SessionParts, connection: Connection, peer: Peer, number: number) {
    this.#parts = parts;
    this.#connection = connection;
    this.#answers = new Answers(connection);
    this.#peer = peer;
    this.#logger = parts.logger;
    this.#progress = new ProgressTeller(parts.clock);
    this.#record = new SessionRecord(parts, { connection: number, address: peer.address });
  }

  /** Serves until the connection ends; never rejects. Leaves nothing behind but uploads that can be resumed. */
  async run(): Promise<void> {
    const { helloTimeoutMs = HELLO_TIMEOUT_MS } = this.#parts;
    this.#connection.setDeadline(helloTimeoutMs, 'The hello');
    // Also where the client had ended its side before, and what it asked for was still being worked on.
    void this.#connection.closed.then(() => {
      this.#gone.abort(CONNECTION_ENDED);
      this.#abortAll(CONNECTION_ENDED);
    });
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

  /** Judges the client by what is trusted now, as if it came just now; who would not be let in any more is cut off. */
  judgeAgain(): void {
    const login = this.#login;
    if (login === undefined) return;
    try {
      login.judgeAgain();
      login.whenItEnds(() => this.judgeAgain());
      if (this.#state !== undefined) this.#state.grant = login.identity.grant;
    } catch (error) {
      const { message } = toSealiftError(error);
      this.#logger.warn({ reason: message }, 'login ended');
      this.#record.cut(message);
      this.destroy(new SealiftError('unauthenticated', message, { cause: error }));
    }
  }

  async #serve(): Promise<void> {
    for (;;) {
      const message = await this.#connection.receive();
      if (message === undefined) return;
      if (this.#state === undefined) await this.#beforeHello(message);
      else {
        await this.#paceReceived(message);
        await this.#begin(message, this.#state);
      }
    }
  }

  /** Waits until the principal may send more; that the connection is gone meanwhile shows when it is read from. */
  async #paceReceived({ header, content }: Message): Promise<void> {
    const waiting = this.#login?.pace('received', content.length, this.#gone.signal);
    if (waiting === undefined) return;
    const id = requestId(header);
    this.#connection.inFlight += 1;
    const tell = () => this.#answers.send({ id, status: 'progress' }, {});
    const paced = id === undefined ? waiting : this.#progress.during(tell, () => waiting);
    await paced.catch(() => undefined);
    this.#connection.inFlight -= 1;
  }

  async #beforeHello(message: Message): Promise<void> {
    const { header } = message;
    const id = requestId(header);
    try {
      if (header['action'] === undefined && this.#parts.speaksTutorial) {
        return await this.#answers.send({}, await answerTutorial(message, this.#parts.roots.main.store));
      }
      if (header['action'] !== 'hello')
        throw new SealiftError('unauthenticated', 'The first request has to be a hello.');
      const request = parseRequest(header) as Request<'hello'>;
      const { state, answer } = await this.#record.hello(request, () => this.#hello(request));
      this.#connection.clearDeadline();
      this.#connection.maxContentBytes = MAX_CONTENT_BYTES;
      this.#state = state;
      this.#smallRequests = this.#smallRequestsFor(state);
      await this.#answers.send({ id, status: 'ok' }, { fields: answer });
    } catch (error) {
      await this.#tellError(id, error);
    }
  }

  async #hello({
    fields,
  }: Request<'hello'>): Promise<
    Pick<Identity, 'principal'> & { state: SessionState; answer: Record<string, unknown> }
  > {
    const { agent, clock, idleTimeoutMs } = this.#parts;
    checkVersion(fields);
    const login = await Login.begin(this.#parts, this.#peer, fields);
    this.#login = login;
    // What is trusted may have changed while its root was being opened; from here on it is told.
    this.judgeAgain();
    this.#countAuthenticated();
    const { identity, joined, root } = login;
    const { principal } = identity;
    this.#logger = withFields(this.#parts.logger, { address: this.#peer.address, principal });
    this.#logger.info({ agent: fields.agent, tls: this.#peer.tlsVersion }, 'login');
    const digest = chooseDigest(fields.digest);
    const { features } = root.store;
    return {
      principal,
      state: this.#stateFor(login, digest, chooseEncoding(fields.encodings ?? [])),
      answer: helloAnswer({ agent, identity, joined, digest, clock, features, idleTimeoutMs }),
    };
  }

  #countAuthenticated(): void {
    const { counts } = this.#parts;
    const network = networkOf(this.#peer.address);
    counts.enterAuthenticated(network);
    void this.#connection.closed.then(() => counts.leaveAuthenticated(network));
  }

  #stateFor(
    { identity, root }: Login,
    algorithm: SessionState['algorithm'],
    encoding: SessionState['encoding'],
  ): SessionState {
    return {
      ...root,
      clock: this.#parts.clock,
      plainSinks: this.#parts.plainSinks,
      // No principal's name can be the empty string.
      owner: identity.principal ?? '',
      grant: identity.grant,
      algorithm,
      encoding,
      smallFiles: new Compressor(encoding),
      answerBytes: new Budget(MAX_ANSWER_BYTES_IN_FLIGHT),
      blocks: new BlockTracker(),
      ownUploads: new Set(),
      unsynced: new Unsynced(root.store),
      made: new Map(),
      cancel: (id) =>
        this.#working.get(id)?.abort(new SealiftError('cancelled', 'The request was cancelled.')),
    };
  }

  #smallRequestsFor(state: SessionState): SmallRequests {
    return new SmallRequests({
      state,
      answers: this.#answers,
      record: this.#record,
      progress: this.#progress,
      onDone: (request, answer) => this.#logDone(request, answer),
      onWorking: (working) => this.#track(working),
      alone: (id, message) => {
        this.#working.delete(id);
        return this.#work(message, state);
      },
    });
  }

  // Reading goes on only when the request has its place: that is the pressure that the client feels.
  async #begin(message: Message, state: SessionState): Promise<void> {
    const requests = message.header['action'] === 'cancel' ? this.#cancels : this.#requests;
    const bytes = contentBytes(message);
    const releaseRequest = requests.takeNow(1) ?? (await requests.take(1));
    const releaseBytes = this.#contentBytes.takeNow(bytes) ?? (await this.#contentBytes.take(bytes));
    this.#connection.inFlight += 1;
    const end = () => {
      releaseRequest();
      releaseBytes();
      blockBuffers.give(message.content);
      this.#connection.inFlight -= 1;
    };
    if (!this.#takeSmall(message, end)) this.#track(this.#work(message, state).finally(end));
  }

  /** Lets a request for a small file go with others, and calls `end` when it is answered; false if it has to go by itself. */
  #takeSmall(message: Message, end: () => void): boolean {
    const id = requestId(message.header);
    if (id === undefined || this.#working.has(id) || this.#isDraining) return false;
    const isTaken = this.#smallRequests?.take(id, message, () => {
      this.#working.delete(id);
      end();
    });
    // It is over too soon to be worth cancelling.
    if (isTaken === true) this.#working.set(id, new Cancellation());
    return isTaken === true;
  }

  #track(task: Promise<void>): void {
    const tracked = task.finally(() => {
      this.#tasks.delete(tracked);
      if (this.#isDraining && this.#tasks.size === 0) void this.#connection.finish();
    });
    this.#tasks.add(tracked);
  }

  // Never rejects: what goes wrong is answered, and a connection that is gone is noticed by its reader.
  async #work({ header, content }: Message, state: SessionState): Promise<void> {
    const id = requestId(header);
    const cancellation = new Cancellation();
    try {
      if (this.#isDraining)
        throw new SealiftError('shutting-down', 'The server is shutting down.', { retryAfterMs: 1_000 });
      const request = parseRequest(header);
      if (id !== undefined) this.#register(id, cancellation);
      const uploadPath = uploadPathOf(request, state);
      const known = { path: uploadPath, receivedBytes: content.length };
      const answer = await this.#record.request(request, known, async (onSent) => {
        authorize(request, state.grant, { made: state.made, uploadPath });
        return this.#handle(request, { header, content, state, cancellation }, onSent);
      });
      try {
        this.#logDone(request, answer);
        if (id !== undefined) await this.#answers.send({ id, status: 'ok' }, answer);
        else if (request.action === 'block') await this.#answers.tellHeld(request.fields.upload, answer);
      } finally {
        answer.release?.();
      }
    } catch (error) {
      await this.#tellError(id, error, blockFields(header));
    } finally {
      if (id !== undefined && this.#working.get(id) === cancellation) this.#working.delete(id);
    }
  }

  #logDone({ action, fields }: Request, { fields: answer }: Answer): void {
    if (!LOGGED.has(action) || (action === 'put' && answer?.['upload'] !== undefined)) return;
    const { path, to } = { path: undefined, to: undefined, ...fields };
    this.#logger.info({ action, path: path ?? answer?.['path'], to, size: answer?.['size'] }, 'done');
  }

  #register(id: number, cancellation: Cancellation): void {
    if (this.#working.has(id))
      throw new SealiftError('bad-request', `A request with the id ${id} is being worked on already.`);
    this.#working.set(id, cancellation);
  }

  async #handle<A extends Action>(
    { action, fields, id }: Request<A>,
    rest: Pick<Exchange<A>, 'header' | 'content' | 'state'> & { cancellation: Cancellation },
    onSent: OnSent,
  ): Promise<Answer> {
    const { header, state, cancellation } = rest;
    const carriesFile = action === 'put' || action === 'block';
    const content = carriesFile ? await decodedContent(rest, ACCEPTED) : rest.content;
    const part: Exchange<A>['part'] = async (status, answer) => {
      onSent(answer);
      await this.#paceSent(answer, cancellation);
      await this.#answers.send({ id, status }, answer);
    };
    const exchange: Exchange<A> = {
      ...{ action, fields, header, content, state, part },
      progress: () => ({}),
      get signal() {
        return cancellation.signal;
      },
    };
    const handler = HANDLERS[action] as unknown as Handler<A>;
    // Without an id nobody waits.
    if (id === undefined) return handler(exchange);
    // Whatever touches data may take long, on a slow disk if on nothing else.
    const tell = () => part('progress', { fields: exchange.progress() });
    return this.#progress.during(tell, async () => {
      const answer = await handler(exchange);
      await this.#paceSent(answer, cancellation)?.catch((error: unknown) => {
        answer.release?.();
        throw error;
      });
      return answer;
    });
  }

  #paceSent({ content }: Answer, cancellation: Cancellation): Promise<void> | undefined {
    return content && this.#login?.pace('sent', content.length, cancellation.signal);
  }

  async #tellError(id: number | undefined, error: unknown, context?: Record<string, unknown>): Promise<void> {
    this.#record.error(error);
    await this.#answers.sendError(id, error, this.#logger, context);
  }

  async #endStream(error: SealiftError): Promise<void> {
    this.#record.error(error);
    if (!endsStream(error.code)) {
      this.#abortAll(error);
      if (!isSealiftError(error, 'connection-lost', 'shutting-down'))
        this.#logger.error({ err: error }, 'a session failed');
      return this.#connection.destroy(error);
    }
    this.#parts.logger.warn(
      { address: this.#peer.address, code: error.code, reason: error.message },
      'the stream was ended',
    );
    // What came in one piece with the fault and takes no time is answered, as if it had come before.
    await nextTurn();
    const told = this.#answers.end(error);
    this.#abortAll(error);
    // Who was reset looks to Node like who has ended its side, and nothing that is sent there is ever taken.
    if (!this.#connection.hasPeerEnded) await told;
    await this.#connection.finish();
  }

  async #leave(): Promise<void> {
    this.#abortAll(CONNECTION_ENDED);
    await Promise.all(this.#tasks);
    const state = this.#state;
    if (state !== undefined) await this.#leaveUploads(state);
    this.#progress.stop();
    this.#login?.leave();
    this.#login = undefined;
  }

  async #leaveUploads(state: SessionState): Promise<void> {
    await state.uploads.leave(state, state.ownUploads).catch((error: unknown) => {
      this.#logger.error({ err: error }, 'closing the uploads of a connection failed');
    });
    this.#logger.debug({}, 'connection ended');
  }

  #abortAll(reason: SealiftError): void {
    for (const cancellation of this.#working.values()) cancellation.abort(reason);
    // Long work for an upload ends when nobody works with it any more.
    for (const upload of this.#state?.ownUploads ?? []) upload.removeUser(this.#state as SessionState);
  }
}

function uploadPathOf({ fields }: Request, { uploads, owner }: SessionState): string | undefined {
  return 'upload' in fields ? uploads.peek(owner, fields.upload)?.request.path : undefined;
}

// Compressed, a content weighs what it becomes: but for one that declares nonsense, which is never decoded.
function contentBytes({ header, content }: Message): number {
  const decoded = header['decoded-length'];
  const isCompressed = header['content-encoding'] !== 'binary';
  if (!isCompressed || typeof decoded !== 'number' || !Number.isSafeInteger(decoded)) return content.length;
  return Math.max(content.length, Math.min(decoded, BLOCK_BYTES));
}
