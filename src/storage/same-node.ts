import { SealiftError } from '../errors.ts';
import type { Entry } from './store.ts';

/**
 * The etag of what stands under a name, of two parts: `node` tells it from everything else that ever stood under any
 * name, and stays while it is moved and changed; `state` is another after every change.
 */
export function etagOf(node: string, state: string): string {
  return `${node}-${state}`;
}

/** Throws `forbidden` unless `entry` is what bore the etag `made` when it was made, however it was changed since. */
export function assertStillSame({ path, etag }: Entry, made: string | undefined): void {
  if (made === undefined || nodeOf(made) === nodeOf(etag)) return;
  throw new SealiftError('forbidden', `${JSON.stringify(path)} is not any more what was made there.`);
}

/** The part of an etag that stays while what it is of is moved and changed. */
export function nodeOf(etag: string): string {
  return etag.split('-', 1)[0] ?? etag;
}
