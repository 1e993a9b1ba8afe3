import { SealiftError } from '../errors.ts';
import type { Condition, Entry, ReplaceOptions } from './store.ts';

/** Judges what stands under a name now against what the caller demands. Throws what `ReplaceOptions` says. */
export function checkReplacement(existing: Entry | undefined, path: string, options: ReplaceOptions): void {
  checkCondition(existing, path, options.condition);
  checkPermission(existing, path, options);
}

/**
 * As `checkReplacement`, for what takes the place of a file or a link and never of a directory (`is-directory`).
 * The condition comes first: whoever demands that nothing stands there is answered that something does.
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
