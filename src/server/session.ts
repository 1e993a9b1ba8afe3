import { nextTurn } from '../clock.ts';
import { isSealiftError, SealiftError } from '../errors.ts';
import { withFields, type Logger } from '../logger.ts';
import type { Message } from '../protocol/decoder.ts';
import {
  HELLO_TIMEOUT_MS,
  MAX_ANSWER_BYTES_IN_FLIGHT,
  MAX_CONTENT_BYTES,
  MAX_REQUESTS_AT_WORK,
} from '../protocol/limits.ts';
import { parseRequest, requestId, type Request } from '../protocol/requests.ts';
import { endsStream, toWireError } from '../protocol/wire-errors.ts';
import { Budget } from '../transport/budget.ts';
import { Compressor } from '../transport/compressor.ts';
import type { Connection } from '../transport/connection.ts';
import { chooseEncoding } from '../transport/content-encoding.ts';
import { networkOf, type Peer } from '../transport/peer.ts';
import { Answers } from './answers.ts';
import type { Identity } from './authentication.ts';
import { BlockTracker } from './block-tracker.ts';
import type { ConnectionCounts } from './connection-counts.ts';
import { ProgressTeller, type SessionState } from './exchange.ts';
import { chooseDigest, helloAnswer, versionRefusal } from './hello.ts';
import { Login, type LoginParts, type SecuredPeer } from './login.ts';
import { MadeEntries } from './made-entries.ts';
import type { PlainSinks } from './plain-sinks.ts';
import { SessionRecord, type SessionObservers } from './session-record.ts';
import { SessionRequests } from './session-requests.ts';
import { answerTutorial } from './tutorial.ts';

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

/** A client mends nothing by saying it once more, and each refusal is written down. */
const MAX_REFUSED_HELLOS = 3;
const CONNECTION_ENDED = new SealiftError('cancelled', 'The connection has ended.');

/** One client's connection: next message → state → handler → answer, until either side ends it. */
export class Session {
  readonly #parts: SessionParts;
  readonly #connection: Connection;
  readonly #answers: Answers;
  readonly #secured: SecuredPeer;
  /** Fires when the connection is closed. */
  readonly #gone = new AbortController();
  readonly #record: SessionRecord;
  readonly #progress: ProgressTeller;
  #requests: SessionRequests | undefined;
  #login: Login | undefined;
  #refusedHellos = 0;
  #logger: Logger;

  /** To be called as soon as the handshake is over. `number` tells the connections of a server apart. */
  constructor(parts: SessionParts, connection: Connection, peer: Peer, number: number) {
    this.#parts = parts;
    this.#connection = connection;
    this.#answers = new Answers(connection);
    this.#secured = { peer, authorities: parts.authentication.trust().authorities };
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
      this.#requests?.abortAll(CONNECTION_ENDED);
    });
    try {
      await this.#serve();
      await this.#requests?.settled();
      await this.#connection.finish();
    } catch (error) {
      await this.#endStream(toWireError(error));
    }
    await this.#leave();
  }

  /** Takes no new requests, ends when those under way have; a client that asks meanwhile is told to come back. */
  drain(): void {
    if (this.#requests === undefined) void this.#connection.finish();
    else this.#requests.drain();
  }

  /** Ends at once. */
  destroy(reason: SealiftError): void {
    this.#connection.destroy(reason);
  }

  /** Judges the client by what is trusted now, as if it came just now; who would not be let in any more is cut off. */
  judgeAgain(): void {
    if (this.#login === undefined) return;
    try {
      this.#judge(this.#login);
    } catch (error) {
      this.#record.cut(toWireError(error).message);
    }
  }

  /** Throws if the client was cut off: it comes again, and finds what is trusted now, as it would not if it were told. */
  #judge(login: Login): void {
    try {
      login.judgeAgain();
      login.whenItEnds(() => this.judgeAgain());
      if (this.#requests !== undefined) this.#requests.state.grant = login.identity.grant;
    } catch (cause) {
      const { message } = toWireError(cause);
      this.#logger.warn({ reason: message }, 'login ended');
      const ended = new SealiftError('unauthenticated', message, { cause });
      this.destroy(ended);
      throw ended;
    }
  }

  async #serve(): Promise<void> {
    for (;;) {
      const message = this.#connection.receiveNow() ?? (await this.#connection.receive());
      if (message === undefined) return;
      if (this.#requests === undefined) {
        await this.#beforeHello(message);
        if (this.#refusedHellos >= MAX_REFUSED_HELLOS) return;
      } else {
        const pacing = this.#login?.pace('received', message.content.length, this.#gone);
        if (pacing !== undefined) await this.#untilPaced(message, pacing);
        const waiting = this.#requests.begin(message);
        if (waiting !== undefined) await waiting;
      }
    }
  }

  /** Waits until the principal may send more; that the connection is gone meanwhile shows when it is read from. */
  async #untilPaced({ header, release }: Message, pacing: Promise<void>): Promise<void> {
    // It waits for nobody but itself.
    release?.();
    const id = requestId(header);
    this.#connection.inFlight += 1;
    const tell = () => this.#answers.send({ id, status: 'progress' }, {});
    const endTelling = id === undefined ? undefined : this.#progress.begin(tell);
    await pacing.catch(() => undefined);
    endTelling?.();
    this.#connection.inFlight -= 1;
  }

  async #beforeHello(message: Message): Promise<void> {
    const { header } = message;
    const id = requestId(header);
    const isHello = header['action'] === 'hello';
    try {
      if (header['action'] === undefined && this.#parts.speaksTutorial) {
        const { store } = this.#parts.roots.main;
        return await this.#answers.send({}, await answerTutorial(message, store, this.#gone.signal));
      }
      if (!isHello) throw new SealiftError('unauthenticated', 'The first request has to be a hello.');
      const refusal = versionRefusal(header);
      if (refusal !== undefined)
        return await this.#record.hello<never>(header, () => Promise.reject(refusal));
      const request = parseRequest(header) as Request<'hello'>;
      const { requests, answer } = await this.#record.hello(header, () => this.#hello(request));
      this.#connection.clearDeadline();
      this.#connection.maxContentBytes = MAX_CONTENT_BYTES;
      this.#requests = requests;
      await this.#answers.send({ id, status: 'ok' }, { fields: answer });
    } catch (error) {
      if (isHello) this.#refusedHellos += 1;
      await this.#tellError(id, error);
    }
  }

  async #hello({
    fields,
  }: Request<'hello'>): Promise<
    Pick<Identity, 'principal'> & { requests: SessionRequests; answer: Record<string, unknown> }
  > {
    const { agent, clock, idleTimeoutMs } = this.#parts;
    const { peer } = this.#secured;
    const login = await Login.begin(this.#parts, this.#secured, fields, this.#gone.signal);
    this.#login = login;
    const { principal } = login.identity;
    this.#logger = withFields(this.#parts.logger, { address: peer.address, principal });
    // What is trusted may have changed since the handshake; from here on it is told.
    this.#judge(login);
    this.#countAuthenticated();
    const { identity, joined, root } = login;
    this.#logger.info({ agent: fields.agent, tls: peer.tlsVersion }, 'login');
    const digest = chooseDigest(fields.digest);
    const { features } = root.store;
    return {
      principal,
      requests: this.#requestsOf(login, digest, chooseEncoding(fields.encodings ?? [])),
      answer: helloAnswer({ agent, identity, joined, digest, clock, features, idleTimeoutMs }),
    };
  }

  #countAuthenticated(): void {
    const { counts } = this.#parts;
    const network = networkOf(this.#secured.peer.address);
    counts.enterAuthenticated(network);
    void this.#connection.closed.then(() => counts.leaveAuthenticated(network));
  }

  #requestsOf(
    login: Login,
    algorithm: SessionState['algorithm'],
    encoding: SessionState['encoding'],
  ): SessionRequests {
    const { identity, root } = login;
    const parts = {
      connection: this.#connection,
      answers: this.#answers,
      record: this.#record,
      progress: this.#progress,
      login,
      logger: this.#logger,
    };
    return new SessionRequests(parts, {
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
      digestedFiles: new Budget(MAX_REQUESTS_AT_WORK),
      blocks: new BlockTracker(),
      ownUploads: new Set(),
      unsynced: root.unsyncedByAll.enter(),
      made: new MadeEntries(),
      onDigestTold: (path, digest) => this.#record.digestTold(path, digest),
      onDigestRefused: (path) => this.#record.digestRefused(path),
    });
  }

  async #tellError(id: number | undefined, error: unknown): Promise<void> {
    this.#record.error(error);
    await this.#answers.sendError(id, error, this.#logger);
  }

  async #endStream(error: SealiftError): Promise<void> {
    this.#record.error(error);
    if (!endsStream(error.code)) {
      this.#requests?.abortAll(error);
      if (!isSealiftError(error, 'connection-lost', 'shutting-down'))
        this.#logger.error({ err: error }, 'a session failed');
      return this.#connection.destroy(error);
    }
    this.#parts.logger.warn(
      { address: this.#secured.peer.address, code: error.code, reason: error.message },
      'the stream was ended',
    );
    // What came in one piece with the fault and takes no time is answered, as if it had come before.
    await nextTurn();
    const told = this.#answers.end(error);
    this.#requests?.abortAll(error);
    // Who was reset looks to Node like who has ended its side, and nothing that is sent there is ever taken.
    if (!this.#connection.hasPeerEnded) await told;
    await this.#connection.finish();
  }

  async #leave(): Promise<void> {
    const requests = this.#requests;
    if (requests !== undefined) {
      requests.abortAll(CONNECTION_ENDED);
      await requests.settled();
      requests.state.unsyncedByAll.leave(requests.state.unsynced);
      await this.#leaveUploads(requests.state);
    }
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
}
