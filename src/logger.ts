type LogLine = (fields: Record<string, unknown>, message: string) => void;

/**
 * Where the library tells what happens; a `pino` logger fits. It never prints by itself. What a method throws, as one
 * does whose stream is closed, is passed over, and so is a method that is missing: nobody's transfer depends on it.
 */
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

/**
 * The `methods` of an object of the embedding program that is told of something, as they may be called from anywhere:
 * what they throw, or what their promise rejects with, is passed over. It is nobody's fault but their own, and there is
 * nobody to be told of it.
 */
export function unfailing<K extends string>(
  told: Partial<Readonly<Record<K, (...values: never[]) => void>>>,
  ...methods: K[]
): Record<K, (...values: unknown[]) => void> {
  const call = (method: K, values: unknown[]) => {
    try {
      const done: unknown = told[method]?.(...(values as never[]));
      if (done instanceof Promise) done.catch(ignore);
    } catch {
      // As its promise above.
    }
  };
  return Object.fromEntries(
    methods.map((method) => [method, (...values: unknown[]) => call(method, values)]),
  ) as Record<K, (...values: unknown[]) => void>;
}

function ignore(): void {
  // Nobody wants to know.
}
