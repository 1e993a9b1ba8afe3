import { nextTurn } from '../clock.ts';
import type { Message } from '../protocol/decoder.ts';
import { parseRequest, type Request } from '../protocol/requests.ts';
import { SMALL_FILE_BYTES } from '../transfer/blocks.ts';
import type { Answers } from './answers.ts';
import { authorize } from './authorization.ts';
import type { Answer, ProgressTeller, SessionState } from './exchange.ts';
import { answerToGet } from './handlers/get.ts';
import { answerToPut, checkedPut } from './handlers/put.ts';
import type { SessionRecord } from './session-record.ts';

/** So many go together, and so many batches are under way: while the disk has one, another is understood and a third answered. */
const BATCH = 32;
const MAX_BATCHES = 3;

/** What a session does for its small requests. */
export interface SmallRequestsParts {
  state: SessionState;
  answers: Answers;
  record: SessionRecord;
  progress: ProgressTeller;
  onDone: (request: Request, answer: Answer) => void;
  /** Is told of what has to end before the connection may: it never rejects. */
  onWorking: (working: Promise<void>) => void;
  /** Works on the request `id` by itself; never rejects. */
  alone: (id: number, message: Message) => Promise<void>;
}

/** A request that goes with others. */
interface SmallRequest {
  id: number;
  message: Message;
  request: Request;
  beganMs: number;
  /** Begins to work on it; resolves with its answer, or with undefined if it has to be done by itself. Never rejects. */
  begin: () => Promise<Answer | undefined>;
  /** To be called when it is answered. */
  end: () => void;
}

/**
 * Puts and gets small files together whose requests came together: of many, each would otherwise cost twice as much. It
 * takes those for which nothing has to be waited for; whatever is unusual about one, or goes wrong with it, is left
 * to the way that all other requests go.
 */
export class SmallRequests {
  readonly #parts: SmallRequestsParts;
  #waiting: SmallRequest[] = [];
  #isDue = false;
  #atWork = 0;

  constructor(parts: SmallRequestsParts) {
    this.#parts = parts;
  }

  /** Takes the request `id`, and calls `end` when it is answered; false if that is not for here. */
  take(id: number, message: Message, end: () => void): boolean {
    const { state } = this.#parts;
    if (!mayBeSmall(message, state)) return false;
    try {
      const request = parseRequest(message.header);
      authorize(request, state.grant, { made: state.made });
      const begin =
        request.action === 'put'
          ? this.#put(request.fields, message.content)
          : request.action === 'get'
            ? this.#get(request.fields)
            : undefined;
      if (begin === undefined) return false;
      this.#waiting.push({ id, message, request, beganMs: state.clock.monotonicMs(), begin, end });
    } catch {
      // What is wrong with it is told by the usual way.
      return false;
    }
    if (!this.#isDue) this.#parts.onWorking(this.#beginSoon());
    return true;
  }

  #put({ digest, ...fields }: Request<'put'>['fields'], content: Buffer): SmallRequest['begin'] | undefined {
    const { state } = this.#parts;
    const { quotas, store, unsynced } = state;
    if (digest === undefined) return undefined;
    if (quotas.concern(state, { type: 'put', path: fields.path, bytes: content.length })) return undefined;
    const checked = checkedPut({ ...fields, digest }, content, state);
    return async () => {
      const entry = await store.putSmall?.(checked.publication, content);
      if (entry === undefined) return undefined;
      await unsynced.add(entry.path);
      return answerToPut(checked, entry, state);
    };
  }

  #get({ path, version, ifMatch }: Request<'get'>['fields']): SmallRequest['begin'] | undefined {
    const { state } = this.#parts;
    if (version !== undefined || ifMatch !== undefined) return undefined;
    return async () => {
      const file = await state.store.readSmall?.(path);
      return file && answerToGet(file.entry, file.content, state);
    };
  }

  async #beginSoon(): Promise<void> {
    this.#isDue = true;
    // What else has come in this turn goes with the first.
    await nextTurn();
    this.#isDue = false;
    this.#beginAll();
  }

  #beginAll(): void {
    while (this.#waiting.length > 0 && this.#atWork < MAX_BATCHES) {
      const batch = this.#waiting.splice(0, BATCH);
      this.#atWork += 1;
      const working = this.#workOnAll(batch).finally(() => {
        this.#atWork -= 1;
        this.#beginAll();
      });
      this.#parts.onWorking(working);
    }
  }

  async #workOnAll(requests: readonly SmallRequest[]): Promise<void> {
    const { answers, progress } = this.#parts;
    const tell = () => answers.sendAll(requests.map(({ id }) => ({ fields: { id, status: 'progress' } })));
    const made = await progress.during(tell, () => Promise.all(requests.map(({ begin }) => begin())));
    const told: Answer[] = [];
    for (const [index, request] of requests.entries()) {
      const answer = made[index];
      if (answer === undefined) this.#workAlone(request);
      else told.push(this.#recorded(request, answer));
    }
    // Who is gone is told nothing.
    await answers.sendAll(told).catch(() => undefined);
    for (const [index, { end }] of requests.entries()) if (made[index] !== undefined) end();
  }

  #recorded({ id, message, request, beganMs }: SmallRequest, answer: Answer): Answer {
    const { record, onDone } = this.#parts;
    const known = { path: undefined, receivedBytes: message.content.length };
    record.begin(request, known, beganMs)?.end({ answer });
    onDone(request, answer);
    return { ...answer, fields: { id, status: 'ok', ...answer.fields } };
  }

  #workAlone({ id, message, end }: SmallRequest): void {
    const { alone, onWorking } = this.#parts;
    onWorking(alone(id, message).finally(end));
  }
}

/** By a look that costs little, for whatever comes. */
function mayBeSmall({ header, content }: Message, { store, encoding, grant }: SessionState): boolean {
  const { action } = header;
  // What is answered to a get is neither compressed here nor held back.
  if (action === 'get')
    return store.readSmall !== undefined && encoding === undefined && grant.bytesPerSecond === undefined;
  return (
    action === 'put' &&
    store.putSmall !== undefined &&
    header['durability'] === 'memory' &&
    header['content-encoding'] === 'binary' &&
    content.length <= SMALL_FILE_BYTES
  );
}
