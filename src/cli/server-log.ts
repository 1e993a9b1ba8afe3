import { destination, pino } from 'pino';
import { PinoPretty } from 'pino-pretty';

import type { Logger } from '../logger.ts';
import type { TerminalOptions } from './terminal.ts';

/** The log of `serve`, on standard error: lines for a person on a terminal, JSON elsewhere. */
export function serverLogger({ verbose, quiet }: TerminalOptions): Logger {
  const level = verbose ? 'debug' : quiet ? 'warn' : 'info';
  // Written at once: what a server said last is what is wanted after it was killed.
  if (!process.stderr.isTTY) return pino({ level, base: null }, destination({ fd: 2, sync: true }));
  const pretty = PinoPretty({ destination: 2, sync: true, translateTime: 'SYS:HH:MM:ss', singleLine: true });
  return pino({ level, base: null }, pretty);
}
