import { closeSync, openSync, writeSync } from 'node:fs';

import { isDiskFull, SealiftError, systemCode } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { AuditEntry, AuditLog } from '../server/audit.ts';
import { jsonLine } from './terminal.ts';
import { endsMidLine } from './torn-line.ts';

/**
 * The audit log as a file: a line of JSON for each entry, appended and written at once, so that what happened before a
 * kill stands there. Where it cannot be written, the server's log says so once, and how many lines are missing when it
 * can be again; nobody is kept from working.
 */
export class AuditFile implements AuditLog {
  readonly #path: string;
  readonly #logger: Logger;
  #file: number;
  #missing = 0;
  #isMidLine: boolean;

  private constructor(path: string, logger: Logger) {
    this.#path = path;
    this.#logger = logger;
    [this.#file, this.#isMidLine] = opened(path);
  }

  /** Opens the file, and makes it where it is missing, for its owner alone. Throws `bad-configuration`, and `local-no-space` where the disk is full. */
  static open(path: string, logger: Logger): AuditFile {
    try {
      return new AuditFile(path, logger);
    } catch (cause) {
      const reason = systemCode(cause) ?? String(cause);
      const message = `The audit log ${path} cannot be written (${reason}).`;
      if (isDiskFull(cause)) throw new SealiftError('local-no-space', message, { cause });
      throw new SealiftError('bad-configuration', message, {
        cause,
        hint: 'Name a file in a directory that exists and that this user may write to.',
      });
    }
  }

  record(entry: AuditEntry): void {
    try {
      // What of a line was written when the disk was full stays a line of its own.
      this.#write(`${this.#isMidLine ? '\n' : ''}${jsonLine({ ...entry })}`);
    } catch (error) {
      this.#miss(error);
      return;
    }
    if (this.#missing > 0)
      this.#logger.warn({ file: this.#path, missing: this.#missing }, 'the audit log is written again');
    this.#missing = 0;
  }

  /** Goes on in a file with the same name, after the present one was renamed; if that cannot be had, in the present one. */
  reopen(): void {
    const before = this.#file;
    try {
      [this.#file, this.#isMidLine] = opened(this.#path);
    } catch (error) {
      this.#logger.error({ file: this.#path, reason: systemCode(error) }, 'the audit log was not reopened');
      return;
    }
    try {
      closeSync(before);
    } catch (error) {
      const fields = { file: this.#path, reason: systemCode(error) };
      this.#logger.error(fields, 'the audit log before could not be closed; entries may be missing there');
    }
  }

  close(): void {
    closeSync(this.#file);
  }

  #write(text: string): void {
    const bytes = Buffer.from(text);
    for (let written = 0; written < bytes.length;) {
      written += writeSync(this.#file, bytes, written);
      this.#isMidLine = written < bytes.length;
    }
  }

  #miss(error: unknown): void {
    if (this.#missing === 0) {
      const reason = systemCode(error) ?? String(error);
      this.#logger.error(
        { file: this.#path, reason },
        'the audit log cannot be written; entries are missing',
      );
    }
    this.#missing += 1;
  }
}

/** The file, and whether it ends in the middle of a line. */
function opened(path: string): [file: number, isMidLine: boolean] {
  const file = openSync(path, 'a+', 0o600);
  try {
    return [file, endsMidLine(file)];
  } catch (error) {
    closeSync(file);
    throw error;
  }
}
