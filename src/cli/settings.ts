import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { Option, type Command } from 'commander';

import { SealiftError, systemCode } from '../errors.ts';
import type { Directories } from './directories.ts';
import { parseToml } from './remotes.ts';

/** The options that a command ended up with, by their names in camel case. */
export type Settings = Readonly<Record<string, unknown>>;

/** An option that can also be set as `SEALIFT_OPTION_NAME` and in the configuration file. */
export function setting(flags: string, description: string, parse?: (text: string) => unknown): Option {
  const option = new Option(flags, description);
  option.env(`SEALIFT_${option.name().toUpperCase().replaceAll('-', '_')}`);
  if (parse !== undefined) option.argParser(parse);
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
    ...text.split(/\s+/).map(parse),
  ]);
}

/**
 * The options of `command`: flag, environment, configuration file, default, in that order. In the file an option
 * stands by its long name, at the top for all commands or in a table that is named like the command. Throws
 * `bad-configuration` for what no command knows.
 */
export async function settingsOf(command: Command, directories: Directories): Promise<Settings> {
  const explicit = command.optsWithGlobals<Record<string, unknown>>()['config'] as string | undefined;
  const file = explicit ?? join(directories.config, 'config.toml');
  const document = await readConfiguration(file, explicit !== undefined);
  const program = command.parent ?? command;
  const known = knownOptions(program);
  for (const [key, value] of Object.entries(document)) {
    if (isTable(value)) continue;
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
    if (typeof value === 'boolean') return value;
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

function knownOptions(program: Command): Set<string> {
  const commands = [program, ...program.commands, ...program.commands.flatMap((command) => command.commands)];
  return new Set(commands.flatMap(({ options }) => options.map(({ long }) => long?.slice(2) ?? '')));
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
