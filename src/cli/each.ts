import { toSealiftError } from '../errors.ts';
import { combinedExitCode, exitCodeOf } from './exit-codes.ts';
import type { RunContext } from './run-context.ts';

/** Works on items one after the other; one that fails is told, and does not keep the others from being tried. More may be added meanwhile. Resolves with the exit code. */
export async function each<T>(
  context: RunContext,
  command: string,
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<number> {
  const failures: number[] = [];
  for (const item of items) {
    try {
      await work(item);
    } catch (error) {
      if (context.signal.aborted) throw error;
      const known = toSealiftError(error);
      failures.push(exitCodeOf(known, context.hasConnected));
      context.terminal.failure(command, known);
    }
  }
  return combinedExitCode(failures, items.length - failures.length);
}
