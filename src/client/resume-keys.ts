import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { SealiftError } from '../errors.ts';
import type { Random } from '../random.ts';
import { readPrivateFile, writePrivateFile } from '../trust/private-file.ts';

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

  /** `directory` is made when the first key is kept. */
  constructor(directory: string) {
    this.#directory = directory;
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
    const made = newResumeKey(random);
    await writePrivateFile(file, `${made}\n`, random);
    return made;
  }

  /** Forgets the key for `name`: the transfer is done. */
  async done(name: string): Promise<void> {
    await rm(this.#file(name), { force: true });
  }

  #file(name: string): string {
    return join(this.#directory, createHash('sha256').update(name).digest('hex').slice(0, 32));
  }
}
