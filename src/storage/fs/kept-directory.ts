import type { Directory } from './directory.ts';

/**
 * Handles that all listings of a store may hold together beyond the two that each of them needs: whoever begins many
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

/** A directory that stays open, by a spare handle, until each of those who mean to enter a directory in it has, or has left. */
export class KeptDirectory {
  readonly #directory: Directory;
  readonly #spare: SpareHandles;
  #users: number;

  constructor(directory: Directory, users: number, spare: SpareHandles) {
    this.#directory = directory;
    this.#users = users;
    this.#spare = spare;
  }

  /** Opens the directory `name` in it, and leaves. */
  async enter(name: string): Promise<Directory> {
    try {
      return await this.#directory.enter(name);
    } finally {
      await this.leave();
    }
  }

  /** One of the users does not enter any more. */
  async leave(): Promise<void> {
    this.#users -= 1;
    if (this.#users > 0) return;
    await this.#directory.close();
    this.#spare.give(1);
  }
}
