import { nextTurn } from '../clock.ts';
import type { Message } from '../protocol/decoder.ts';
import { parseRequest, type Request } from '../protocol/requests.ts';
import type { Entry } from '../storage/store.ts';
import type { Answers } from './answers.ts';
import { authorize } from './authorization.ts';
import type { Answer, ProgressTeller, SessionState } from './exchange.ts';
import { answerToPut, checkedPut, type CheckedPut } from './handlers/put.ts';
import type { SessionRecord } from './session-record.ts';
import { SMALL_FILE_BYTES } from '../transfer/blocks.ts';

/** What a session does for its small puts. */
export interface SmallPutsParts {
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

/** A request to put a small file, and what the request is judged by. */
interface SmallPut extends CheckedPut {
  id: number;
  message: Message;
  request: Request<'put'>;
  beganMs: number;
  /** To be called when it is answered. */
  end: () => void;
}

/**
 * Puts small files together that came together: of many, each would otherwise cost three times as much. It takes the ones
 * that nothing has to be waited for; whatever is unusual about one, or goes wrong with it, is left to the way that all
 * other requests go.
 */
export class SmallPuts {
  readonly #parts: SmallPutsParts;
  #waiting: SmallPut[] = [];
  #isWorking = false;

  constructor(parts: SmallPutsParts) {
    this.#parts = parts;
  }

  /** Takes the request `id`, and calls `end` when it is answered; false if that is not for here. */
  take(id: number, message: Message, end: () => void): boolean {
    const put = this.#understood(id, message, end);
    if (put === undefined) return false;
    this.#waiting.push(put);
    if (!this.#isWorking) this.#parts.onWorking(this.#workOn());
    return true;
  }

  #understood(id: number, message: Message, end: () => void): SmallPut | undefined {
    const { state } = this.#parts;
    const { header, content } = message;
    if (state.store.putAll === undefined || !mayBeSmallPut(message)) return undefined;
    try {
      const request = parseRequest(header) as Request<'put'>;
      const { fields } = request;
      authorize(request, state.grant, { made: state.made });
      const { path, digest } = fields;
      if (digest === undefined || state.quotas.concern(state, { type: 'put', path, bytes: content.length }))
        return undefined;
      const checked = checkedPut({ ...fields, digest }, content, state);
      return { ...checked, id, message, request, beganMs: state.clock.monotonicMs(), end };
    } catch {
      // It is told by the usual way.
      return undefined;
    }
  }

  async #workOn(): Promise<void> {
    this.#isWorking = true;
    // What else has come in this turn goes with the first.
    await nextTurn();
    while (this.#waiting.length > 0) {
      const puts = this.#waiting;
      this.#waiting = [];
      await this.#putAll(puts);
    }
    this.#isWorking = false;
  }

  async #putAll(puts: readonly SmallPut[]): Promise<void> {
    const { state, answers, progress } = this.#parts;
    const tell = () => answers.sendAll(puts.map(({ id }) => ({ id, status: 'progress' })));
    const entries = (await progress.during(tell, async () => state.store.putAll?.(puts))) ?? [];
    const done: SmallPut[] = [];
    const told: Record<string, unknown>[] = [];
    let room: Promise<void> | undefined;
    for (const [index, put] of puts.entries()) {
      const entry = entries[index];
      if (entry === undefined) this.#putAlone(put);
      else {
        room = state.unsynced.add(entry.path) ?? room;
        told.push({ id: put.id, status: 'ok', ...this.#answerTo(put, entry).fields });
        done.push(put);
      }
    }
    await room;
    // Who is gone is told nothing.
    await answers.sendAll(told).catch(() => undefined);
    for (const { end } of done) end();
  }

  #answerTo(put: SmallPut, entry: Entry): Answer {
    const { state, record, onDone } = this.#parts;
    const { request, content, beganMs } = put;
    const answer = answerToPut(put, entry, state);
    record.begin(request, { path: undefined, receivedBytes: content.length }, beganMs)?.end({ answer });
    onDone(request, answer);
    return answer;
  }

  #putAlone({ id, message, end }: SmallPut): void {
    const { alone, onWorking } = this.#parts;
    onWorking(alone(id, message).finally(end));
  }
}

function mayBeSmallPut({ header, content }: Message): boolean {
  return (
    header['action'] === 'put' &&
    header['durability'] === 'memory' &&
    header['content-encoding'] === 'binary' &&
    content.length <= SMALL_FILE_BYTES
  );
}
