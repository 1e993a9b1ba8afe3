import type { Command } from 'commander';

import { SealiftError, toSealiftError } from '../../errors.ts';
import { readConfiguration } from '../configuration.ts';
import { tellFailure } from '../endings.ts';
import { JobRecords } from '../job-records.ts';
import { findJob, type Job } from '../jobs.ts';
import type { RunContext } from '../run-context.ts';
import type { Invoke, Runner } from '../runner.ts';
import type { EventFields, Terminal } from '../terminal.ts';

/** `sealift run NAME [OPTIONS]` */
export function addRun(program: Command, run: Runner): void {
  const command = program
    .command('run')
    .description('run a job of the configuration file: [job.NAME] with source, target and options')
    .usage('<name> [options of the command of the job]')
    .argument('<name>')
    .argument('[option...]', 'goes before what the job says; -n only shows what it would do')
    .allowUnknownOption();
  run(command, async (context, [name, typed], { load, invoke }) => {
    const job = findJob(
      await readConfiguration(context.settings['config'], context.directories),
      nameIn(name),
    );
    const [inner] = (await load([job.command])).commands;
    if (inner === undefined) throw new SealiftError('usage', `There is no command ${job.command}.`);
    passOn(command, inner);
    return runJob(context, { name: String(name), job, inner, typed: typed as string[] }, invoke);
  });
}

// An option that `run` does not know is taken for an operand.
function nameIn(operand: unknown): string {
  if (!String(operand).startsWith('-')) return String(operand);
  throw new SealiftError('usage', 'The name of the job comes first.', { hint: 'sealift run NAME [options]' });
}

/** What every command knows, such as `--json`, was taken for an option of `run`. */
function passOn(from: Command, to: Command): void {
  for (const option of from.options) {
    const name = option.attributeName();
    if (from.getOptionValueSource(name) === 'cli')
      to.setOptionValueWithSource(name, from.getOptionValue(name), 'cli');
  }
}

interface JobRun {
  name: string;
  job: Job;
  inner: Command;
  /** Options behind the name of the job. */
  typed: readonly string[];
}

/** Runs the job and records how that went; resolves with the exit code. */
async function runJob(
  context: RunContext,
  { name, job, inner, typed }: JobRun,
  invoke: Invoke,
): Promise<number> {
  const recording = new Recording(new JobRecords(context.directories.state), name);
  const places = [...job.sources, job.target];
  const exitCode = await invoke(inner, {
    args: [...job.args, ...typed, '--', ...places],
    operandCount: places.length,
    settings: job.settings,
    onBegin: (begun) => recording.begin(begun),
  }).catch((error: unknown) => tellFailure(context, 'run', toSealiftError(error)));
  await recording.end(exitCode, typed, context.terminal);
  return exitCode;
}

/** What is recorded of one run. */
class Recording {
  readonly #records: JobRecords;
  readonly #name: string;
  #isBegun = false;
  #end: ((exitCode: number, summary: EventFields) => Promise<void>) | undefined;
  #summary: EventFields = {};

  constructor(records: JobRecords, name: string) {
    this.#records = records;
    this.#name = name;
  }

  /** To be called when the settings are known. A dry run leaves no record. */
  async begin({ settings, terminal }: RunContext): Promise<void> {
    this.#isBegun = true;
    if (settings['dryRun'] === true) return;
    terminal.addListener((type, fields) => {
      if (type === 'summary') this.#summary = fields;
    });
    await this.#record(terminal);
  }

  /** `typed`: the options that somebody gave. What cannot be recorded is a warning. */
  async end(exitCode: number, typed: readonly string[], terminal: Terminal): Promise<void> {
    try {
      // A job whose options make no sense has failed too, unless somebody was only trying it out.
      if (!this.#isBegun && !typed.some((word) => DRY_RUN.test(word))) await this.#record(terminal);
      await this.#end?.(exitCode, this.#summary);
    } catch (error) {
      terminal.warn(`How the run ended is not recorded. ${toSealiftError(error).message}`);
    }
  }

  async #record(terminal: Terminal): Promise<void> {
    this.#end = await this.#records.begin(this.#name, ({ message }) =>
      terminal.warn(`That the run began is not recorded. ${message}`),
    );
  }
}

const DRY_RUN = /^(--dry-run|-[A-Za-z]*n[A-Za-z]*)$/;
