import type { Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import type { Random } from '../random.ts';

const ID = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})(\d{3})Z-[0-9a-f]{8}$/;

/**
 * Makes ids of versions: the moment at which one is retired, and a number that is random at first and counts on within
 * a millisecond, as in `20261121T142608123Z-5a1b9c3d`. So no two are the same, and sorted as texts they are in the order
 * in which they were made, unless the clock was set back in between: when one expires hangs on its moment.
 */
export class VersionIds {
  readonly #clock: Clock;
  readonly #random: Random;
  #lastMs: number | undefined;
  #number = 0;

  constructor({ clock, random }: { clock: Clock; random: Random }) {
    this.#clock = clock;
    this.#random = random;
  }

  next(): string {
    const nowMs = this.#clock.now();
    // From the lower half of the numbers there is always room to count on.
    this.#number = nowMs === this.#lastMs ? this.#number + 1 : this.#random.bytes(4).readUInt32BE() >>> 1;
    this.#lastMs = nowMs;
    const moment = new Date(nowMs).toISOString().replaceAll(/[-:.]/g, '');
    return `${moment}-${this.#number.toString(16).padStart(8, '0')}`;
  }
}

/** When the version with this id was retired, in milliseconds since 1970; undefined for a text that is no id. */
export function retiredAtMs(id: string): number | undefined {
  const [, ...parts] = ID.exec(id) ?? [];
  if (parts.length === 0) return undefined;
  const [year = 0, month = 1, ...rest] = parts.map(Number);
  return Date.UTC(year, month - 1, ...rest);
}

/** What a store says that keeps no versions, and is asked for some. */
export function keepsNoVersions(): SealiftError {
  return new SealiftError('unsupported', 'This server keeps no versions.');
}

/** There is no such version, or none any more. */
export function versionNotFound(path: string, id: string): SealiftError {
  return new SealiftError('not-found', `${JSON.stringify(path)} has no version ${JSON.stringify(id)}.`);
}
