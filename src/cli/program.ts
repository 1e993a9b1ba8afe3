import { Command, CommanderError, type Option } from 'commander';

import { SealiftError, toSealiftError } from '../errors.ts';
import { COMMANDS } from './commands/index.ts';
import { userDirectories } from './directories.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import { addOutputOptions } from './options.ts';
import { RunContext } from './run-context.ts';
import type { Runner } from './runner.ts';
import { settingsOf } from './settings.ts';
import { Terminal } from './terminal.ts';
import { version } from './version.ts';

/** Runs the program; resolves with its exit code. Never rejects. */
export async function run(argv: readonly string[], signal: AbortSignal): Promise<number> {
  let exitCode: number = EXIT.done;
  const directories = userDirectories();
  const runner: Runner = (command, action, traits) => {
    addOutputOptions(command).configureHelp({ optionDescription });
    command.action(async (...given: unknown[]) => {
      // Commander adds the options and the command itself behind the operands.
      const operands = given.slice(0, -2);
      exitCode = await runAction(command, operands, action, {
        directories,
        signal,
        dataOnStdout: traits?.dataOnStdout?.(operands) ?? false,
      });
    });
  };
  const program = buildProgram(runner);
  try {
    await program.parseAsync(argv);
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    fallbackTerminal(argv.includes('--json')).failure('', toSealiftError(error));
    return exitCodeOf(toSealiftError(error), false);
  }
}

/** The whole command line, with `runner` behind every command. */
function buildProgram(runner: Runner): Command {
  const program = new Command('sealift');
  program
    .description('Send files between machines over TLS: verified, resumable, without set-up.')
    .version(version(), '-V, --version')
    .exitOverride()
    .showHelpAfterError('(sealift --help lists the commands; sealift help COMMAND its options)')

    .addHelpText(
      'after',
      '\nEvery option of a command can also be set as SEALIFT_OPTION_NAME or in the configuration file.',
    );
  for (const add of COMMANDS) add(program, runner);
  return program;
}

// As commander writes it, without the name in the environment, which the help tells once for all.
function optionDescription({
  description,
  argChoices,
  defaultValue,
  defaultValueDescription,
}: Option): string {
  const choices = argChoices === undefined ? [] : [`one of ${argChoices.join(', ')}`];
  const standard =
    defaultValueDescription ??
    (defaultValue === undefined || defaultValue === true ? undefined : String(defaultValue));
  const extras = [...choices, ...(standard === undefined ? [] : [`default: ${standard}`])];
  return extras.length === 0 ? description : `${description} (${extras.join('; ')})`;
}

async function runAction(
  command: Command,
  operands: unknown[],
  action: (context: RunContext, operands: unknown[]) => Promise<number>,
  {
    directories,
    signal,
    dataOnStdout,
  }: { directories: ReturnType<typeof userDirectories>; signal: AbortSignal; dataOnStdout: boolean },
): Promise<number> {
  let terminal = fallbackTerminal();
  let context: RunContext | undefined;
  try {
    const settings = await settingsOf(command, directories);
    terminal = new Terminal({
      json: settings['json'] === true,
      quiet: settings['quiet'] === true,
      verbose: settings['verbose'] === true,
      progress: settings['progress'] !== false,
      dataOnStdout,
    });
    context = new RunContext({ settings, terminal, directories, signal });
    return await action(context, operands);
  } catch (error) {
    const known = toSealiftError(error);
    if (signal.aborted) return interrupted(command, terminal, signal);
    terminal.failure(fullName(command), known);
    return exitCodeOf(known, context?.hasConnected ?? false);
  } finally {
    await context?.[Symbol.asyncDispose]();
  }
}

/** `put`, or `remote add` for a command inside another. */
function fullName(command: Command): string {
  const above = command.parent;
  return above?.parent ? `${above.name()} ${command.name()}` : command.name();
}

function interrupted(command: Command, terminal: Terminal, signal: AbortSignal): number {
  const exitCode = interruptedCode(signal);
  const canGoOn = ['put', 'get'].includes(command.name());
  const message = canGoOn ? 'Interrupted; the same command goes on where it was.' : 'Interrupted.';
  terminal.event('error', { code: 'aborted', message, retryable: false });
  terminal.event('summary', { exitCode });
  terminal.note(`sealift: ${fullName(command)}: ${message}`);
  return exitCode;
}

/** 130 or 143, by the signal that `main` gave as the reason. */
function interruptedCode(signal: AbortSignal): number {
  const reason = signal.reason instanceof SealiftError ? signal.reason.details['signal'] : undefined;
  return reason === 'SIGTERM' ? EXIT.terminated : EXIT.interrupted;
}

function fallbackTerminal(json = false): Terminal {
  return new Terminal({ json, quiet: false, verbose: false, progress: false, dataOnStdout: false });
}
