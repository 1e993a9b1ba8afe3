import { TIME_GRAINS_MS } from '../../transfer/time-grains.ts';
import type { TreeEntry } from './tree-entry.ts';

/** Coarser no file system keeps times, whatever a server says. */
export const [MAX_GRAIN_MS] = TIME_GRAINS_MS;

/**
 * What the file system of a local target keeps times to, in milliseconds. That all times in it happen to be whole seconds
 * proves nothing, so what counts first is `changedNs`, a time that the system itself set there: of one that keeps less than
 * 10 milliseconds it has a rest.
 */
export function localTimeGrain(
  changedNs: bigint | undefined,
  target: ReadonlyMap<string, TreeEntry>,
): number {
  if (changedNs === undefined || changedNs % 10_000_000n !== 0n) return 1;
  return TIME_GRAINS_MS.find((grain) => isKeptTo(target, grain)) ?? 1;
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
