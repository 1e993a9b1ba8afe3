import type { SealiftError } from '../errors.ts';
import { printable } from './escape.ts';
import type { ProgressBars } from './progress-bars.ts';

/** What the options say about output. */
export interface TerminalOptions {
  json: boolean;
  quiet: boolean;
  verbose: boolean;
  progress: boolean;
  /** Standard output carries data: JSON then goes to standard error. */
  dataOnStdout: boolean;
}

/** Facts of an event, by name. */
export type EventFields = Readonly<Record<string, unknown>>;

/** Told of every event, whether or not it is printed. */
export type EventListener = (type: string, fields: EventFields) => void;

/** All manners of output: data on standard output, everything else on standard error, JSON lines for programs. */
export class Terminal {
  readonly options: TerminalOptions;
  #bars: ProgressBars | undefined;
  readonly #listeners: EventListener[] = [];
  #isCutShort = false;
  #summaryFacts = (): EventFields => ({});
  #amendSummary = (fields: EventFields): EventFields => fields;

  constructor(options: TerminalOptions) {
    this.options = options;
  }

  /** Whether progress bars are wanted and can be shown. */
  get showsBars(): boolean {
    const { json, quiet, progress } = this.options;
    return progress && !json && !quiet && process.stderr.isTTY;
  }

  /** While there are bars, lines are put above them. */
  set bars(bars: ProgressBars | undefined) {
    this.#bars = bars;
  }

  /** What a `summary` also says of a run that somebody ends who does not know what was done. */
  set summaryFacts(facts: () => EventFields) {
    this.#summaryFacts = facts;
  }

  /** What is made of the fields of each `summary` before anybody sees them. */
  set amendSummary(amend: (fields: EventFields) => EventFields) {
    this.#amendSummary = amend;
  }

  /** Whether nobody is to be waited for who has not read yet what was said. */
  get isCutShort(): boolean {
    return this.#isCutShort;
  }

  /** To be called where the run is made to end before its time. */
  cutShort(): void {
    this.#isCutShort = true;
  }

  /** Listeners are called in the order in which they were added, before the event is printed. */
  addListener(listener: EventListener): void {
    this.#listeners.push(listener);
  }

  /** A line of data. */
  data(line: string): void {
    process.stdout.write(`${line}\n`);
  }

  /** A fact: told to the listeners, and one object for programs with `--json`. */
  event(type: string, given: EventFields): void {
    const fields = type === 'summary' ? this.#amendSummary({ ...this.#summaryFacts(), ...given }) : given;
    for (const listener of this.#listeners) listener(type, fields);
    if (!this.options.json) return;
    const line = jsonLine({ type, ...fields });
    (this.options.dataOnStdout ? process.stderr : process.stdout).write(line);
  }

  /** A line for a person, unless a program listens or `--quiet` was said. */
  note(line: string): void {
    if (!this.options.quiet && !this.options.json) this.#line(line);
  }

  /** A line for a person who asked for more. */
  detail(line: string): void {
    if (this.options.verbose && !this.options.json) this.#line(line);
  }

  /** Something to be known that is no failure, said also with `--quiet`. */
  warn(message: string): void {
    this.event('warning', { message });
    if (!this.options.json) this.#line(`sealift: ${printable(message)}`);
  }

  /** A line for a person that is a matter of a failure, said also with `--quiet`. */
  say(line: string): void {
    if (!this.options.json) this.#line(line);
  }

  /**
   * The last line of a failure: what, where, and how to mend it. `path`: the file that it concerns; `place`: what is to
   * stand before a message that does not say where; `isTold`: whether there is a line for a person. Default true.
   */
  failure(
    command: string,
    error: SealiftError,
    path?: string,
    { place, isTold = true }: { place?: string | undefined; isTold?: boolean } = {},
  ): void {
    const { code, message, hint, retryable, details } = error;
    this.event('error', {
      code,
      message,
      retryable,
      ...(hint === undefined ? {} : { hint }),
      ...(path === undefined ? {} : { path }),
      ...(Object.keys(details).length === 0 ? {} : { details }),
    });
    if (this.options.json || !isTold) return;
    const where = command === '' ? 'sealift' : `sealift: ${command}`;
    const told = place === undefined ? message : `${place}: ${message}`;
    this.#line(`${where}: ${code}: ${printable(told)}${hint === undefined ? '' : ` ${printable(hint)}`}`);
    if (this.options.verbose && error.cause instanceof Error)
      this.#line(printable(error.cause.stack ?? error.cause.message));
  }

  #line(line: string): void {
    if (this.#bars === undefined) process.stderr.write(`${line}\n`);
    else this.#bars.line(line);
  }
}

/** The output while no settings are known: for a person, or with `json` for a program. */
export function fallbackTerminal(json = false, dataOnStdout = false): Terminal {
  return new Terminal({ json, quiet: false, verbose: false, progress: false, dataOnStdout });
}

/** Whether the environment asks for JSON. */
export function asksForJson({ SEALIFT_JSON: said = '' } = process.env): boolean {
  return /^(1|true|yes)$/i.test(said);
}

/** `fields` as a line of JSON in which also those control characters are escaped that JSON lets stand. */
export function jsonLine(fields: EventFields): string {
  return `${printable(JSON.stringify(fields))}\n`;
}
