import type { Socket } from 'node:net';

import type { Clock } from '../clock.ts';
import { SealiftError, type ErrorCode } from '../errors.ts';
import { MessageDecoder, type Message } from '../protocol/decoder.ts';
import { encodeHead, type OutgoingMessage } from '../protocol/encoder.ts';
import { DISCARD_MS, HEADER_TIMEOUT_MS, MIN_CONTENT_RATE, STALL_TIMEOUT_MS } from '../protocol/limits.ts';
import { blockBuffers } from './block-buffers.ts';
import { Deadlines } from './deadlines.ts';
import { ConnectionIntake, type Intake } from './intake.ts';
import { lostConnection } from './lost-connection.ts';
import { Outbox } from './outbox.ts';
import type { ReadBuffer } from './read-buffer.ts';
import { ReadsPerTurn } from './reads-per-turn.ts';

export interface ConnectionOptions {
  clock: Clock;
  /** The code of the error when the peer is too slow: `timeout` where it is told to the peer, `stalled` where not. */
  timeoutCode: Extract<ErrorCode, 'timeout' | 'stalled'>;
  /** The longest content taken at first, in bytes. */
  maxContentBytes: number;
  /** A header, from its first byte, in milliseconds. Default 10 s. */
  headerTimeoutMs?: number | undefined;
  /** Silence inside a content, and a peer that accepts nothing, in milliseconds. Default 60 s. */
  stallTimeoutMs?: number | undefined;
  /** Nothing to read and nothing in flight, in milliseconds. Default: no limit. */
  idleTimeoutMs?: number | undefined;
  /** Something in flight, and no byte moves either way, in milliseconds. Default: no limit. */
  answerTimeoutMs?: number | undefined;
  /** What the socket reads into, if it was made so. */
  reads?: ReadBuffer | undefined;
  /** That of all connections together. Default: everything comes as it is sent. */
  intake?: Intake | undefined;
}

/**
 * A socket that carries messages. Reading is paused while received messages wait, sending resolves when the
 * kernel took the bytes: both sides of the pressure can be felt. The first failure is kept and told to everybody
 * who waits.
 */
export class Connection implements AsyncDisposable {
  /** Resolves when the socket is closed, for whatever reason; never rejects. */
  readonly closed: Promise<void>;

  readonly #socket: Socket;
  readonly #options: Required<{
    [K in keyof Omit<ConnectionOptions, 'reads' | 'intake'>]: NonNullable<ConnectionOptions[K]>;
  }>;
  readonly #decoder: MessageDecoder;
  readonly #deadlines: Deadlines;
  readonly #outbox: Outbox;
  readonly #intake: ConnectionIntake;
  readonly #readsPerTurn = new ReadsPerTurn(() => this.#resumeReading());
  readonly #received: Message[] = [];
  #waiting: PromiseWithResolvers<Message | undefined> | undefined;
  #failure: SealiftError | undefined;
  #hasEnded = false;
  #isDiscarding = false;
  #contentBytesInWindow = 0;
  #inFlight = 0;
  #receivedBytes = 0;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = {
      ...options,
      headerTimeoutMs: options.headerTimeoutMs ?? HEADER_TIMEOUT_MS,
      stallTimeoutMs: options.stallTimeoutMs ?? STALL_TIMEOUT_MS,
      idleTimeoutMs: options.idleTimeoutMs ?? Infinity,
      answerTimeoutMs: options.answerTimeoutMs ?? Infinity,
    };
    this.#decoder = new MessageDecoder({
      maxContentBytes: options.maxContentBytes,
      allocate: (length) => blockBuffers.take(length),
      chunksAreLent: options.reads !== undefined,
    });
    this.#deadlines = new Deadlines(options.clock);
    this.#intake = new ConnectionIntake(options.intake, () => this.#resumeReading());
    this.#outbox = new Outbox(socket, options.clock, {
      onProgress: (isWaiting) => this.#onSendProgress(isWaiting),
      explain: (error) => this.#failure ?? lostConnection(error),
    });
    const closed = Promise.withResolvers<void>();
    this.closed = closed.promise;
    if (options.reads === undefined) socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('end', () => this.#onEnd());
    socket.on('error', (error) => this.#failWholly(lostConnection(error)));
    socket.on('close', () => {
      this.#failWholly(lostConnection());
      this.#deadlines.clearAll();
      this.#intake.close();
      closed.resolve();
    });
    options.reads?.listen((chunk) => this.#onData(chunk));
    // Without a listener for data nothing else lets it flow.
    if (options.reads !== undefined && this.#received.length === 0) socket.resume();
    this.#watchIdle();
  }

  /** The next message, whose content may be given back to `blockBuffers`; undefined once the peer has ended the stream between two messages. Rejects with what ended the stream otherwise. One caller at a time. */
  receive(): Promise<Message | undefined> {
    const message = this.receiveNow();
    if (message !== undefined) return Promise.resolve(message);
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#hasEnded) return Promise.resolve(undefined);
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  /** The same where it is there already, and undefined otherwise: of many small messages most are. */
  receiveNow(): Message | undefined {
    const message = this.#received.shift();
    if (message !== undefined) this.#resumeReading();
    return message;
  }

  /** Sends a message; resolves when the kernel took it all. The content must not change before. */
  send(message: OutgoingMessage): Promise<void> {
    try {
      return this.#outbox.send(encodeHead(message), message.content ?? NOTHING);
    } catch (error) {
      const reason = error as Error;
      return Promise.reject(reason);
    }
  }

  /** The longest content taken from now on, in bytes. */
  set maxContentBytes(bytes: number) {
    this.#decoder.maxContentBytes = bytes;
  }

  /** How many requests are being worked on: while there are any, the connection is not idle. */
  get inFlight(): number {
    return this.#inFlight;
  }

  set inFlight(count: number) {
    this.#inFlight = count;
    this.#watchIdle();
    this.#watchAnswer();
  }

  /** Whether the peer has ended its side, or is gone. */
  get hasPeerEnded(): boolean {
    return this.#hasEnded;
  }

  /** Bytes received so far, for progress and for telling whether a peer lives. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Fails the connection unless `clearDeadline` is called within `delayMs`, whatever bytes come until then. */
  setDeadline(delayMs: number, what: string): void {
    this.#deadlines.set('deadline', delayMs, () =>
      this.#fail(this.#timeout(`${what} took longer than ${delayMs / 1000} s.`)),
    );
  }

  clearDeadline(): void {
    this.#deadlines.clear('deadline');
  }

  /**
   * Ends the stream after what waits to be sent, discards what still comes for at most a second, so that the
   * peer can read our last words, and closes. Whoever `hasAll` does not wait for the peer's end, a round trip away. May be called again.
   */
  async finish({ hasAll = false } = {}): Promise<void> {
    if (hasAll) this.#socket.once('finish', () => this.#socket.destroy());
    if (!this.#isDiscarding) {
      this.#isDiscarding = true;
      this.#received.length = 0;
      this.#deadlines.clearAll();
      // Once it is closed there is nothing to end, and nobody would clear the clock.
      if (this.#socket.destroyed) return this.closed;
      this.#socket.resume();
      this.#outbox.end();
      this.#deadlines.set('discard', DISCARD_MS, () => this.#socket.destroy());
    }
    await this.closed;
  }

  /** Closes at once; whoever waits gets `error`. May be called again. */
  destroy(error: SealiftError = lostConnection()): void {
    this.#failWholly(error);
    this.#socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy();
    await this.closed;
  }

  #onData(chunk: Buffer): void {
    this.#receivedBytes += chunk.length;
    if (this.#isDiscarding) return;
    const received = this.#received.length;
    try {
      this.#decoder.push(chunk, (message) => this.#received.push(this.#intake.whole(message)));
      this.#intake.came(chunk.length, this.#decoder.contentBytes);
    } catch (error) {
      this.#fail(error as SealiftError);
    }
    if (this.#received.length > received) this.#restartReadClocks();
    this.#deliver();
    this.#watchReading(chunk.length);
    const readsOn = this.#readsPerTurn.mayReadOn(chunk.length);
    if (this.#intake.isWaiting) this.#pauseReading();
    else if (!readsOn) this.#socket.pause();
    if (this.#received.length > 0) queueMicrotask(() => this.#pauseIfWaiting());
  }

  #deliver(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const message = this.#received.shift();
    if (message !== undefined) waiting.resolve(message);
    else if (this.#failure) waiting.reject(this.#failure);
    else if (this.#hasEnded) waiting.resolve(undefined);
    else return;
    this.#waiting = undefined;
  }

  #onEnd(): void {
    this.#hasEnded = true;
    this.#clearReadClocks();
    try {
      this.#decoder.end();
    } catch (error) {
      // To a server this is a client's broken message, which it answers. To a client it is what a server that was
      // killed looks like: Node ends a cut TLS stream as if it had been meant to end.
      this.#fail(this.#options.timeoutCode === 'timeout' ? (error as SealiftError) : lostConnection(error));
    }
    this.#deliver();
  }

  // Nothing more can be read; what waits to be sent, and a last word, still can.
  #fail(error: SealiftError): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#clearReadClocks();
    this.#deliver();
  }

  #failWholly(error: SealiftError): void {
    this.#fail(error);
    this.#outbox.fail(this.#failure ?? error);
  }

  // A message that comes slowly has a clock from its first byte on; each new one starts afresh.
  #watchReading(bytes: number): void {
    const { headerTimeoutMs, stallTimeoutMs } = this.#options;
    const { state } = this.#decoder;
    if (state === 'header' && !this.#deadlines.has('header')) {
      this.#deadlines.set('header', headerTimeoutMs, () =>
        this.#fail(this.#timeout(`A header took longer than ${headerTimeoutMs / 1000} s.`)),
      );
    }
    if (state === 'content') {
      this.#deadlines.clear('header');
      this.#contentBytesInWindow += bytes;
      this.#deadlines.set('silence', stallTimeoutMs, () =>
        this.#fail(this.#timeout(`No byte came for ${stallTimeoutMs / 1000} s in the middle of a content.`)),
      );
      if (!this.#deadlines.has('window')) this.#watchContentRate();
    }
    this.#watchIdle();
    this.#watchAnswer();
  }

  #watchContentRate(): void {
    const { stallTimeoutMs } = this.#options;
    this.#contentBytesInWindow = 0;
    this.#deadlines.set('window', stallTimeoutMs, () => {
      if (this.#contentBytesInWindow < (MIN_CONTENT_RATE * stallTimeoutMs) / 1000) {
        this.#fail(this.#timeout(`A content came at less than ${MIN_CONTENT_RATE} bytes per second.`));
      } else {
        this.#watchContentRate();
      }
    });
  }

  #watchIdle(): void {
    const { idleTimeoutMs } = this.#options;
    if (idleTimeoutMs === Infinity || this.#failure) return;
    const isIdle = this.#inFlight === 0 && this.#received.length === 0 && this.#decoder.state === 'between';
    if (!isIdle) this.#deadlines.clear('idle');
    else
      this.#deadlines.set('idle', idleTimeoutMs, () =>
        this.#fail(this.#timeout(`Nothing was asked for ${idleTimeoutMs / 1000} s.`)),
      );
  }

  #watchAnswer(): void {
    const { answerTimeoutMs } = this.#options;
    if (answerTimeoutMs === Infinity || this.#failure) return;
    if (this.#inFlight === 0 || this.#received.length > 0) this.#deadlines.clear('answer');
    else
      this.#deadlines.set('answer', answerTimeoutMs, () =>
        this.#fail(this.#timeout(`The peer was silent for ${answerTimeoutMs / 1000} s.`)),
      );
  }

  #restartReadClocks(): void {
    this.#deadlines.clear('header');
    this.#deadlines.clear('silence');
    this.#deadlines.clear('window');
  }

  #clearReadClocks(): void {
    this.#restartReadClocks();
    this.#deadlines.clear('idle');
    this.#deadlines.clear('answer');
    this.#deadlines.clear('deadline');
  }

  // After whoever receives has had its turn: mostly it takes all there is, and nothing need be paused.
  #pauseIfWaiting(): void {
    if (this.#received.length > 0) this.#pauseReading();
  }

  // While we do not read, the peer cannot be blamed for its silence.
  #pauseReading(): void {
    this.#socket.pause();
    this.#restartReadClocks();
  }

  #resumeReading(): void {
    if (this.#hasEnded || this.#failure || this.#received.length > 0 || this.#intake.isWaiting) return;
    this.#socket.resume();
    this.#watchReading(0);
  }

  #onSendProgress(isWaiting: boolean): void {
    const { stallTimeoutMs } = this.#options;
    this.#watchAnswer();
    if (!isWaiting) this.#deadlines.clear('sending');
    else {
      this.#deadlines.set('sending', stallTimeoutMs, () => {
        this.destroy(this.#timeout(`The peer accepted nothing for ${stallTimeoutMs / 1000} s.`));
      });
    }
  }

  #timeout(message: string): SealiftError {
    return new SealiftError(this.#options.timeoutCode, message);
  }
}

const NOTHING = Buffer.alloc(0);
