import type { Command, Option } from 'commander';

import { isTable, settingText, type Configuration } from './configuration.ts';
import { findJob, jobTables } from './jobs.ts';
import { allCommands, flagFrom, isSecret, parsedValue } from './settings.ts';

/** A setting as it is shown. */
export interface ShownSetting {
  name: string;
  value: string;
  from: Source;
}

type Source = 'environment' | 'file' | 'default';

/** What is shown in the place of a secret. */
const MASK = '***';

/**
 * Every setting that has a value in any command, and every job, sorted by name and without secrets. Throws `usage` or
 * `bad-configuration` for a value that makes no sense.
 */
export function settingsInEffect(program: Command, configuration: Configuration): ShownSetting[] {
  const uses = allCommands(program).flatMap((command) =>
    command.options
      // Others, such as --help, are no settings.
      .filter(({ envVar }) => envVar !== undefined)
      .map((option) => ({ command, option, name: (option.long ?? '').slice(2) })),
  );
  const secrets = new Set(uses.filter(({ option }) => isSecret(option)).map(({ name }) => name));
  const token: ShownSetting[] =
    (process.env['SEALIFT_TOKEN'] ?? '') === '' ? [] : [{ name: 'token', value: MASK, from: 'environment' }];
  const settings = [...Map.groupBy(uses, ({ name }) => name)].flatMap(([name, ofName]) =>
    rowsOf(
      name,
      ofName.map(({ command, option }) => ({ command, said: valueOf(command, option, configuration) })),
    ),
  );
  const sorted = [...token, ...settings].sort((a, b) => (a.name < b.name ? -1 : 1));
  return [...sorted, ...jobRows(configuration, secrets)];
}

/** What most commands have stands under the name alone, what is otherwise under that of its command too. */
function rowsOf(
  name: string,
  uses: readonly { command: Command; said: Omit<ShownSetting, 'name'> | undefined }[],
): ShownSetting[] {
  const groups = [...Map.groupBy(uses, ({ said }) => JSON.stringify(said)).values()];
  const [usual, ...others] = groups.sort((a, b) => b.length - a.length);
  const rest = others.flat().map(({ command, said }) => ({ name: `${command.name()}.${name}`, said }));
  return [{ name, said: usual?.[0]?.said }, ...rest].flatMap((row) =>
    row.said === undefined ? [] : [{ name: row.name, ...row.said }],
  );
}

/** The value that `command` would take, as it was written; undefined where none is set. Throws for one that makes no sense. */
function valueOf(
  command: Command,
  option: Option,
  { file, document }: Configuration,
): Omit<ShownSetting, 'name'> | undefined {
  const { long, envVar: variable = '', defaultValueDescription } = option;
  const defaultValue: unknown = option.defaultValue;
  const name = (long ?? '').slice(2);
  const isFlag = option.isBoolean() || option.negate;
  const shown = (value: unknown, from: Source) => ({
    value: isSecret(option) ? MASK : [value].flat().map(settingText).join(' '),
    from,
  });
  const exported = isFlag ? flagFrom(variable) : process.env[variable];
  if (exported !== undefined) {
    parsedValue(option, exported, variable);
    return shown(exported, 'environment');
  }
  const own = document[command.name()];
  const written = (isTable(own) ? own[name] : undefined) ?? document[name];
  // A command may be called like an option, and then this is its table.
  if (written !== undefined && !isTable(written)) {
    parsedValue(option, written, `${file}: ${name}`);
    return shown(written, 'file');
  }
  return defaultValue === undefined || option.negate
    ? undefined
    : shown(defaultValueDescription ?? defaultValue, 'default');
}

function jobRows(configuration: Configuration, secrets: ReadonlySet<string>): ShownSetting[] {
  return Object.keys(jobTables(configuration)).flatMap((job) => {
    const { command, sources, target, args, settings } = findJob(configuration, job);
    const options = Object.entries(settings.options).map(
      ([name, value]) => [`options.${name}`, secrets.has(name) ? [MASK] : [value].flat()] as const,
    );
    return [
      ['command', [command]] as const,
      ['source', sources] as const,
      ['target', [target]] as const,
      ...(args.length > 0 ? [['options', masked(args, secrets)] as const] : []),
      ...options,
    ].map(([name, values]) => ({
      name: `job.${job}.${name}`,
      value: values.map(settingText).join(' '),
      from: 'file' as const,
    }));
  });
}

/** Options as they are typed, without secrets. */
function masked(args: readonly string[], secrets: ReadonlySet<string>): string[] {
  const isNamed = (word: string | undefined) => word?.startsWith('--') === true && secrets.has(word.slice(2));
  return args.map((word, index) => {
    if (isNamed(args[index - 1])) return MASK;
    const [name = ''] = word.split('=', 1);
    return isNamed(name) && name !== word ? `${name}=${MASK}` : word;
  });
}
