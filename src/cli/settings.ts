import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { Option, type Command } from 'commander';

import { isSealiftError, SealiftError, systemCode } from '../errors.ts';
import type { Directories } from './directories.ts';
import { parseToml } from './remotes.ts';

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
  const option = setting(flags, description);
  // Not commander's own way (`<pin...>`), which would take the operands behind it for further values.
  return option.argParser<string[]>((text, previous) => [
    ...(Array.isArray(previous) ? previous : []),
    ...text.split(/\s+/).map(named(option, parse)),
  ]);
}

// The error says which option has the wrong value, wherever it was set.
function named<T>({ long }: Option, parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (cause) {
      if (!isSealiftError(cause)) throw cause;
      throw new SealiftError(cause.code, `${long}: ${cause.message}`, { cause });
    }
  };
}

/**
 * The options of `command`: flag, environment, configuration file, default, in that order. In the file an option
 * stands by its long name, at the top for all commands or in a table that is named like the command. Throws
 * `bad-configuration` for what no command knows.
 */
export async function settingsOf(command: Command, directories: Directories): Promise<Settings> {
  refuseOddFlags(command);
  const explicit = command.optsWithGlobals<Record<string, unknown>>()['config'] as string | undefined;
  const file = explicit ?? join(directories.config, 'config.toml');
  const document = await readConfiguration(file, explicit !== undefined);
  const commands = allCommands(command);
  const known = new Set(commands.flatMap(({ options }) => options.map(({ long }) => long?.slice(2))));
  for (const [key, value] of Object.entries(document)) {
    if (isTable(value)) {
      if (commands.some((each) => each.name() === key)) continue;
      throw new SealiftError('bad-configuration', `${file}: there is no command ${JSON.stringify(key)}.`);
    }
    if (!known.has(key))
      throw new SealiftError('bad-configuration', `${file}: there is no option ${JSON.stringify(key)}.`);
    applyValue(command, key, value, file);
  }
  const own = document[command.name()];
  for (const [key, value] of Object.entries(isTable(own) ? own : {})) {
    if (!command.options.some((option) => option.long === `--${key}`)) {
      throw new SealiftError(
        'bad-configuration',
        `${file}: ${command.name()} has no option ${JSON.stringify(key)}.`,
      );
    }
    applyValue(command, key, value, file);
  }
  return command.optsWithGlobals();
}

// Commander takes a flag as set when its variable is there, whatever it says.
function refuseOddFlags(command: Command): void {
  for (const option of command.options.filter((each) => each.isBoolean() || each.negate)) {
    if (command.getOptionValueSource(option.attributeName()) !== 'env') continue;
    const text = process.env[option.envVar ?? '']?.toLowerCase() ?? '';
    if (['1', 'true', 'yes'].includes(text)) continue;
    if (!['', '0', 'false', 'no'].includes(text)) {
      throw new SealiftError('usage', `${option.envVar ?? ''} is neither true nor false.`);
    }
    command.setOptionValueWithSource(option.attributeName(), option.negate ? true : undefined, 'default');
  }
}

async function readConfiguration(file: string, mustExist: boolean): Promise<Record<string, unknown>> {
  try {
    return parseToml(await readFile(file, 'utf8'), file);
  } catch (cause) {
    if (cause instanceof SealiftError) throw cause;
    if (systemCode(cause) === 'ENOENT' && !mustExist) return {};
    throw new SealiftError(
      'bad-configuration',
      `${file} cannot be read (${systemCode(cause) ?? String(cause)}).`,
      { cause },
    );
  }
}

function applyValue(command: Command, key: string, value: unknown, file: string): void {
  const option = command.options.find(({ long }) => long === `--${key}`);
  if (option === undefined) return;
  const source = command.getOptionValueSource(option.attributeName());
  if (source === 'cli' || source === 'env') return;
  command.setOptionValueWithSource(
    option.attributeName(),
    parsedValue(option, value, `${file}: ${key}`),
    'config',
  );
}

function parsedValue(option: Option, value: unknown, where: string): unknown {
  if (option.isBoolean() || option.negate) {
    // `no-progress = true` says what the flag says, and that is that there is no progress.
    if (typeof value === 'boolean') return value !== option.negate;
    throw new SealiftError('bad-configuration', `${where} is neither true nor false.`);
  }
  const texts = (Array.isArray(value) ? value : [value]).map(String);
  if (option.argChoices && !texts.every((text) => option.argChoices?.includes(text))) {
    throw new SealiftError('bad-configuration', `${where} is none of ${option.argChoices.join(', ')}.`);
  }
  const parse = option.parseArg as ((text: string, previous: unknown) => unknown) | undefined;
  if (parse === undefined) return texts[0];
  return texts.reduce<unknown>((previous, text) => parse(text, previous), undefined);
}

/** The program that `command` belongs to, and everything below. */
function allCommands(command: Command): Command[] {
  if (command.parent !== null) return allCommands(command.parent);
  const below = ({ commands }: Command): Command[] => commands.flatMap((each) => [each, ...below(each)]);
  return [command, ...below(command)];
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
