import { access, constants, realpath, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { systemClock, type Clock } from '../clock.ts';
import { isSealiftError, SealiftError, toSealiftError } from '../errors.ts';
import { readPrivateFile, updatePrivateFile, writePrivateFile } from '../trust/private-file.ts';
import { isTable } from './configuration.ts';
import { EXIT } from './exit-codes.ts';
import type { EventFields } from './terminal.ts';

/** One run of a job. Times as in ISO 8601. */
export interface RunRecord {
  begin: string;
  /** Missing while the run is under way, and for ever if it was killed. */
  end?: string;
  exitCode?: number;
  /** The fields of its summary. */
  summary?: EventFields;
}

/** What is known of a job. */
export interface JobRecord {
  last: RunRecord;
  lastSuccess?: RunRecord;
}

/** The records of all jobs of a user: a private file for each, in the state directory. */
export class JobRecords {
  readonly #directory: string;
  readonly #clock: Clock;

  constructor(stateDirectory: string, clock: Clock = systemClock) {
    this.#directory = join(stateDirectory, 'jobs');
    this.#clock = clock;
  }

  /** Undefined for a job that never ran. Throws `local-file`, or `bad-configuration` for a damaged record. */
  async find(job: string): Promise<JobRecord | undefined> {
    const text = await readPrivateFile(this.#path(job)).catch(takeForDamaged);
    if (text === undefined) return undefined;
    const record = parseRecord(text);
    if (record !== undefined) return record;
    throw new SealiftError('bad-configuration', `${this.#path(job)} is damaged.`, {
      hint: 'The next run of the job writes it anew.',
    });
  }

  /** Whether a run of the job that has a record could be recorded now; if not, there may have been later ones. */
  async isWritable(job: string): Promise<boolean> {
    try {
      await access(dirname(await realpath(this.#path(job))), constants.W_OK);
      return true;
    } catch {
      return false;
    }
  }

  /**
   * Records that a run begins; what is returned records its end, and throws `local-file` or `local-no-space`. A beginning
   * that cannot be recorded is no reason not to run, for what counts is the backup: it is told, and what stands of earlier
   * runs is removed if that can be done, as on a full disk, so that their success is not taken for that of this one.
   */
  async begin(
    job: string,
    onUnrecorded: (error: SealiftError) => void,
  ): Promise<(exitCode: number, summary: EventFields) => Promise<void>> {
    const begin = this.#now();
    try {
      await this.#update(job, { begin });
    } catch (error) {
      onUnrecorded(toSealiftError(error));
      await rm(this.#path(job), { force: true }).catch(() => undefined);
    }
    return (exitCode, summary) => this.#update(job, { begin, end: this.#now(), exitCode, summary });
  }

  async #update(job: string, last: RunRecord): Promise<void> {
    const path = this.#path(job);
    const change = (text: string | undefined) => {
      const before = parseRecord(text ?? '')?.lastSuccess;
      const lastSuccess = last.exitCode === EXIT.done ? last : before;
      return `${JSON.stringify({ last, ...(lastSuccess === undefined ? {} : { lastSuccess }) }, null, 2)}\n`;
    };
    try {
      await updatePrivateFile(path, change);
    } catch (error) {
      // Of what is no text there is nothing to keep.
      await writePrivateFile(path, change(takeForDamaged(error)));
    }
  }

  #path(job: string): string {
    return join(this.#directory, `${job}.json`);
  }

  #now(): string {
    return new Date(this.#clock.now()).toISOString();
  }
}

/** The text of a record that cannot be one. What else there is to say of it is thrown on. */
function takeForDamaged(error: unknown): string {
  if (isSealiftError(error, 'bad-configuration')) return '';
  throw error;
}

/** Undefined for a text that is no record. */
function parseRecord(text: string): JobRecord | undefined {
  let record: unknown;
  try {
    record = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isTable(record) || !isRun(record['last'])) return undefined;
  const { lastSuccess } = record;
  return lastSuccess === undefined || isRun(lastSuccess) ? (record as unknown as JobRecord) : undefined;
}

function isRun(value: unknown): value is RunRecord {
  if (!isTable(value)) return false;
  const { begin, end, exitCode } = value;
  return isTime(begin) && (end === undefined || (isTime(end) && typeof exitCode === 'number'));
}

function isTime(value: unknown): boolean {
  return typeof value === 'string' && Number.isFinite(Date.parse(value));
}
