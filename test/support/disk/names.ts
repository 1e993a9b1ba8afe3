import type { Inode } from './inode.ts';
import { survives, type PowerFailure } from './kept.ts';

/** A name in a directory, and what it stands for from now on: nothing, if it is taken away. */
export interface NameEntry {
  directory: Inode;
  name: string;
  inode: Inode | undefined;
}

/** Names that change in one step, such as both of a rename. */
interface NameChange {
  entries: readonly NameEntry[];
  /** Names without which this change cannot be. */
  needs: readonly string[];
}

/**
 * Changes of names in memory, and which of them are on the disk. A directory that is synced brings those in it there,
 * and with each what it cannot be without: earlier changes of the same names, and, of a rename, the way to its new
 * name, since else neither name would be left. All others reach the disk in any order, or not at all.
 */
export class Names {
  #unsynced: NameChange[] = [];

  change(...entries: NameEntry[]): void {
    const isRename = entries.length > 1;
    const needs = isRename ? entries.flatMap(({ directory }) => wayTo(directory)) : [];
    for (const entry of entries) apply(entry, entry.directory.entries);
    for (const { directory, name, inode } of entries) {
      if (inode === undefined) continue;
      if (inode.type === 'directory') inode.place = { directory, name };
    }
    this.#unsynced.push({ entries, needs });
  }

  sync(directory: Inode): void {
    this.#bringToDisk((change) => change.entries.some((entry) => entry.directory === directory));
  }

  syncAll(): void {
    this.#bringToDisk(() => true);
  }

  /** The names of each directory when the power comes back; of one that is left out, those on the disk. */
  after(failure: PowerFailure): Map<Inode, Map<string, Inode>> {
    const names = new Map<Inode, Map<string, Inode>>();
    for (const { entries } of this.#withNeeded(() => survives(failure)))
      for (const entry of entries) {
        const { directory } = entry;
        const kept = names.get(directory) ?? new Map(directory.entriesOnDisk);
        names.set(directory, kept);
        apply(entry, kept);
      }
    return names;
  }

  #bringToDisk(isChosen: (change: NameChange) => boolean): void {
    const changes = new Set(this.#withNeeded(isChosen));
    for (const { entries } of changes)
      for (const entry of entries) apply(entry, entry.directory.entriesOnDisk);
    this.#unsynced = this.#unsynced.filter((change) => !changes.has(change));
  }

  /** The chosen changes and those before them that they need, in their order. */
  #withNeeded(isChosen: (change: NameChange) => boolean): NameChange[] {
    const needed = new Set<string>();
    const kept: NameChange[] = [];
    for (const change of this.#unsynced.toReversed()) {
      const own = change.entries.map(keyOf);
      if (!isChosen(change) && !own.some((key) => needed.has(key))) continue;
      for (const key of [...own, ...change.needs]) needed.add(key);
      kept.push(change);
    }
    return kept.reverse();
  }
}

function apply({ name, inode }: NameEntry, names: Map<string, Inode>): void {
  if (inode === undefined) names.delete(name);
  else names.set(name, inode);
}

function wayTo(directory: Inode): string[] {
  const way: string[] = [];
  for (let { place } = directory; place !== undefined; { place } = place.directory) way.push(keyOf(place));
  return way;
}

function keyOf({ directory, name }: { directory: Inode; name: string }): string {
  return `${directory.ino}/${name}`;
}
