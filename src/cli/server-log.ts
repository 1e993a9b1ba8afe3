import { destination, pino, stdTimeFunctions } from 'pino';
import { PinoPretty } from 'pino-pretty';

import { nextTurn } from '../clock.ts';
import type { Logger } from '../logger.ts';
import { printable } from './escape.ts';
import type { TerminalOptions } from './terminal.ts';

/** How many characters of the log wait while it cannot be written; what comes then is dropped. */
const MAX_WAITING = 65_536;
/** How many of a turn of the event loop are written before it ends. */
const GATHERED = 8_192;

/** The log of `serve`, on standard error: lines for a person on a terminal, JSON elsewhere. Where it cannot be written, the server lives on. */
export function serverLogger({ verbose, quiet }: TerminalOptions): Logger {
  const level = verbose ? 'debug' : quiet ? 'warn' : 'info';
  const formatters = { log: withoutControls, level: (label: string) => ({ level: label }) };
  const options = { level, base: null, formatters, timestamp: stdTimeFunctions.isoTime };
  if (!process.stderr.isTTY) return pino(options, new TurnLog());
  const pretty = PinoPretty({ destination: 2, sync: true, translateTime: 'SYS:HH:MM:ss', singleLine: true });
  return pino(options, pretty);
}

/**
 * Writes what is said in a turn of the event loop at once, when it ends: what a server said last is what is wanted after
 * it was killed, and a call for each line takes the server 5 microseconds of the 75 that a small file does.
 */
class TurnLog {
  readonly #file = destination({ fd: 2, sync: true, minLength: GATHERED, maxLength: MAX_WAITING });
  #isWritingSoon = false;

  constructor() {
    // A full disk behind it costs lines, and there is nowhere to say so; nobody is kept from working.
    this.#file.on('error', () => undefined);
    process.on('exit', () => this.#file.flush());
  }

  write(line: string): void {
    this.#file.write(line);
    if (this.#isWritingSoon) return;
    this.#isWritingSoon = true;
    void nextTurn().then(() => {
      this.#isWritingSoon = false;
      this.#file.flush();
    });
  }
}

// JSON escapes C0 only, and what peers call themselves is read on terminals too.
function withoutControls(fields: Record<string, unknown>): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    shown[name] = typeof value === 'string' ? printable(value) : value;
  }
  return shown;
}
