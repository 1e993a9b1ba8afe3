import { destination, pino, stdTimeFunctions } from 'pino';
import { PinoPretty } from 'pino-pretty';

import type { Logger } from '../logger.ts';
import { printable } from './escape.ts';
import type { TerminalOptions } from './terminal.ts';

/** How many characters of the log wait while it cannot be written; what comes then is dropped. */
const MAX_WAITING = 65_536;

/** The log of `serve`, on standard error: lines for a person on a terminal, JSON elsewhere. Where it cannot be written, the server lives on. */
export function serverLogger({ verbose, quiet }: TerminalOptions): Logger {
  const level = verbose ? 'debug' : quiet ? 'warn' : 'info';
  const formatters = { log: withoutControls, level: (label: string) => ({ level: label }) };
  const options = { level, base: null, formatters, timestamp: stdTimeFunctions.isoTime };
  // Written at once: what a server said last is what is wanted after it was killed.
  if (!process.stderr.isTTY) {
    const file = destination({ fd: 2, sync: true, maxLength: MAX_WAITING });
    // A full disk behind it costs lines, and there is nowhere to say so; nobody is kept from working.
    file.on('error', () => undefined);
    return pino(options, file);
  }
  const pretty = PinoPretty({ destination: 2, sync: true, translateTime: 'SYS:HH:MM:ss', singleLine: true });
  return pino(options, pretty);
}

// JSON escapes C0 only, and what peers call themselves is read on terminals too.
function withoutControls(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      typeof value === 'string' ? printable(value) : value,
    ]),
  );
}
