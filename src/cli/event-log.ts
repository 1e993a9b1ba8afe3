import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, writeFileSync } from 'node:fs';

import { systemClock, type Clock } from '../clock.ts';
import { systemCode } from '../errors.ts';
import { systemRandom, type Random } from '../random.ts';
import { localFileError } from '../trust/local-file-error.ts';
import { EXIT } from './exit-codes.ts';
import { jsonLine, type EventFields, type Terminal } from './terminal.ts';
import { endsMidLine } from './torn-line.ts';

/** Where the time and the names of runs come from. Default: this machine. */
export interface LogSources {
  clock?: Clock;
  random?: Random;
}

const REPORTED: readonly string[] = ['file', 'error', 'summary'];

/**
 * `--log-file`: appends every event but `progress` to `path`, with the time and the name of the run, until it is
 * closed. Throws `local-file` or `local-no-space`; what fails later is a warning.
 */
export function logEvents(
  terminal: Terminal,
  path: string,
  { clock = systemClock, random = systemRandom }: LogSources = {},
): EventFile {
  const file = new EventFile(terminal, path);
  file.goOn();
  const run = random.bytes(4).toString('hex');
  terminal.addListener((type, fields) => {
    if (type === 'progress') return;
    file.write({ time: new Date(clock.now()).toISOString(), run, type, ...fields });
  });
  return file;
}

/**
 * `--report`: writes `path` anew, with every file, every error and the summary, until it is closed. Throws
 * `local-file` or `local-no-space`; what fails later is a warning, and `hasFailed`. With `mayBeKeptOut` a run that has
 * nothing to tell but that another one is at work leaves the file as it is: it may be the report of that.
 */
export function reportEvents(
  terminal: Terminal,
  path: string,
  { mayBeKeptOut = false }: { mayBeKeptOut?: boolean } = {},
): EventFile {
  const file = new EventFile(terminal, path);
  const waiting: EventFields[] = [];
  let isWaiting = mayBeKeptOut;
  if (!isWaiting) file.clear();
  terminal.addListener((type, fields) => {
    const isReported = REPORTED.includes(type);
    if (!isReported && type !== 'progress') return;
    if (isReported) waiting.push({ type, ...fields });
    if (isWaiting && (fields['code'] === 'locked' || fields['exitCode'] === EXIT.locked)) return;
    if (isWaiting) file.clear();
    isWaiting = false;
    for (const line of waiting.splice(0)) file.write(line);
  });
  return file;
}

/**
 * A file of JSON lines. Each is written at once, so that what was said last is there after a crash, and behind all that
 * is there, so that it stays whole where others write to the file too.
 */
export class EventFile {
  readonly #terminal: Terminal;
  readonly #path: string;
  #descriptor: number | undefined;
  #hasFailed = false;
  #lead = '';

  constructor(terminal: Terminal, path: string) {
    this.#terminal = terminal;
    this.#path = path;
    try {
      this.#descriptor = openSync(path, 'a');
    } catch (cause) {
      throw localFileError('write', path, cause);
    }
  }

  /** Whether something could not be written. Nothing more is written then. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Lets what an earlier run could not finish be a line of its own. */
  goOn(): void {
    if (this.#descriptor !== undefined && isTorn(this.#path, this.#descriptor)) this.#lead = '\n';
  }

  /** Drops what the file had, if it is one. */
  clear(): void {
    const descriptor = this.#descriptor;
    if (descriptor === undefined || !fstatSync(descriptor).isFile()) return;
    this.#attempt(() => ftruncateSync(descriptor));
  }

  write(fields: EventFields): void {
    const descriptor = this.#descriptor;
    if (descriptor === undefined || this.#hasFailed) return;
    this.#attempt(() => writeFileSync(descriptor, `${this.#lead}${jsonLine(fields)}`));
    this.#lead = '';
  }

  /** Returns when what was written survives a loss of power. May be called again. */
  close(): void {
    const descriptor = this.#descriptor;
    if (descriptor === undefined) return;
    this.#descriptor = undefined;
    this.#attempt(() => sync(descriptor));
    this.#attempt(() => closeSync(descriptor));
  }

  #attempt(action: () => void): void {
    try {
      action();
    } catch (cause) {
      if (this.#hasFailed) return;
      this.#hasFailed = true;
      this.#terminal.warn(localFileError('write', this.#path, cause).message);
    }
  }
}

function isTorn(path: string, descriptor: number): boolean {
  // A pipe is not opened to be read: who holds both of its ends never hears that nobody reads any more.
  if (!fstatSync(descriptor).isFile()) return false;
  try {
    const file = openSync(path, 'r');
    try {
      return endsMidLine(file);
    } finally {
      closeSync(file);
    }
  } catch {
    // One that may only be written to is a log all the same.
    return false;
  }
}

function sync(descriptor: number): void {
  try {
    fsyncSync(descriptor);
  } catch (error) {
    // A terminal or a pipe cannot be synced, and need not be.
    if (systemCode(error) !== 'EINVAL') throw error;
  }
}
