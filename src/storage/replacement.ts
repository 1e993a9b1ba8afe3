import { SealiftError } from '../errors.ts';
import type { Condition, Entry, ReplaceOptions } from './store.ts';

/**
 * Judges what stands under a name now against what is demanded of it before a file or a link takes its place, and
 * throws what `ReplaceOptions` says, or `is-directory`. The condition comes first: whoever demands that nothing
 * stands there is answered that something does.
 */
export function checkFileReplacement(
  existing: Entry | undefined,
  path: string,
  options: ReplaceOptions,
): void {
  checkCondition(existing, path, options.condition);
  if (existing?.type === 'directory')
    throw new SealiftError('is-directory', `${JSON.stringify(path)} is a directory.`);
  checkPermission(existing, path, options);
}

/** The same before `moved` takes the place: a directory takes that of directories only, and nothing else does. */
export function checkMove(
  moved: Entry,
  existing: Entry | undefined,
  path: string,
  options: ReplaceOptions,
): void {
  if (moved.type !== 'directory') return checkFileReplacement(existing, path, options);
  checkCondition(existing, path, options.condition);
  if (existing !== undefined && existing.type !== 'directory')
    throw new SealiftError('not-directory', `${JSON.stringify(path)} is no directory.`);
  checkPermission(existing, path, options);
}

function checkCondition(existing: Entry | undefined, path: string, condition: Condition): void {
  const details = existing === undefined ? {} : { etag: existing.etag };
  if (condition.if === 'absent' && existing !== undefined)
    throw new SealiftError('exists', `${JSON.stringify(path)} exists already.`, { details });
  if (condition.if === 'match' && existing?.etag !== condition.etag) {
    const found = existing === undefined ? 'does not exist any more' : 'has changed meanwhile';
    throw new SealiftError(
      'precondition-failed',
      `${JSON.stringify(path)} ${found} (expected etag ${condition.etag}).`,
      { details },
    );
  }
}

function checkPermission(
  existing: Entry | undefined,
  path: string,
  { mayReplace }: Pick<ReplaceOptions, 'mayReplace'>,
): void {
  if (existing === undefined || mayReplace) return;
  throw new SealiftError(
    'forbidden',
    `${JSON.stringify(path)} exists already, and replacing it needs the permission "delete".`,
    { details: { etag: existing.etag } },
  );
}
