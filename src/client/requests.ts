import { abortedError, nextTurn, type Clock } from '../clock.ts';
import { SealiftError, toSealiftError } from '../errors.ts';
import type { Message } from '../protocol/decoder.ts';
import type { OutgoingMessage } from '../protocol/encoder.ts';
import { writeFields } from '../protocol/fields.ts';
import { MAX_CONTENT_BYTES, MAX_REQUESTS } from '../protocol/limits.ts';
import { requestHeader, type Action, type RequestFields } from '../protocol/requests.ts';
import { errorFromFields } from '../protocol/wire-errors.ts';
import { Budget } from '../transport/budget.ts';
import type { Connection } from '../transport/connection.ts';
import { lostConnection } from '../transport/lost-connection.ts';

/** Bytes of contents that wait for the kernel, at most: what has none, as a `sync`, comes behind no more than that and what the kernel took. Two blocks: while the kernel takes one, the next is there. */
const MAX_UNSENT_BYTES = 2 * MAX_CONTENT_BYTES;
/** Answers that are given out in one turn of the event loop, at most: what they set off is sent before the next ones set off more, so that the server has work meanwhile. */
const ANSWERS_PER_TURN = 16;
/** Small requests under way for each millisecond of the round trip: twice as many as a fast server answers in it. */
const REQUESTS_PER_MS = 16;
/** Round trips shorter than this, in milliseconds, may be made of waiting for a busy processor, not of distance. */
const LOCAL_RTT_MS = 5;
/** Requests at once that keep two processors busy where the way is short. More only take memory there. */
export const USUAL_REQUESTS = 60;

export interface RequestOptions {
  content?: Buffer | undefined;
  contentType?: string | undefined;
  contentEncoding?: string | undefined;
  /** How long a compressed content is decoded. */
  decodedLength?: number | undefined;
  /** Takes the parts before the final answer, in order. While it has not resolved and the request is not over, nothing more is read on the whole connection. */
  onPart?: ((part: Message) => void | Promise<void>) | undefined;
  /** Called when the server says that it has the content whole: if the connection is cut from then on, it need not come again. Some servers never say so. */
  onReceived?: (() => void) | undefined;
  /** Called when the kernel has taken the request: from then on `content` may change. */
  onSent?: (() => void) | undefined;
  signal?: AbortSignal | undefined;
}

interface Pending {
  sentAtMs: number;
  settle: PromiseWithResolvers<Message>;
  onPart: RequestOptions['onPart'];
  onReceived: RequestOptions['onReceived'];
  /** Lets the reader go on, whatever the caller does with the part that it was given. */
  leavePart?: () => void;
}

/** Requests and their answers on one connection, any number at once. */
export class Requests {
  readonly #connection: Connection;
  readonly #clock: Clock;
  /** The shortest time in which an answer came, in milliseconds: none comes faster than the way is long. */
  #rttMs = Infinity;
  readonly #pending = new Map<number, Pending>();
  // One place is kept free, for `cancel`.
  #maxAtOnce = MAX_REQUESTS - 1;
  #places = new Budget(this.#maxAtOnce);
  readonly #unsent = new Budget(MAX_UNSENT_BYTES);
  readonly #cancellers = new Cancellers();
  #nextId = 1;
  #failure: SealiftError | undefined;
  /** Whose part is being taken. */
  #taking: Pending | undefined;

  constructor(connection: Connection, clock: Clock) {
    this.#connection = connection;
    this.#clock = clock;
    void this.#readAnswers();
    void connection.closed.then(() => this.#onClosed());
  }

  /** Why no request can succeed any more; undefined while the connection lives. */
  get failure(): SealiftError | undefined {
    return this.#failure;
  }

  /** How many small requests should be made at once: so many as are `wanted`, or as keep the way and the server busy, whatever came over it before; but for one place, for whatever else there is to say. */
  atOnce(wanted = requestsFor(this.#rttMs)): number {
    return Math.max(1, Math.min(wanted, this.#maxAtOnce - 1));
  }

  /** As many requests at once as the server allows, if it is fewer than we would send. */
  set maxRequests(count: number) {
    this.#maxAtOnce = Math.max(1, Math.min(count, MAX_REQUESTS) - 1);
    this.#places = new Budget(this.#maxAtOnce);
  }

  /** Sends a request and resolves with its final `ok`; the content may then be used for something else. Rejects with the server's error, or with what ended the connection. */
  async send<A extends Action>(
    action: A,
    fields: RequestFields<A>,
    options: RequestOptions = {},
  ): Promise<Message> {
    const { content, onPart, onReceived, onSent, signal } = options;
    if (content !== undefined) assertBytes(content);
    const release = this.#places.takeNow(1) ?? (await this.#places.take(1, signal));
    const id = this.#nextId++;
    const settle = Promise.withResolvers<Message>();
    const pending: Pending = { sentAtMs: this.#clock.monotonicMs(), settle, onPart, onReceived };
    let takeBack: (() => void) | undefined;
    try {
      if (this.#failure) throw this.#failure;
      if (signal?.aborted === true) throw abortedError(signal);
      this.#pending.set(id, pending);
      this.#connection.inFlight = this.#pending.size;
      takeBack = this.#cancellers.add(signal, (error) => {
        settle.reject(error);
        this.#cancel(id);
      });
      // An error that the server sends while we are still sending is the one to tell.
      const sending = this.#transmit(messageOf(requestHeader(action, id, fields), options), signal);
      sending.then(onSent, (error: unknown) => this.#onSendFailed(settle, error));
      const answer = await settle.promise;
      // A server may answer before it has all: the content is the caller's again only when none of it waits here.
      await sending;
      return answer;
    } finally {
      takeBack?.();
      this.#pending.delete(id);
      pending.leavePart?.();
      this.#connection.inFlight = this.#pending.size;
      release();
    }
  }

  /** Ends the connection; all that is under way, and what comes later, fails with `reason`. May be called again. */
  close(reason: SealiftError): Promise<void> {
    const hasAll = this.#pending.size === 0;
    this.#end(reason);
    return this.#connection.finish({ hasAll });
  }

  /** Resolves when the kernel has taken all of it. A content waits for those before it, and what has none for nobody. */
  async #transmit(message: OutgoingMessage, signal: AbortSignal | undefined): Promise<void> {
    const bytes = message.content?.length ?? 0;
    if (bytes === 0) return this.#connection.send(message);
    const giveRoom = this.#unsent.takeNow(bytes) ?? (await this.#unsent.take(bytes, signal));
    try {
      if (this.#failure) throw this.#failure;
      await this.#connection.send(message);
    } finally {
      giveRoom();
    }
  }

  // The reader may still find the server's last words: only if it finds none, the failed sending is the cause.
  #onSendFailed(settle: PromiseWithResolvers<Message>, error: unknown): void {
    const known = toSealiftError(error);
    if (known.code !== 'connection-lost') settle.reject(known);
  }

  #cancel(target: number): void {
    const id = this.#nextId++;
    // Whether it comes in time is of no interest: the answer to it is passed over.
    this.#connection.send({ fields: requestHeader('cancel', id, { target }) }).catch(() => undefined);
  }

  async #readAnswers(): Promise<void> {
    try {
      for (let count = 1; ; count += 1) {
        if (count % ANSWERS_PER_TURN === 0) await nextTurn();
        const message = this.#connection.receiveNow() ?? (await this.#connection.receive());
        if (message === undefined)
          throw new SealiftError('connection-lost', 'The server ended the connection.');
        const delivering = this.#dispatch(message);
        if (delivering !== undefined) await delivering;
      }
    } catch (error) {
      this.#fail(toSealiftError(error));
    }
  }

  /** Gives an answer to who waits for it; a part may have to be taken before the next message is read. */
  #dispatch(message: Message): Promise<void> | undefined {
    const { id, status } = message.header;
    if (id === undefined && status === 'error') throw streamError(errorFromFields(message.header));
    const pending = typeof id === 'number' ? this.#pending.get(id) : undefined;
    // An answer to what was cancelled, or a `progress` that nobody asked for.
    if (typeof id !== 'number' || pending === undefined) return undefined;
    if (status === 'ok' || status === 'error')
      this.#rttMs = Math.min(this.#rttMs, this.#clock.monotonicMs() - pending.sentAtMs);
    if (status === 'ok') pending.settle.resolve(message);
    else if (status === 'error') pending.settle.reject(errorFromFields(message.header));
    else if (status !== 'progress') return this.#deliverPart(id, pending, message);
    else if (message.header['received'] === true) pending.onReceived?.();
    return undefined;
  }

  async #deliverPart(id: number, pending: Pending, part: Message): Promise<void> {
    // Whoever was aborted may never take the part, and all other requests wait for what comes behind it.
    const left = Promise.withResolvers<void>();
    pending.leavePart = left.resolve;
    this.#taking = pending;
    try {
      await Promise.race([pending.onPart?.(part), left.promise]);
    } catch (error) {
      pending.settle.reject(error);
      // The rest, which may be gigabytes, would only be thrown away.
      this.#cancel(id);
    } finally {
      this.#taking = undefined;
    }
  }

  // While a part is taken nobody reads, and so nobody would notice. What came behind it may be all that its own request
  // still waits for.
  #onClosed(): void {
    if (this.#taking !== undefined) this.#end(lostConnection(), this.#taking);
  }

  #fail(error: SealiftError): void {
    this.#end(error);
    this.#connection.destroy(error);
  }

  /** No request succeeds any more, but for one that may have its answer. */
  #end(error: SealiftError, spared?: Pending): void {
    this.#failure ??= error;
    for (const pending of this.#pending.values())
      if (pending !== spared) pending.settle.reject(this.#failure);
  }
}

function requestsFor(rttMs: number): number {
  return rttMs < LOCAL_RTT_MS ? USUAL_REQUESTS : Math.ceil(REQUESTS_PER_MS * rttMs);
}

function messageOf(
  header: ReturnType<typeof requestHeader>,
  { content, contentType, contentEncoding, decodedLength }: RequestOptions,
): OutgoingMessage {
  const message: OutgoingMessage = {
    fields: decodedLength === undefined ? header : { ...header, ...writeFields({ decodedLength }) },
  };
  if (content !== undefined) message.content = content;
  if (contentType !== undefined) message.contentType = contentType;
  if (contentEncoding !== undefined) message.contentEncoding = contentEncoding;
  return message;
}

/** Throws `invalid-argument` for what only plain JavaScript can give: a text has another length than its bytes, so that the server would wait for the rest. */
export function assertBytes(content: Buffer): void {
  if (!((content as unknown) instanceof Uint8Array))
    throw new SealiftError('invalid-argument', 'A content has to be bytes, as Buffer.from() makes them.');
}

/** What cancels requests, by signal: a signal to which each of many requests listened would take long to tell them apart. */
class Cancellers {
  readonly #bySignal = new Map<AbortSignal, Set<(error: SealiftError) => void>>();

  /** `cancel` is called when `signal` fires; the function that is returned takes that back. */
  add(signal: AbortSignal | undefined, cancel: (error: SealiftError) => void): (() => void) | undefined {
    if (signal === undefined) return undefined;
    const known = this.#bySignal.get(signal);
    if (known !== undefined) {
      known.add(cancel);
      return () => this.#remove(signal, cancel);
    }
    this.#bySignal.set(signal, new Set([cancel]));
    signal.addEventListener('abort', this.#onAbort);
    return () => this.#remove(signal, cancel);
  }

  #remove(signal: AbortSignal, cancel: (error: SealiftError) => void): void {
    const cancels = this.#bySignal.get(signal);
    cancels?.delete(cancel);
    if (cancels?.size !== 0) return;
    this.#bySignal.delete(signal);
    signal.removeEventListener('abort', this.#onAbort);
  }

  readonly #onAbort = ({ target }: Event): void => {
    const signal = target as AbortSignal;
    for (const cancel of [...(this.#bySignal.get(signal) ?? [])]) cancel(abortedError(signal));
  };
}

// A server that found us too slow ends this stream only: on another one the same may succeed.
function streamError(error: SealiftError): SealiftError {
  return error.code === 'timeout'
    ? new SealiftError('stalled', `The server ended the connection: ${error.message}`, { cause: error })
    : error;
}
