import { CommanderError } from 'commander';

import { SealiftError } from '../errors.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import type { RunContext } from './run-context.ts';

/** What is asked of a context to tell of its end. */
type Ending = Pick<RunContext, 'terminal' | 'signal' | 'goesOn' | 'hasConnected'>;

/** Tells that `command` failed, or that it was interrupted if that is why; returns the exit code. */
export function tellFailure(ending: Ending, command: string, error: SealiftError): number {
  const { terminal, signal, hasConnected } = ending;
  if (signal.aborted) return tellInterruption(ending, command);
  terminal.failure(command, error);
  return exitCodeOf(error, hasConnected);
}

/** The exit code for what commander refused, or only helped with, and told. Throws any other error. */
export function refusalCode(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  throw error;
}

function tellInterruption({ terminal, signal, goesOn }: Ending, command: string): number {
  const exitCode = interruptedCode(signal);
  const { reason } = signal as { reason: unknown };
  if (reason instanceof SealiftError && reason.code !== 'aborted') {
    // Told to people already, by `main`.
    const { code, message, retryable } = reason;
    terminal.event('error', { code, message, retryable });
    terminal.event('summary', { exitCode });
    return exitCode;
  }
  const message = goesOn ? 'Interrupted; the same command goes on where it was.' : 'Interrupted.';
  terminal.event('error', { code: 'aborted', message, retryable: false });
  terminal.event('summary', { exitCode });
  terminal.note(`sealift: ${command}: ${message}`);
  return exitCode;
}

/** By the reason that `main` gave: 130 or 143 for a signal, and for output that cannot be written what that is. */
export function interruptedCode(signal: AbortSignal): number {
  if (!(signal.reason instanceof SealiftError)) return EXIT.interrupted;
  return signal.reason.details['signal'] === 'SIGTERM' ? EXIT.terminated : exitCodeOf(signal.reason, false);
}
