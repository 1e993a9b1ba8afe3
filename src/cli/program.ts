import { Command, CommanderError } from 'commander';

import { toSealiftError } from '../errors.ts';
import type { CommandRunner } from './command-runner.ts';
import { fullName } from './command-name.ts';
import { COMMANDS } from './commands/index.ts';
import { tellRefusal, terminalOf } from './endings.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import type { LoadProgram } from './runner.ts';
import { allCommands } from './settings.ts';
import { version } from './version.ts';

/** How a run of the program ended. */
interface ProgramEnd {
  exitCode: number;
  /** Whether it is over although somebody has not read yet all that was written. */
  isCutShort: boolean;
}

/** Runs the program; resolves when it has ended. Never rejects. */
export async function run(given: readonly string[], signal: AbortSignal): Promise<ProgramEnd> {
  const argv = helpOfInner(given);
  let runner: CommandRunner | undefined;
  let refusing: Command | undefined;
  const load: LoadProgram = async (names = [...COMMANDS.keys()]) => {
    const program = emptyProgram();
    if (names.length === 0) return program;
    const [{ CommandRunner }, ...commands] = await Promise.all([
      import('./command-runner.ts'),
      ...names.map((name) => COMMANDS.get(name)?.()),
    ]);
    runner ??= new CommandRunner(load, signal);
    for (const add of commands) add?.(program, runner.add);
    for (const command of allCommands(program))
      command.exitOverride((error) => {
        refusing = command;
        throw error;
      });
    return program;
  };
  try {
    const program = await load(namedCommands(argv));
    await program.parseAsync(withoutVainHelp(program, argv));
    return { exitCode: runner?.exitCode ?? EXIT.done, isCutShort: runner?.isCutShort ?? false };
  } catch (error) {
    if (error instanceof CommanderError)
      return { exitCode: tellRefusal(error, argv.slice(2), fullName(refusing)), isCutShort: false };
    const [, , first = ''] = argv;
    terminalOf(argv.slice(2)).failure(COMMANDS.has(first) ? first : '', toSealiftError(error));
    return { exitCode: exitCodeOf(toSealiftError(error), false), isCutShort: false };
  }
}

// Of `help COMMAND INNER` commander knows the first two words only.
function helpOfInner(argv: readonly string[]): readonly string[] {
  const [node = '', program = '', first, command = '', ...rest] = argv;
  if (first !== 'help' || command === '' || command.startsWith('-')) return argv;
  if (!COMMANDS.has(command)) return [node, program, command];
  return rest.length === 0 ? argv : [node, program, command, ...rest, '--help'];
}

// For a command that another does not have, commander would help with that one, and not say what is wrong.
function withoutVainHelp(program: Command, argv: readonly string[]): readonly string[] {
  const [, , first, inner = '-'] = argv;
  const { commands = [] } = program.commands.find((command) => command.name() === first) ?? {};
  const isKnown = inner.startsWith('-') || ['help', ...commands.map((each) => each.name())].includes(inner);
  return commands.length === 0 || isKnown ? argv : argv.filter((word) => !HELP_FLAGS.includes(word));
}

/** The commands that these arguments need; undefined: all, to be listed in the help or to find what was meant. */
function namedCommands([, , first = '']: readonly string[]): string[] | undefined {
  if (VERSION_FLAGS.includes(first)) return [];
  return COMMANDS.has(first) ? [first] : undefined;
}

const HELP_FLAGS: readonly string[] = ['-h', '--help'];
const VERSION_FLAGS: readonly string[] = ['-V', '--version'];

/** The command line, without its commands. Its own options stand before the name of a command: behind it, --version is that of a file. */
function emptyProgram(): Command {
  return (
    new Command('sealift')
      .description('Send files between machines over TLS: verified, resumable, without set-up.')
      .version(version(), VERSION_FLAGS.join(', '))
      .enablePositionalOptions()
      .exitOverride()
      // What it refuses is told like any other failure.
      .configureOutput({ outputError: () => undefined })
      .addHelpText(
        'after',
        '\nEvery option of a command can also be set as SEALIFT_OPTION_NAME or in the\nconfiguration file.',
      )
  );
}
