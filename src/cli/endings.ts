import { CommanderError } from 'commander';

import { SealiftError } from '../errors.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import type { RunContext } from './run-context.ts';
import { asksForJson, fallbackTerminal, type Terminal } from './terminal.ts';

/** What is asked of a context to tell of its end. */
type Ending = Pick<RunContext, 'terminal' | 'signal' | 'goesOn' | 'hasConnected'>;

/** Tells that `command` failed, or that it was interrupted if that is why; returns the exit code. */
export function tellFailure(ending: Ending, command: string, error: SealiftError): number {
  const { terminal, signal, hasConnected } = ending;
  if (signal.aborted) return tellInterruption(ending, command);
  terminal.failure(command, error);
  return exitCodeOf(error, hasConnected);
}

/**
 * Tells what commander refused in `words`, of which the first names the command; `name` is all of its name. Returns the
 * exit code, also for what it only helped with. Throws any other error.
 */
export function tellRefusal(error: unknown, words: readonly string[], name: string): number {
  if (!(error instanceof CommanderError)) throw error;
  const { exitCode, code, message } = error;
  if (exitCode === 0) return EXIT.done;
  if (code.startsWith('commander.help')) return EXIT.usage;
  const [what = '', ...guesses] = message.replace(/^error: /, '').split('\n');
  const help = `For help: sealift ${name === '' ? '' : `${name} `}--help`;
  // A guess stands on a line of its own, in brackets.
  const habit = HABITS.get(/^unknown option '(.*)'$/.exec(what)?.[1] ?? '');
  const told = habit === undefined ? guesses.map((guess) => guess.replace(/^\((.*)\)$/, '$1')) : [habit];
  const hint = [...told, help].join(' ');
  const refusal = new SealiftError('usage', what.replace(/[^.]$/, '$&.'), { hint });
  terminalOf(words).failure(name, refusal);
  return EXIT.usage;
}

/** What is to be said of options that scp and rsync have, and that are not here. */
const HABITS: ReadonlyMap<string, string> = new Map([
  ['-P', 'A port is given with --port, and progress is shown in any case.'],
  ['-p', 'Times are always kept, permission bits and links with -a.'],
  ['--progress', 'It is shown on a terminal in any case.'],
  ['--partial', 'What was interrupted is gone on with in any case.'],
]);

/** The output of a command that is known by its words only. */
export function terminalOf(words: readonly string[]): Terminal {
  return fallbackTerminal(words.includes('--json') || asksForJson(), isForData(words));
}

/** Whether whoever wrote these words expects data on standard output: what its operands are, commander does not say of what it refused. */
function isForData([command, ...rest]: readonly string[]): boolean {
  return command === 'cat' || (command === 'get' && rest.includes('-'));
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
  terminal.failure(command, new SealiftError('aborted', message));
  terminal.event('summary', { exitCode });
  return exitCode;
}

/** By the reason that `main` gave: 130 or 143 for a signal, and for output that cannot be written what that is. */
export function interruptedCode(signal: AbortSignal): number {
  if (!(signal.reason instanceof SealiftError)) return EXIT.interrupted;
  return signal.reason.details['signal'] === 'SIGTERM' ? EXIT.terminated : exitCodeOf(signal.reason, false);
}
