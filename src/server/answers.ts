import { isSealiftError, SealiftError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { errorFields, isWireErrorCode, toWireError } from '../protocol/wire-errors.ts';
import type { Connection } from '../transport/connection.ts';
import type { Answer } from './exchange.ts';
import { clipped, withoutContext } from './told-errors.ts';

/** What a session tells its client. */
export class Answers {
  readonly #connection: Connection;
  #isTellingHeld = false;
  #hasEnded = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Sends a part of an answer, whose own fields go before `fields`; resolves when the kernel took it, and at once after `end`. */
  send(fields: Record<string, unknown>, { fields: more, release: _, ...content }: Answer): Promise<void> {
    if (this.#hasEnded) return Promise.resolve();
    return this.#connection.send({ fields: { ...fields, ...more }, ...content });
  }

  /** Tells what ended the stream, and from then on nothing more. Never rejects. */
  async end(error: SealiftError): Promise<void> {
    this.#hasEnded = true;
    await this.#connection.send({ fields: errorFields(error) }).catch(() => undefined);
  }

  /** Tells how much of an upload is held, for blocks that came without id: now and then, and never queued. */
  async tellHeld(upload: string, answer: Answer): Promise<void> {
    if (this.#isTellingHeld) return;
    this.#isTellingHeld = true;
    try {
      await this.send({ status: 'progress', upload }, answer);
    } finally {
      this.#isTellingHeld = false;
    }
  }

  /** Tells what went wrong, with `context` for who cannot know it by the id. Never rejects: who is gone is told nothing. */
  async sendError(
    id: number | undefined,
    error: unknown,
    logger: Logger,
    context: Record<string, unknown> = {},
  ): Promise<void> {
    const known = ofAnswer(toWireError(error));
    if (known.code === 'connection-lost' || known.code === 'timeout') return;
    logOf(known, error, logger);
    if (this.#hasEnded) return;
    const answer = id === undefined ? {} : { id };
    try {
      const fields: Record<string, unknown> = { ...context, ...answer, ...errorFields(known) };
      await this.#connection
        .send({ fields: { ...fields, message: clipped(String(fields['message'])) } })
        .catch((sendError: unknown) => {
          if (!isSealiftError(sendError, 'header-too-large')) throw sendError;
          return this.#connection.send({ fields: { ...answer, ...errorFields(withoutContext(known)) } });
        });
    } catch (sendError) {
      logger.debug({ err: sendError }, 'an error could not be told');
    }
  }
}

function logOf(known: SealiftError, error: unknown, logger: Logger): void {
  const { code, message: reason, hint, cause } = known;
  if (code === 'internal') return logger.error({ err: error, cause }, 'a request failed');
  // The client is told no more than that the log says why, unless it is the client that is gone.
  if (!isWireErrorCode(code) && code !== 'aborted')
    return logger.error({ code, reason, hint }, 'a request failed');
  logger.debug({ code, reason }, 'a request was refused');
}

/** Of an answer that no message can hold, as that about a link with a long target of control characters: the stream is sound, and goes on. */
function ofAnswer(error: SealiftError): SealiftError {
  if (!isSealiftError(error, 'header-too-large', 'content-too-large')) return error;
  return new SealiftError('unsupported', 'The answer does not fit a message.', { cause: error });
}
