import { createHash } from 'node:crypto';
import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';

import { systemClock, type Clock } from '../clock.ts';
import { isSealiftError, type SealiftError } from '../errors.ts';
import type { Random } from '../random.ts';
import { readPrivateFile, writePrivateFile } from '../trust/private-file.ts';

/** Keys that nobody asked for so long are forgotten: servers seldom keep what was begun under them. A program that is killed once a transfer is committed leaves its key. */
const MAX_AGE_MS = 30 * 86_400_000;

/** A new resume key: 128 random bits in hex. */
export function newResumeKey(random: Random): string {
  return random.bytes(16).toString('hex');
}

export interface ResumeKeysOptions {
  /**
   * Called, perhaps more than once, where a key can be neither read nor kept. The upload then has one of its own, and is
   * resumed in this call, but not by a later run. Default: the upload fails with this error.
   */
  onUnusable?: ((error: SealiftError) => void) | undefined;
}

/**
 * Remembers, from one run of a program to the next, under which key an upload was begun. One small private file a
 * transfer, removed when it is done.
 */
export class ResumeKeys {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #onUnusable: ResumeKeysOptions['onUnusable'];
  #swept: Promise<void> | undefined;

  /** `directory` is made when the first key is kept. */
  constructor(directory: string, clock: Clock = systemClock, { onUnusable }: ResumeKeysOptions = {}) {
    this.#directory = directory;
    this.#clock = clock;
    this.#onUnusable = onUnusable;
  }

  /** The key that is kept for `name`, which says source and target; undefined if none is, or one that is damaged. */
  async find(name: string): Promise<string | undefined> {
    const file = this.#file(name);
    const key = (await this.#textOf(file))?.trim();
    // No more is lost with it than what was begun.
    if (key === undefined || !/^[0-9a-f]{32}$/.test(key)) return undefined;
    // It is asked for: only a key of which that cannot be noted is forgotten early.
    const now = new Date(this.#clock.now());
    await utimes(file, now, now).catch(() => undefined);
    return key;
  }

  /** Whether anything is kept for `name`, if only a damaged key. */
  async has(name: string): Promise<boolean> {
    return (await this.#textOf(this.#file(name))) !== undefined;
  }

  /** The key for `name`, or a new one that now is kept, unless the directory is unusable and there is somebody to be told so. */
  async keyFor(name: string, random: Random): Promise<string> {
    const kept = await this.find(name);
    if (kept !== undefined) return kept;
    await (this.#swept ??= this.#sweep());
    const made = newResumeKey(random);
    await this.#orTold(() => writePrivateFile(this.#file(name), `${made}\n`, random));
    return made;
  }

  /** Forgets the key for `name`: the transfer is done. */
  async done(name: string): Promise<void> {
    await rm(this.#file(name), { force: true });
  }

  /** What no text can be is damaged too. */
  async #textOf(file: string): Promise<string | undefined> {
    try {
      return await this.#orTold(() => readPrivateFile(file));
    } catch (error) {
      if (!isSealiftError(error, 'bad-configuration')) throw error;
      return '';
    }
  }

  async #orTold<T>(task: () => Promise<T>): Promise<T | undefined> {
    try {
      return await task();
    } catch (error) {
      if (this.#onUnusable === undefined || !isSealiftError(error, 'local-file', 'local-no-space'))
        throw error;
      this.#onUnusable(error);
      return undefined;
    }
  }

  // What cannot be looked at or removed does no harm.
  async #sweep(): Promise<void> {
    const names = await readdir(this.#directory).catch(() => []);
    for (const name of names) {
      const file = join(this.#directory, name);
      const stats = await stat(file).catch(() => undefined);
      if (stats !== undefined && this.#clock.now() - stats.mtimeMs > MAX_AGE_MS)
        await rm(file).catch(() => undefined);
    }
  }

  #file(name: string): string {
    return join(this.#directory, createHash('sha256').update(name).digest('hex').slice(0, 32));
  }
}
