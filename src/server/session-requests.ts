import { SealiftError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { Message } from '../protocol/decoder.ts';
import {
  BLOCK_BYTES,
  HEADER_BYTES_PER_PLACE,
  MAX_CONTENT_BYTES_IN_FLIGHT,
  MAX_REQUESTS,
  MAX_REQUESTS_AT_WORK,
} from '../protocol/limits.ts';
import {
  CONTENT_ENCODINGS,
  parseRequest,
  requestId,
  type Action,
  type Request,
} from '../protocol/requests.ts';
import { blockBuffers } from '../transport/block-buffers.ts';
import { Budget } from '../transport/budget.ts';
import type { Connection } from '../transport/connection.ts';
import { decodedContent } from '../transport/content-encoding.ts';
import type { Answers } from './answers.ts';
import { authorize } from './authorization.ts';
import type { Answer, Exchange, Handler, ProgressTeller, SessionState } from './exchange.ts';
import { HANDLERS } from './handlers/index.ts';
import type { Login } from './login.ts';
import type { OnSent, SessionRecord } from './session-record.ts';
import { blockFields } from './told-errors.ts';

/** What the requests of one connection need of it. */
export interface SessionRequestsParts {
  connection: Connection;
  answers: Answers;
  record: SessionRecord;
  progress: ProgressTeller;
  login: Login;
  logger: Logger;
}

const ACCEPTED = { accepted: CONTENT_ENCODINGS, code: 'bad-request' } as const;

/** What takes no time, and for which nobody should wait behind what does: a `cancel` may end that, and a lease is renewed in time. */
const AT_ONCE: ReadonlySet<unknown> = new Set<Action>(['cancel', 'ping', 'lock', 'unlock']);
/** What belongs to what is under way when a server takes nothing new any more. */
const WHILE_DRAINING: ReadonlySet<unknown> = new Set<Action>(['cancel', 'lock', 'unlock']);

/** What depends on the contents that were sent before. */
const ORDERED: ReadonlySet<Action> = new Set(['block', 'commit', 'sync']);

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

/** The requests of one connection, once its hello is finished: so many are worked on beside one another, and those behind them wait where a `cancel` finds them. */
export class SessionRequests {
  readonly state: SessionState;
  readonly #parts: SessionRequestsParts;
  readonly #places = new Budget(MAX_REQUESTS);
  // Of their own, since a client cancels when all places are taken; bounded all the same, for their answers wait too.
  readonly #cancels = new Budget(MAX_REQUESTS);
  readonly #contentBytes = new Budget(MAX_CONTENT_BYTES_IN_FLIGHT);
  /** By the id of each that is worked on or waits for that. */
  readonly #working = new Map<number, Cancellation>();
  #atWork = 0;
  /** Those whose turn has not come, in the order in which they came. */
  readonly #inLine = new Set<Arrived>();
  /** How many are worked on or wait for that, and who waits until none is. */
  #count = 0;
  #settling: PromiseWithResolvers<void> | undefined;
  #isDraining = false;
  /** Settles when what came compressed so far is decoded; undefined if it is. */
  #decoding: Promise<void> | undefined;

  constructor(parts: SessionRequestsParts, state: Omit<SessionState, 'cancel'>) {
    this.#parts = parts;
    this.state = Object.assign(state, {
      cancel: (id: number) =>
        this.#working.get(id)?.abort(new SealiftError('cancelled', 'The request was cancelled.')),
    });
  }

  /** Begins to work on a request, and answers it. Where it has to wait for room, the promise resolves when the next may be read: that is the pressure that the client feels. */
  begin(message: Message): Promise<void> | undefined {
    const places = message.header['action'] === 'cancel' ? this.#cancels : this.#places;
    const bytes = contentBytes(message);
    const placesTaken = Math.ceil(message.headerBytes / HEADER_BYTES_PER_PLACE);
    const place = places.takeNow(placesTaken) ?? places.take(placesTaken);
    const room = this.#contentBytes.takeNow(bytes) ?? this.#contentBytes.take(bytes);
    if (typeof place === 'function' && typeof room === 'function') {
      this.#start(message, place, room);
      return undefined;
    }
    return Promise.all([place, room]).then(([givePlace, giveRoom]) =>
      this.#start(message, givePlace, giveRoom),
    );
  }

  /** Takes no new requests; ends the connection when those under way are answered. */
  drain(): void {
    this.#isDraining = true;
    this.#finishIfDrained();
  }

  /** Resolves when no request is worked on any more. */
  async settled(): Promise<void> {
    if (this.#count === 0) return;
    this.#settling ??= Promise.withResolvers();
    await this.#settling.promise;
  }

  abortAll(reason: SealiftError): void {
    for (const abort of this.#working.values()) abort.abort(reason);
    // Those without an id.
    for (const { abort } of this.#inLine) abort.abort(reason);
    // Long work for an upload ends when nobody works with it any more.
    for (const upload of this.state.ownUploads) upload.removeUser(this.state);
  }

  #start(message: Message, givePlace: () => void, giveRoom: () => void): void {
    const { connection } = this.#parts;
    connection.inFlight += 1;
    this.#count += 1;
    const abort = new Cancellation();
    const refusal = this.#enter(message.header, abort);
    const arrived: Arrived = { message, abort, refusal, hasTurn: false, givePlace, giveRoom };
    if (refusal !== undefined || AT_ONCE.has(message.header['action'])) this.#begin(arrived);
    else if (this.#atWork < MAX_REQUESTS_AT_WORK) this.#takeTurn(arrived);
    else this.#waitInLine(arrived);
  }

  /** Takes note of a request under its id, and tells why it is not worked on. */
  #enter(header: Message['header'], abort: Cancellation): SealiftError | undefined {
    if (this.#isDraining && !WHILE_DRAINING.has(header['action']))
      return new SealiftError('shutting-down', 'The server is shutting down.', { retryAfterMs: 1_000 });
    const id = requestId(header);
    if (id === undefined) return undefined;
    if (this.#working.has(id))
      return new SealiftError('bad-request', `A request with the id ${id} is being worked on already.`);
    this.#working.set(id, abort);
    return undefined;
  }

  #takeTurn(arrived: Arrived): void {
    this.#atWork += 1;
    this.#begin(Object.assign(arrived, { hasTurn: true }));
  }

  #waitInLine(arrived: Arrived): void {
    this.#inLine.add(arrived);
    arrived.abort.onAbort = () => {
      if (this.#inLine.delete(arrived)) this.#begin(arrived);
    };
  }

  #begin(arrived: Arrived): void {
    // A logger of the embedding program may throw where nobody can be told any more.
    this.#work(arrived).catch(() => undefined);
  }

  #end({ message, hasTurn, givePlace, giveRoom }: Arrived): void {
    const { connection } = this.#parts;
    this.#count -= 1;
    givePlace();
    giveRoom();
    blockBuffers.give(message.content);
    message.release?.();
    connection.inFlight -= 1;
    if (hasTurn) this.#nextTurn();
    if (this.#count > 0) return;
    this.#settling?.resolve();
    this.#settling = undefined;
    this.#finishIfDrained();
  }

  // At once, so that nobody who comes now overtakes: a commit counts on the blocks before it.
  #nextTurn(): void {
    this.#atWork -= 1;
    for (const next of this.#inLine) {
      this.#inLine.delete(next);
      return this.#takeTurn(next);
    }
  }

  #finishIfDrained(): void {
    if (this.#isDraining && this.#count === 0) void this.#parts.connection.finish();
  }

  // What goes wrong is answered, and a connection that is gone is noticed by its reader.
  async #work(arrived: Arrived): Promise<void> {
    const { abort, message, refusal } = arrived;
    const { header, content } = message;
    const { answers, record } = this.#parts;
    const { state } = this;
    const id = requestId(header);
    try {
      if (refusal !== undefined) throw refusal;
      abort.throwIfAborted();
      const request = parseRequest(header);
      const uploadPath = uploadPathOf(request, state);
      const known = { path: uploadPath, receivedBytes: content.length };
      const answer = await record.request(request, known, (onSent) => {
        authorize(request, state.grant, { made: state.made, uploadPath });
        return this.#handle(request, { header, content }, abort, onSent);
      });
      try {
        this.#logDone(request, answer);
        if (id !== undefined) await answers.send({ id, status: 'ok' }, answer);
        else if (request.action === 'block') await answers.tellHeld(request.fields.upload, answer);
      } finally {
        answer.release?.();
      }
    } catch (error) {
      record.error(error);
      await answers.sendError(id, error, this.#parts.logger, blockFields(header));
    } finally {
      if (id !== undefined && this.#working.get(id) === abort) this.#working.delete(id);
      this.#end(arrived);
    }
  }

  #logDone({ action, fields }: Request, { fields: answer }: Answer): void {
    if (!LOGGED.has(action) || (action === 'put' && answer?.['upload'] !== undefined)) return;
    const { path, to } = { path: undefined, to: undefined, ...fields };
    this.#parts.logger.info({ action, path: path ?? answer?.['path'], to, size: answer?.['size'] }, 'done');
  }

  async #handle<A extends Action>(
    { action, fields, id }: Request<A>,
    rest: Pick<Exchange<A>, 'header' | 'content'>,
    abort: Cancellation,
    onSent: OnSent,
  ): Promise<Answer> {
    const { answers, progress } = this.#parts;
    const { header } = rest;
    const isEncoded = (action === 'put' || action === 'block') && header['content-encoding'] !== 'binary';
    const before = this.#decoding;
    const content = isEncoded ? await this.#decoded(rest) : rest.content;
    // They come behind what was sent before, as they do where nothing has to be decoded.
    if (before !== undefined && ORDERED.has(action)) await before;
    const part: Exchange<A>['part'] = async (status, answer) => {
      onSent(answer);
      await this.#paceSent(answer, abort);
      await answers.send({ id, status }, answer);
    };
    const exchange: Exchange<A> = {
      action,
      fields,
      header,
      content,
      part,
      state: this.state,
      // Read where it is needed, and not when the request begins.
      get signal() {
        return abort.signal;
      },
      progress: () => ({}),
    };
    const handler = HANDLERS[action] as unknown as Handler<A>;
    // Whatever touches data may take long, on a slow disk if on nothing else. Without an id nobody waits.
    const endProgress =
      id === undefined ? undefined : progress.begin(() => part('progress', { fields: exchange.progress() }));
    try {
      const answer = await handler(exchange);
      const pacing = this.#paceSent(answer, abort);
      if (pacing !== undefined) await releasingIfFailed(answer, pacing);
      return answer;
    } finally {
      endProgress?.();
    }
  }

  #decoded(message: Pick<Message, 'header' | 'content'>): Promise<Buffer> {
    const content = decodedContent(message, ACCEPTED);
    const decoding = Promise.allSettled([this.#decoding, content]).then(() => {
      if (this.#decoding === decoding) this.#decoding = undefined;
    });
    this.#decoding = decoding;
    return content;
  }

  #paceSent({ content }: Answer, abort: Cancellation): Promise<void> | undefined {
    return content && this.#parts.login.pace('sent', content.length, abort);
  }
}

/** A request that has come, until it is answered. */
interface Arrived {
  readonly message: Message;
  readonly abort: Cancellation;
  /** Why it is not worked on. */
  readonly refusal: SealiftError | undefined;
  hasTurn: boolean;
  readonly givePlace: () => void;
  readonly giveRoom: () => void;
}

/** What ends one request. Its signal is made when it is asked for: most small files never need one. */
class Cancellation {
  /** Called when the request is ended while its turn has not come. */
  onAbort: (() => void) | undefined;
  #controller: AbortController | undefined;
  #reason: SealiftError | undefined;

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  abort(reason: SealiftError): void {
    this.#reason ??= reason;
    this.#controller?.abort(reason);
    this.onAbort?.();
  }

  throwIfAborted(): void {
    if (this.#reason !== undefined) throw this.#reason;
  }
}

async function releasingIfFailed({ release }: Answer, pacing: Promise<void>): Promise<void> {
  try {
    await pacing;
  } catch (error) {
    release?.();
    throw error;
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
