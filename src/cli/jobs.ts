import { SealiftError } from '../errors.ts';
import { isTable, type Configuration } from './configuration.ts';
import type { JobSettings } from './settings.ts';

/** Commands that can be a job. */
const JOB_COMMANDS = ['sync', 'put', 'get', 'check'] as const;
/** Such as can name a file too. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const KEYS = ['command', 'source', 'target', 'options'];

/** A job of the configuration file. */
export interface Job {
  command: (typeof JOB_COMMANDS)[number];
  sources: readonly string[];
  target: string;
  /** Options as they are typed. */
  args: readonly string[];
  /** Options by their long names. */
  settings: JobSettings;
}

/** The tables of all jobs, by their names. Throws `bad-configuration`. */
export function jobTables({ file, document }: Configuration): Readonly<Record<string, unknown>> {
  const { job = {} } = document;
  if (isTable(job)) return job;
  throw new SealiftError('bad-configuration', `${file}: job is no table.`);
}

/** The job of that name. Throws `usage` if there is none, and `bad-configuration` for one that makes no sense. */
export function findJob(configuration: Configuration, name: string): Job {
  const tables = jobTables(configuration);
  if (Object.hasOwn(tables, name)) return readJob(tables[name], name, configuration.file);
  const names = Object.keys(tables);
  throw new SealiftError('usage', `There is no job ${JSON.stringify(name)} in ${configuration.file}.`, {
    hint:
      names.length > 0
        ? `There is: ${names.join(', ')}.`
        : `A job is a table [job.NAME] with source and target in that file.`,
  });
}

function readJob(table: unknown, name: string, file: string): Job {
  const where = `${file}: job.${name}`;
  const refuse = (why: string) => new SealiftError('bad-configuration', `${where}${why}`);
  if (!NAME.test(name)) throw refuse(' is no name for a job: 1 to 64 of A-Z a-z 0-9 . _ -.');
  if (!isTable(table)) throw refuse(' is no table.');
  const { command: named = 'sync', source, target, options = {} } = table;
  const unknown = Object.keys(table).find((key) => !KEYS.includes(key));
  if (unknown !== undefined)
    throw refuse(`.${unknown} is not understood; options stand in job.${name}.options.`);
  const command = JOB_COMMANDS.find((each) => each === named);
  if (command === undefined) throw refuse(`.command is none of ${JOB_COMMANDS.join(', ')}.`);
  const sources = typeof source === 'string' ? [source] : source;
  if (!isTexts(sources) || sources.length === 0) throw refuse('.source is no text and no list of texts.');
  if (typeof target !== 'string') throw refuse('.target is no text.');
  const isTyped = isTexts(options);
  if (!isTyped && !isTable(options)) throw refuse('.options is neither a table nor a list of texts.');
  return {
    command,
    sources,
    target,
    args: isTyped ? options : [],
    settings: { where: `${where}.options`, options: isTyped ? {} : options },
  };
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string');
}
