import { createHash } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { systemClock, type Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import type { Random } from '../random.ts';
import { readPrivateFile, writePrivateFile } from '../trust/private-file.ts';

/** Keys that nobody asked for so long are of no use: servers do not keep what was begun under them. A program that is killed once a transfer is committed leaves its key. */
const MAX_AGE_MS = 30 * 86_400_000;

/** A new resume key: 128 random bits in hex. */
export function newResumeKey(random: Random): string {
  return random.bytes(16).toString('hex');
}

/**
 * Remembers, from one run of a program to the next, under which key an upload was begun. One small private file a
 * transfer, removed when it is done.
 */
export class ResumeKeys {
  readonly #directory: string;
  readonly #clock: Clock;
  #swept: Promise<void> | undefined;

  /** `directory` is made when the first key is kept. */
  constructor(directory: string, clock: Clock = systemClock) {
    this.#directory = directory;
    this.#clock = clock;
  }

  /** The key for `name`, which says source and target: the one that is kept, or a new one that now is. */
  async keyFor(name: string, random: Random): Promise<string> {
    const file = this.#file(name);
    const kept = await readPrivateFile(file);
    const key = kept?.trim();
    if (key !== undefined && /^[0-9a-f]{32}$/.test(key)) return key;
    if (key !== undefined && key !== '') {
      throw new SealiftError('bad-configuration', `${file} should hold a resume key and does not.`, {
        hint: `Remove it; the transfer then begins anew.`,
      });
    }
    await (this.#swept ??= this.#sweep());
    const made = newResumeKey(random);
    await writePrivateFile(file, `${made}\n`, random);
    return made;
  }

  /** Forgets the key for `name`: the transfer is done. */
  async done(name: string): Promise<void> {
    await rm(this.#file(name), { force: true });
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
