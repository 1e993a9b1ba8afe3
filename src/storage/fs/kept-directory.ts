import type { Directory } from './directory.ts';

/**
 * Handles that all listings of a store may hold together beyond the three that each of them needs: whoever begins many
 * listings and reads none of them must not use up those that the process has.
 */
export class SpareHandles {
  #left = 256;

  /** Takes `count` of them, or none and answers false. */
  take(count: number): boolean {
    if (count > this.#left) return false;
    this.#left -= count;
    return true;
  }

  give(count: number): void {
    this.#left += count;
  }
}

/** Directories that one listing keeps open at most: a single one must not use up what is there for all. */
const MAX_KEPT = 64;

/**
 * The directories that a listing keeps open for those in them that it has still to enter: the last one in any case, so that
 * a long way down is gone once, and more by spare handles. Where one is missing, the directory is closed that was kept
 * first: it is the nearest to the root, from where those in it are reached then.
 */
export class KeptDirectories {
  readonly #spare: SpareHandles;
  readonly #kept = new Set<KeptDirectory>();

  constructor(spare: SpareHandles) {
    this.#spare = spare;
  }

  /** Keeps an open directory, and closes it, until each of `users` that mean to enter a directory in it has, or has left. */
  async keep(directory: Directory, users: number): Promise<KeptDirectory> {
    const [first] = this.#kept;
    const isOneTooMany = first !== undefined && (this.#kept.size >= MAX_KEPT || !this.#spare.take(1));
    if (isOneTooMany) this.#kept.delete(first);
    const kept = new KeptDirectory(directory, users, () => this.#forget(kept));
    this.#kept.add(kept);
    if (isOneTooMany) await first.giveUp();
    return kept;
  }

  #forget(kept: KeptDirectory): void {
    if (this.#kept.delete(kept) && this.#kept.size > 0) this.#spare.give(1);
  }
}

/** A directory that stays open until nobody needs it any more, or its handle is needed for another. */
export class KeptDirectory {
  readonly #directory: Directory;
  readonly #onClosed: () => void;
  #users: number;
  #entering = 0;
  #isGivenUp = false;

  constructor(directory: Directory, users: number, onClosed: () => void) {
    this.#directory = directory;
    this.#users = users;
    this.#onClosed = onClosed;
  }

  get isOpen(): boolean {
    return !this.#isGivenUp;
  }

  /** Runs `enter`, which opens a directory in it, and leaves; undefined if it is not open any more. */
  async enter<T>(enter: (directory: Directory) => Promise<T>): Promise<T | undefined> {
    if (this.#isGivenUp) return undefined;
    this.#entering += 1;
    try {
      return await enter(this.#directory);
    } finally {
      this.#entering -= 1;
      await this.leave();
    }
  }

  /** One of the users does not enter any more. */
  async leave(): Promise<void> {
    this.#users -= 1;
    await this.#closeUnlessNeeded();
  }

  /** Closes it as soon as nobody is entering: whoever comes later has to do without. */
  async giveUp(): Promise<void> {
    this.#isGivenUp = true;
    await this.#closeUnlessNeeded();
  }

  async #closeUnlessNeeded(): Promise<void> {
    if (this.#entering > 0 || (this.#users > 0 && !this.#isGivenUp)) return;
    await this.#directory.close();
    this.#onClosed();
  }
}
