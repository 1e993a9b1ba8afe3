import { setFlagsFromString } from 'node:v8';

/**
 * Suits the garbage collector to large trees, of which something is kept of each file: what they leave behind is let
 * grow to a part of that, not to a multiple. 250 instead of 416 MB for 200,000 files fetched, for a tenth of the processor
 * time.
 */
export function suitGarbageCollectionToLargeTrees(): void {
  setFlags(
    ['24'],
    '--scavenger-max-new-space-capacity-mb=8',
    '--semi-space-growth-factor=1',
    '--no-concurrent-array-buffer-sweeping',
    '--heap-growing-percent=40',
  );
}

/**
 * Suits it to servers: the room for new objects stays what it was at the start, some MB for each thread, instead of growing
 * to 134 in minutes of load. 209 instead of 299 MB with eight clients that put at once, 160 instead of 210 with 10,000 small
 * files. There are several times as many collections of these objects, which take no more processor time together.
 */
export function suitGarbageCollectionToServers(): void {
  setFlags(['24', '26'], '--semi-space-growth-factor=1');
}

// Only on the lines of Node where they were tried: flags are not promised, and V8 complains aloud of one that it does not know.
function setFlags(tried: readonly string[], ...flags: readonly string[]): void {
  if (!tried.includes(process.versions.node.split('.', 1)[0] ?? '')) return;
  for (const flag of flags) setFlagsFromString(flag);
}
