import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import type { Store } from '../storage/store.ts';
import { isGranted } from './authorization.ts';
import { Recount } from './recount.ts';
import { visibleEntries } from './visible-entries.ts';

/** So much of a tree. Directories and links are files here, as they are to the quotas of a file system (inodes). */
export interface Amount {
  bytes: number;
  files: number;
}

/**
 * How much lies under the prefixes of a principal, whoever put it there: everything that a listing shows, and every
 * version that is kept. Listed once, then kept up by what is changed through the server. A change that overlaps with a
 * listing counts where it adds something, and not where it takes something away: so it may say too much until the next
 * one, and never too little.
 */
export class Usage {
  readonly prefixes: readonly string[];
  readonly recount: Recount;
  readonly #store: Store;
  readonly #reserved: Amount = { bytes: 0, files: 0 };
  #lying: Amount = { bytes: 0, files: 0 };
  #addedMeanwhile: Amount = { bytes: 0, files: 0 };
  /** Differs before, during and after each listing. */
  #epoch = 0;

  constructor(prefixes: readonly string[], parts: { store: Store; clock: Clock; logger: Logger }) {
    this.prefixes = prefixes;
    this.#store = parts.store;
    this.recount = new Recount(parts, () => this.#count());
  }

  /** What lies there, and what is about to be added by changes that are under way. */
  get amount(): Amount {
    return sum(this.#lying, this.#reserved);
  }

  covers(path: string): boolean {
    return isGranted(path, this.prefixes);
  }

  /** Keeps room for a change that begins now. The function that it returns has to be called at its end, with whether it came about. */
  reserve(change: Amount): (isDone: boolean) => void {
    const epoch = this.#epoch;
    const added = { bytes: Math.max(0, change.bytes), files: Math.max(0, change.files) };
    increase(this.#reserved, added);
    return (isDone) => {
      increase(this.#reserved, { bytes: -added.bytes, files: -added.files });
      if (!isDone) return;
      increase(this.#lying, epoch === this.#epoch ? change : added);
      increase(this.#addedMeanwhile, added);
    };
  }

  async #count(): Promise<void> {
    this.#epoch += 1;
    this.#addedMeanwhile = { bytes: 0, files: 0 };
    const listed = { bytes: 0, files: 0 };
    for (const versions of this.#store.features.versions ? [false, true] : [false]) {
      const options = { recursive: true, versions };
      for await (const { path, size } of visibleEntries(this.#store, this.prefixes, '', options))
        if (this.covers(path)) increase(listed, { bytes: size, files: 1 });
    }
    this.#lying = sum(listed, this.#addedMeanwhile);
    this.#epoch += 1;
  }
}

/** What a change would do to each of some usages, path by path. */
export class Tally {
  readonly #changes: ReadonlyMap<Usage, Amount>;

  constructor(usages: Iterable<Usage>) {
    this.#changes = new Map([...usages].map((usage) => [usage, { bytes: 0, files: 0 }]));
  }

  /** Something of so many bytes will stand under `path`, or, with a `sign` of -1, will not any more. */
  add(path: string, bytes: number, sign: 1 | -1 = 1): void {
    for (const [usage, change] of this.#changes)
      if (usage.covers(path)) increase(change, { bytes: sign * bytes, files: sign });
  }

  of(usage: Usage): Amount {
    return this.#changes.get(usage) ?? { bytes: 0, files: 0 };
  }

  /** Whether nothing changes for anybody when a tree is moved from one path to another, whatever is in it. */
  isSameAt(path: string, to: string): boolean {
    return [...this.#changes.keys()].every((usage) => usage.covers(path) && usage.covers(to));
  }

  /** See `Usage.reserve`. */
  reserve(): (isDone: boolean) => void {
    const ends = [...this.#changes].map(([usage, change]) => usage.reserve(change));
    return (isDone) => {
      for (const end of ends) end(isDone);
    };
  }
}

export function sum(a: Amount, b: Amount): Amount {
  return { bytes: a.bytes + b.bytes, files: a.files + b.files };
}

function increase(amount: Amount, { bytes, files }: Amount): void {
  amount.bytes += bytes;
  amount.files += files;
}
