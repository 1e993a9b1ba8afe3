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

function ignore(): void {
  // Nobody listens.
}
