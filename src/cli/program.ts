import { Command, CommanderError, type Option } from 'commander';

import { SealiftError, toSealiftError } from '../errors.ts';
import { COMMANDS } from './commands/index.ts';
import { userDirectories, type Directories } from './directories.ts';
import { tellFailure } from './endings.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import { addOutputOptions } from './options.ts';
import { RunContext } from './run-context.ts';
import type { Invocation, Invoke, Runner } from './runner.ts';
import { settingsOf } from './settings.ts';
import { Terminal } from './terminal.ts';
import { version } from './version.ts';

/** Runs the program; resolves with its exit code. Never rejects. */
export async function run(argv: readonly string[], signal: AbortSignal): Promise<number> {
  let exitCode: number = EXIT.done;
  let invocation: Invocation | undefined;
  const directories = userDirectories();
  const invoke: Invoke = async (command, invoked) => {
    invocation = invoked;
    try {
      await command.parseAsync([...invoked.args], { from: 'user' });
      return exitCode;
    } catch (error) {
      return refusalCode(error);
    }
  };
  const runner: Runner = (command, action, traits) => {
    addOutputOptions(command).configureHelp({ optionDescription });
    command.action(async (...given: unknown[]) => {
      // Commander adds the options and the command itself behind the operands.
      const operands = given.slice(0, -2);
      exitCode = await runAction(command, (context) => action(context, operands, invoke), {
        directories,
        signal,
        dataOnStdout: traits?.dataOnStdout?.(operands) ?? false,
        invocation,
      });
    });
  };
  const program = buildProgram(runner);
  try {
    await program.parseAsync(argv);
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return refusalCode(error);
    fallbackTerminal(argv.includes('--json')).failure('', toSealiftError(error));
    return exitCodeOf(toSealiftError(error), false);
  }
}

/** The exit code for what commander refused, or only helped with, and told. Throws any other error. */
function refusalCode(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  throw error;
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

interface ActionSetting {
  directories: Directories;
  signal: AbortSignal;
  dataOnStdout: boolean;
  invocation: Invocation | undefined;
}

async function runAction(
  command: Command,
  action: (context: RunContext) => Promise<number>,
  { directories, signal, dataOnStdout, invocation }: ActionSetting,
): Promise<number> {
  let terminal = fallbackTerminal();
  let context: RunContext | undefined;
  try {
    const settings = await settingsOf(command, directories, invocation?.settings);
    terminal = new Terminal({
      json: settings['json'] === true,
      quiet: settings['quiet'] === true,
      verbose: settings['verbose'] === true,
      progress: settings['progress'] !== false,
      dataOnStdout,
    });
    if (invocation !== undefined) assertOperandCount(command, invocation);
    context = new RunContext({ settings, terminal, directories, signal });
    await invocation?.onBegin(context);
    return await action(context);
  } catch (error) {
    const ending = { terminal, signal, hasConnected: context?.hasConnected ?? false };
    return tellFailure(ending, fullName(command), toSealiftError(error));
  } finally {
    await context?.[Symbol.asyncDispose]();
  }
}

// The places stand in the configuration file: one more on the command line would silently be a source.
function assertOperandCount({ args }: Command, { operandCount }: Invocation): void {
  if (args.length === operandCount) return;
  throw new SealiftError('usage', `A job takes options only, and ${JSON.stringify(args[0])} is none.`);
}

/** `put`, or `remote add` for a command inside another. */
function fullName(command: Command): string {
  const above = command.parent;
  return above?.parent ? `${above.name()} ${command.name()}` : command.name();
}

function fallbackTerminal(json = false): Terminal {
  return new Terminal({ json, quiet: false, verbose: false, progress: false, dataOnStdout: false });
}
