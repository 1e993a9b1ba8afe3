import { addAbortSignal } from 'node:stream';
import { text as textOf } from 'node:stream/consumers';

import type { Command, Option } from 'commander';

import { checkPattern } from '../client/tree/gitignore-rules.ts';
import { namedPath } from '../client/tree/named-paths.ts';
import { EVERYTHING, treeFilter, type TreeFilter } from '../client/tree/tree-filter.ts';
import { systemClock } from '../clock.ts';
import { isSealiftError, SealiftError } from '../errors.ts';
import { printable } from './escape.ts';
import { linesOf, linesSetting, valuesOf } from './lines-setting.ts';
import { parseMoment } from './moment.ts';
import { readText, type RunContext } from './run-context.ts';
import { setting } from './settings.ts';
import { standardInput } from './standard-streams.ts';
import { parseSize } from '../units.ts';

/** An `--exclude` or `--exclude-from`, by the name of its setting. */
interface Exclude {
  name: 'exclude' | 'excludeFrom';
  value: string;
}

/** Options of commands that move trees: which files are taken. */
export function addFilterOptions(command: Command): Command {
  const exclude = linesSetting(
    '--exclude <pattern>',
    'leave out what matches, as in .gitignore (repeatable)',
  );
  const excludeFrom = linesSetting(
    '--exclude-from <file>',
    'the same, one pattern per line; - is standard input (repeatable)',
  );
  command
    .addOption(
      linesSetting(
        '--include <pattern>',
        'take what matches, also where it is excluded; without any exclude, nothing else (repeatable)',
      ),
    )
    .addOption(exclude)
    .addOption(excludeFrom)
    .addOption(
      setting('--files-from <file>', 'take only the paths in this file, one per line; - is standard input'),
    )
    .addOption(setting('--from0', 'the paths of --files-from end with NUL, not with the line'))
    .addOption(setting('--max-size <size>', 'leave out larger files', parseSize))
    .addOption(setting('--min-size <size>', 'leave out smaller files', parseSize))
    .addOption(
      setting(
        '--newer-than <when>',
        'leave out files last changed before: 7d (that long ago), or a date such as 2026-01-31',
        (text) => parseMoment(text, systemClock),
      ),
    );
  for (const option of [exclude, excludeFrom]) rememberOrder(command, option);
  return command;
}

/** The filter that the settings ask for; `EVERYTHING` where they ask for none. Reads the files that they name. Throws `usage`, with the name of the option. */
export async function filterOf(context: RunContext): Promise<TreeFilter> {
  const { include, filesFrom, from0, maxSize, minSize, newerThan } = context.settings;
  const excludes = excludesOf(context);
  const others = [include, filesFrom, maxSize, minSize, newerThan];
  if (excludes.length === 0 && others.every((value) => value === undefined)) return EVERYTHING;
  const lists = excludes.filter(({ name }) => name === 'excludeFrom').map(({ value }) => value);
  if ([...lists, filesFrom].filter((file) => file === '-').length > 1)
    throw new SealiftError('usage', 'Only one of --exclude-from and --files-from can be standard input.');
  return treeFilter({
    include: await named('--include', () => checked((include as string[] | undefined) ?? [], checkPattern)),
    exclude: await excludePatterns(context, excludes),
    files: typeof filesFrom === 'string' ? await filesIn(context, filesFrom, from0 === true) : undefined,
    maxSizeBytes: maxSize as number | undefined,
    minSizeBytes: minSize as number | undefined,
    newerThanMs: newerThan as number | undefined,
  });
}

/**
 * Whether a file that is named by itself is taken, as it would be at the top of a tree; tells of one that is not. Throws
 * `usage` where a list says what is taken.
 */
export function takesFile(
  { terminal }: RunContext,
  filter: TreeFilter,
  file: { name: string; size: number; mtimeMs: number },
): boolean {
  if (filter.named !== undefined) {
    throw new SealiftError(
      'usage',
      `${JSON.stringify(file.name)} is a file, and --files-from names what is in a directory.`,
      {
        hint: 'Name the directory as the source, or leave out --files-from.',
      },
    );
  }
  const isTaken = filter.takes({ ...file, path: file.name, type: 'file' });
  if (!isTaken) terminal.note(`${printable(file.name)}: left out, as the filter says`);
  return isTaken;
}

/** Keeps what the command line says of excludes in its order there, across both options: the last that matches decides. */
function rememberOrder(command: Command, option: Option): void {
  command.on(`option:${option.name()}`, (text: string) => {
    const given = (command.getOptionValue('excludesGiven') as Exclude[] | undefined) ?? [];
    const name = option.attributeName() as Exclude['name'];
    command.setOptionValue('excludesGiven', [...given, ...valuesOf(text).map((value) => ({ name, value }))]);
  });
}

/** All excludes; those that do not come from the command line first, so that it has the last word. */
function excludesOf({ settings }: RunContext): Exclude[] {
  const given = (settings['excludesGiven'] as Exclude[] | undefined) ?? [];
  const others = (['excludeFrom', 'exclude'] as const)
    .filter((name) => !given.some((each) => each.name === name))
    .flatMap((name) => ((settings[name] as string[] | undefined) ?? []).map((value) => ({ name, value })));
  return [...others, ...given];
}

async function excludePatterns(context: RunContext, excludes: readonly Exclude[]): Promise<string[]> {
  const patterns: string[] = [];
  for (const { name, value } of excludes) {
    if (name === 'exclude')
      patterns.push(...(await named('--exclude', () => checked([value], checkPattern))));
    else patterns.push(...(await patternsIn(context, value)));
  }
  return patterns;
}

async function patternsIn(context: RunContext, file: string): Promise<string[]> {
  const lines = linesOf(await readList(context, '--exclude-from', file));
  const patterns = lines.filter((line) => !line.startsWith('#'));
  return named(`--exclude-from ${file}`, () => checked(patterns, checkPattern));
}

async function filesIn(context: RunContext, file: string, isNulSeparated: boolean): Promise<string[]> {
  const content = await readList(context, '--files-from', file);
  const names = isNulSeparated ? content.split('\0').filter((name) => name !== '') : linesOf(content);
  return named(`--files-from ${file}`, () => checked(names, namedPath));
}

function readList(context: RunContext, option: string, file: string): Promise<string> {
  return named(option, () =>
    file === '-' ? textOf(addAbortSignal(context.signal, standardInput())) : readText(file),
  );
}

function checked(texts: string[], check: (text: string) => unknown): string[] {
  texts.forEach(check);
  return texts;
}

/** Lets an error of ours say which option it is about. */
async function named<T>(option: string, task: () => T | Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (cause) {
    if (!isSealiftError(cause, 'usage')) throw cause;
    const hint = cause.hint === undefined ? {} : { hint: cause.hint };
    throw new SealiftError('usage', `${option}: ${cause.message}`, { cause, ...hint });
  }
}
