import { destination, pino, stdTimeFunctions } from 'pino';
import { PinoPretty } from 'pino-pretty';

import { nextTurn } from '../clock.ts';
import type { Logger } from '../logger.ts';
import { printable } from './escape.ts';
import type { TerminalOptions } from './terminal.ts';

/** Of all servers in this process, which have one standard error. */
let turnLines: TurnLines | undefined;

/** The log of `serve`, on standard error: lines for a person on a terminal, JSON elsewhere. */
export function serverLogger({ verbose, quiet }: TerminalOptions): Logger {
  const level = verbose ? 'debug' : quiet ? 'warn' : 'info';
  const formatters = { log: withoutControls, level: (label: string) => ({ level: label }) };
  const options = { level, base: null, formatters, timestamp: stdTimeFunctions.isoTime };
  if (!process.stderr.isTTY) return pino(options, (turnLines ??= new TurnLines()));
  const pretty = PinoPretty({ destination: 2, sync: true, translateTime: 'SYS:HH:MM:ss', singleLine: true });
  return pino(options, pretty);
}

/**
 * Writes lines when the turn of the event loop in which they came is over, all at once: of many small files each has one.
 * What a server said last is what is wanted after it was killed, so that they wait no longer.
 */
class TurnLines {
  readonly #destination = destination({ fd: 2, sync: true });
  #lines = '';

  constructor() {
    process.on('exit', () => this.#flush());
  }

  write(line: string): void {
    if (this.#lines === '') void nextTurn().then(() => this.#flush());
    this.#lines += line;
  }

  #flush(): void {
    const lines = this.#lines;
    this.#lines = '';
    if (lines !== '') this.#destination.write(lines);
  }
}

// JSON escapes C0 only, and what peers call themselves is read on terminals too.
function withoutControls(fields: Record<string, unknown>): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields))
    shown[name] = typeof value === 'string' ? printable(value) : value;
  return shown;
}
