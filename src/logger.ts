type LogLine = (fields: Record<string, unknown>, message: string) => void;

/** Where the library tells what happens; a `pino` logger fits. It never prints by itself. */
export interface Logger {
  debug: LogLine;
  info: LogLine;
  warn: LogLine;
  error: LogLine;
}

/** Takes every line and keeps none: the default. */
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };

/** The same logger, with `fixed` fields in every line. */
export function withFields(logger: Logger, fixed: Record<string, unknown>): Logger {
  return {
    debug: (fields, message) => logger.debug({ ...fixed, ...fields }, message),
    info: (fields, message) => logger.info({ ...fixed, ...fields }, message),
    warn: (fields, message) => logger.warn({ ...fixed, ...fields }, message),
    error: (fields, message) => logger.error({ ...fixed, ...fields }, message),
  };
}

function ignore(): void {
  // Nobody listens.
}
