import { Option, type Command } from 'commander';

import { isSealiftError, SealiftError } from '../errors.ts';
import { isTable, readConfiguration, settingText, type Configuration } from './configuration.ts';
import type { Directories } from './directories.ts';

/** The options that a command ended up with, by their names in camel case. */
export type Settings = Readonly<Record<string, unknown>>;

/** An option that can also be set as `SEALIFT_OPTION_NAME` and in the configuration file. */
export function setting(flags: string, description: string, parse?: (text: string) => unknown): Option {
  const option = new Option(flags, description);
  option.env(`SEALIFT_${option.name().toUpperCase().replaceAll('-', '_')}`);
  if (parse !== undefined) option.argParser(named(option, parse));
  return option;
}

/** The same for an option that may be given more than once. In the environment its values stand between spaces. */
export function repeatableSetting(
  flags: string,
  description: string,
  parse: (text: string) => string,
): Option {
  const option = repeatable(setting(flags, description));
  // Not commander's own way (`<pin...>`), which would take the operands behind it for further values.
  return option.argParser<string[]>((text, previous) => [
    ...(Array.isArray(previous) ? previous : []),
    ...text.split(/\s+/).map(named(option, parse, text)),
  ]);
}

const repeatables = new WeakSet<Option>();

/** Lets `option` have a list of values in the configuration file. */
export function repeatable(option: Option): Option {
  repeatables.add(option);
  return option;
}

/** Lets what `parse` throws say which option, or variable, has the wrong value. `whole`: what it is a part of. */
export function named<T>(
  { long, envVar }: Option,
  parse: (text: string) => T,
  whole?: string,
): (text: string) => T {
  return (text) => {
    // Commander does not tell where the text comes from; one that stands in both is wrong in both.
    const isExported = envVar !== undefined && process.env[envVar] === (whole ?? text);
    try {
      return parse(text);
    } catch (cause) {
      if (!isSealiftError(cause)) throw cause;
      throw new SealiftError(cause.code, `${isExported ? envVar : long}: ${cause.message}`, { cause });
    }
  };
}

const secrets = new WeakSet<Option>();

/** The same for an option whose value is never shown. */
export function secretSetting(...parts: Parameters<typeof setting>): Option {
  const option = setting(...parts);
  secrets.add(option);
  return option;
}

/** Whether the value of `option` is never to be shown. */
export function isSecret(option: Option): boolean {
  return secrets.has(option);
}

/** Options that a job in the configuration file brings along, by their long names. */
export interface JobSettings {
  /** Where they stand, for errors. */
  where: string;
  options: Readonly<Record<string, unknown>>;
}

/**
 * The options of `command`: flag, environment, job, configuration file, default, in that order. In the file an option
 * stands by its long name, at the top for all commands or in a table that is named like the command. Throws
 * `bad-configuration` for what no command knows; `load` loads all of them, and is called only for what `command`
 * does not know itself.
 */
export async function settingsOf(
  command: Command,
  directories: Directories,
  job?: JobSettings,
  load: () => Promise<Command> = () => Promise.resolve(programOf(command)),
): Promise<Settings> {
  applyFlagVariables(command);
  const named = command.optsWithGlobals<Record<string, unknown>>()['config'];
  const { file, document } = await readConfiguration(named, directories);
  await assertKnown(document, file, [command], load);
  for (const [key, value] of Object.entries(document)) {
    // A command may be called like an option, and then this is its table.
    if (!isTable(value)) applyValue(command, key, value, file, 'config');
  }
  const own = document[command.name()];
  applyTable(command, isTable(own) ? own : {}, file, 'config');
  if (job !== undefined) applyTable(command, job.options, job.where, 'job');
  return command.optsWithGlobals();
}

async function assertKnown(
  document: Configuration['document'],
  file: string,
  commands: readonly Command[],
  load?: () => Promise<Command>,
): Promise<void> {
  const options = new Set(commands.flatMap((each) => each.options.map(({ long }) => long?.slice(2))));
  const names = new Set(['job', ...commands.map((each) => each.name())]);
  const unknown = Object.entries(document).find(
    ([key, value]) => !(isTable(value) ? names : options).has(key),
  );
  if (unknown === undefined) return;
  if (load !== undefined) return assertKnown(document, file, allCommands(await load()));
  const what = isTable(unknown[1]) ? 'command' : 'option';
  throw new SealiftError('bad-configuration', `${file}: there is no ${what} ${JSON.stringify(unknown[0])}.`);
}

/** What a flag in the environment says; undefined if nothing. Throws `usage` for what is neither yes nor no. */
export function flagFrom(variable: string): boolean | undefined {
  const text = process.env[variable]?.toLowerCase() ?? '';
  if (text === '') return undefined;
  if (['1', 'true', 'yes'].includes(text)) return true;
  if (['0', 'false', 'no'].includes(text)) return false;
  throw new SealiftError('usage', `${variable} is neither true nor false.`);
}

/**
 * Takes what the environment sets to nothing for an option of `command` out of it, which commander would take for a
 * value: so scripts say that they say nothing. To be called before `command` reads its options.
 */
export function unsetEmptyVariables(command: Command): void {
  for (const { envVar } of command.options)
    if (envVar !== undefined && process.env[envVar] === '') Reflect.deleteProperty(process.env, envVar);
}

// Commander takes a flag as set when its variable is there, whatever it says.
function applyFlagVariables(command: Command): void {
  for (const option of command.options.filter((each) => each.isBoolean() || each.negate)) {
    const name = option.attributeName();
    if (command.getOptionValueSource(name) !== 'env') continue;
    if (flagFrom(option.envVar ?? '') === true) continue;
    command.setOptionValueWithSource(name, option.negate ? true : undefined, 'env');
  }
}

function applyTable(
  command: Command,
  table: Readonly<Record<string, unknown>>,
  where: string,
  source: 'config' | 'job',
): void {
  for (const [key, value] of Object.entries(table)) {
    if (!command.options.some((option) => option.long === `--${key}`)) {
      throw new SealiftError(
        'bad-configuration',
        `${where}: ${command.name()} has no option ${JSON.stringify(key)}.`,
      );
    }
    applyValue(command, key, value, where, source);
  }
}

function applyValue(
  command: Command,
  key: string,
  value: unknown,
  where: string,
  source: 'config' | 'job',
): void {
  const option = command.options.find(({ long }) => long === `--${key}`);
  if (option === undefined) return;
  const name = option.attributeName();
  if (['cli', 'env'].includes(command.getOptionValueSource(name) ?? '')) return;
  command.setOptionValueWithSource(name, parsedValue(option, value, `${where}: ${key}`), source);
}

/** A value of the configuration file as the option takes it. Throws `usage` or `bad-configuration`. */
export function parsedValue(option: Option, value: unknown, where: string): unknown {
  if (option.isBoolean() || option.negate) {
    // `no-progress = true` says what the flag says, and that is that there is no progress.
    if (typeof value === 'boolean') return value !== option.negate;
    throw new SealiftError('bad-configuration', `${where} is neither true nor false.`);
  }
  // Of a list the last value would count, and of an empty one none: not even the default, which may be a limit.
  if (Array.isArray(value) && !repeatables.has(option))
    throw new SealiftError('bad-configuration', `${where} takes one value, and this is a list.`);
  const texts = (Array.isArray(value) ? value : [value]).map(settingText);
  if (option.argChoices && !texts.every((text) => option.argChoices?.includes(text))) {
    throw new SealiftError('bad-configuration', `${where} is none of ${option.argChoices.join(', ')}.`);
  }
  const parse = option.parseArg as ((text: string, previous: unknown) => unknown) | undefined;
  if (parse === undefined) return texts[0];
  try {
    return texts.reduce<unknown>((previous, text) => parse(text, previous), undefined);
  } catch (error) {
    if (!isSealiftError(error) || !isSealiftError(error.cause)) throw error;
    // What is wrong, without the option that nobody gave.
    throw new SealiftError(error.code, `${where}: ${error.cause.message}`, { cause: error.cause });
  }
}

/** `program` and every command in it. */
export function allCommands(program: Command): Command[] {
  return [program, ...program.commands.flatMap(allCommands)];
}

function programOf(command: Command): Command {
  return command.parent === null ? command : programOf(command.parent);
}
