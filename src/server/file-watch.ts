import { stat } from 'node:fs/promises';

import type { Clock } from '../clock.ts';
import { systemCode } from '../errors.ts';

/** How often the files are looked at, in milliseconds. What changed is known for certain after two looks. */
const INTERVAL_MS = 1_000;

/**
 * Tells when files change, are replaced, appear or go; links are followed, since that is how certbot replaces them. It
 * looks at them instead of asking the system to tell, which fails on network file systems and for links.
 */
export class FileWatch {
  readonly #paths: readonly string[];
  readonly #clock: Clock;
  readonly #onChange: () => void;
  #known: string;
  #seen: string;
  #cancel: () => void = () => undefined;
  #isClosed = false;

  /** `onChange` is called once for all that changes within a second; `known` is the state before the files were read. */
  constructor(paths: readonly string[], clock: Clock, known: string, onChange: () => void) {
    this.#paths = paths;
    this.#clock = clock;
    this.#known = known;
    this.#seen = known;
    this.#onChange = onChange;
    this.#schedule();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
  }

  #schedule(): void {
    if (!this.#isClosed) this.#cancel = this.#clock.schedule(INTERVAL_MS, () => void this.#look());
  }

  async #look(): Promise<void> {
    const state = await stateOf(this.#paths);
    if (this.#isClosed) return;
    // A certificate and its key are replaced one after the other: only what stands still is taken as it is.
    if (state !== this.#known && state === this.#seen) {
      this.#known = state;
      this.#onChange();
    }
    this.#seen = state;
    this.#schedule();
  }
}

/** What tells two states of the files apart. Never rejects: that a file cannot be looked at is a state too. */
export async function stateOf(paths: readonly string[]): Promise<string> {
  const states = await Promise.all(
    paths.map((path) =>
      stat(path, { bigint: true }).then(
        ({ dev, ino, size, mtimeNs, ctimeNs }) => [dev, ino, size, mtimeNs, ctimeNs].join(':'),
        (error: unknown) => systemCode(error) ?? String(error),
      ),
    ),
  );
  return states.join('\n');
}
