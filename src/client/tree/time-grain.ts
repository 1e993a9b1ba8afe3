import type { TreeEntry } from './tree-entry.ts';

/** What file systems keep times to that keep them to no millisecond: FAT, ext with small inodes and some servers of files, exFAT. */
const GRAINS_MS = [2_000, 1_000, 10] as const;

/**
 * What the file system of a target keeps times to, in milliseconds, as its entries show it. One time in between is
 * enough to know that it keeps them to the millisecond.
 */
export function timeGrain(target: ReadonlyMap<string, TreeEntry>): number {
  return GRAINS_MS.find((grain) => isKeptTo(target, grain)) ?? 1;
}

function isKeptTo(target: ReadonlyMap<string, TreeEntry>, grain: number): boolean {
  for (const { mtimeMs } of target.values()) if (mtimeMs % grain !== 0) return false;
  return true;
}

/** A time of the source as a target of that grain shows it: what it was given, less what it cannot keep. */
export function keptTime({ mtimeMs }: Pick<TreeEntry, 'mtimeMs'>, grain: number): number {
  return Math.floor(mtimeMs / grain) * grain;
}

/** Whether an entry of the source has the time that stands at the target, as well as that can show it. */
export function hasSameTime(entry: TreeEntry, existing: TreeEntry, grain: number): boolean {
  return entry.mtimeMs === existing.mtimeMs || keptTime(entry, grain) === existing.mtimeMs;
}
