import type { Command, Option } from 'commander';

import { SealiftError, toSealiftError } from '../errors.ts';
import { fullName } from './command-name.ts';
import { userDirectories } from './directories.ts';
import { tellFailure, tellRefusal } from './endings.ts';
import { EXIT } from './exit-codes.ts';
import { addOutputOptions } from './options.ts';
import { RunContext } from './run-context.ts';
import type { Invocation, Invoke, LoadProgram, Runner } from './runner.ts';
import { settingsOf, unsetEmptyVariables, type Settings } from './settings.ts';
import { asksForJson, fallbackTerminal, Terminal } from './terminal.ts';

/** Runs the commands of one run of the program, and keeps how that ended. */
export class CommandRunner {
  /** That of the action which ended last. */
  exitCode: number = EXIT.done;
  /** Whether a terminal was cut short. */
  isCutShort = false;
  readonly #load: LoadProgram;
  readonly #signal: AbortSignal;
  #invocation: Invocation | undefined;

  constructor(load: LoadProgram, signal: AbortSignal) {
    this.#load = load;
    this.#signal = signal;
  }

  /** Puts an action behind a command. */
  readonly add: Runner = (command, action, traits) => {
    unsetEmptyVariables(addOutputOptions(command).configureHelp(HELP));
    command.action(async (...given: unknown[]) => {
      // Commander adds the options and the command itself behind the operands.
      const operands = given.slice(0, -2);
      const program = { load: this.#load, invoke: this.#invoke };
      const known: Known = {
        dataOnStdout: (settings) => traits?.dataOnStdout?.(operands, settings) ?? false,
        goesOn: traits?.goesOn?.(operands) ?? false,
      };
      this.exitCode = await this.#act(command, known, (context) => action(context, operands, program));
    });
  };

  readonly #invoke: Invoke = async (command, invocation) => {
    this.#invocation = invocation;
    try {
      await command.parseAsync([...invocation.args], { from: 'user' });
      return this.exitCode;
    } catch (error) {
      const json = command.getOptionValue('json') === true ? ['--json'] : [];
      return tellRefusal(error, [command.name(), ...json, ...invocation.args], fullName(command));
    }
  };

  async #act(
    command: Command,
    { dataOnStdout, goesOn }: Known,
    action: (context: RunContext) => Promise<number>,
  ): Promise<number> {
    const [signal, invocation] = [this.#signal, this.#invocation];
    let terminal = fallbackTerminal(saysJson(command), dataOnStdout(command.opts()));
    let context: RunContext | undefined;
    try {
      const directories = userDirectories();
      const settings = await settingsOf(command, directories, invocation?.settings, this.#load);
      terminal = new Terminal({
        json: settings['json'] === true,
        quiet: settings['quiet'] === true,
        verbose: settings['verbose'] === true,
        progress: settings['progress'] !== false,
        dataOnStdout: dataOnStdout(settings),
      });
      if (invocation !== undefined) assertOperandCount(command, invocation);
      const isSaid = (name: string) => SAID.includes(command.getOptionValueSource(name));
      context = new RunContext({ settings, terminal, directories, signal, goesOn, isSaid });
      await invocation?.onBegin(context);
      return await action(context);
    } catch (error) {
      const ending = { terminal, signal, goesOn, hasConnected: context?.hasConnected ?? false };
      return tellFailure(ending, fullName(command), toSealiftError(error));
    } finally {
      if (terminal.isCutShort) this.isCutShort = true;
      await context?.[Symbol.asyncDispose]();
    }
  }
}

/** The sources of what is said for one command, and for no other. */
const SAID: readonly (string | undefined)[] = ['cli', 'job'];

// Before the settings are known: what is wrong with them is to be told to a program too.
function saysJson(command: Command): boolean {
  const source = command.getOptionValueSource('json');
  // The variable may say no, which commander does not look at.
  const isNo = source === 'env' && !asksForJson();
  return command.getOptionValue('json') === true && !isNo;
}

/** What is known of a command before its settings are. */
interface Known {
  dataOnStdout: (settings: Settings) => boolean;
  goesOn: boolean;
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

// The longest names of options leave less room for what they mean than commander would wrap.
const HELP = { optionDescription, minWidthToWrap: 30 };

// The places stand in the configuration file: one more on the command line would silently be a source.
function assertOperandCount({ args }: Command, { operandCount }: Invocation): void {
  if (args.length === operandCount) return;
  throw new SealiftError('usage', `A job takes options only, and ${JSON.stringify(args[0])} is none.`);
}
