import { setFlagsFromString } from 'node:v8';

const TRIED = ['24'];

/**
 * Suits the garbage collector to a program through which gigabytes flow in pieces of 16 KiB (what TLS hands over)
 * while it keeps almost nothing. By its own rules V8 lets the pieces pile up until their memory alarms it, and then
 * marks the whole heap: some 70 times a GiB, for most of the processor time. A small young generation, swept on
 * the spot, throws the same pieces away as they come. Measured at the receiver of `npm run bench`: 0.75 instead of 1.9
 * processor seconds a GiB, and 105 instead of 173 MB; a
 * generation of 4 or 8 MB costs 0.4 seconds more. Only on versions of
 * Node where this was tried: the flags are not promised, and V8 complains aloud of one that it does not know.
 *
 * To be called once what is needed is loaded and bytes are about to flow: V8 takes compiled code that was kept, such as
 * Node brings along, only while its flags are the same. Called first, this would make every start 12 ms longer.
 */
export function suitGarbageCollectionToStreams(): void {
  if (!isTried()) return;
  setFlagsFromString('--scavenger-max-new-space-capacity-mb=2');
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--no-concurrent-array-buffer-sweeping');
}

/**
 * Suits it to trees of many small files, of which something is kept of each: what they leave behind is let grow to a
 * part of that, not to a multiple. 250 instead of 416 MB for 200,000 files fetched. The young generation is larger than
 * for streams, with which 10,000 files take a quarter more.
 */
export function suitGarbageCollectionToTrees(): void {
  if (!isTried()) return;
  setFlagsFromString('--scavenger-max-new-space-capacity-mb=8');
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--no-concurrent-array-buffer-sweeping');
  setFlagsFromString('--heap-growing-percent=40');
}

function isTried(): boolean {
  return TRIED.includes(process.versions.node.split('.', 1)[0] ?? '');
}
