import { SealiftError } from '../errors.ts';
import type { Receipt } from '../protocol/responses.ts';
import type { Entry } from '../storage/store.ts';

/** The receipt of a file as it stands published. */
export function receiptOf(entry: Entry, digest: string, durability: 'disk' | 'memory'): Receipt {
  return { path: entry.path, size: entry.size, digest, mtimeMs: entry.mtimeMs, etag: entry.etag, durability };
}

/** What an upload is answered with once another has taken it over. */
export function takenOver(id: string): SealiftError {
  return uploadError('superseded', id, 'Another put of the same file has taken this upload over.');
}

/** What is answered to blocks and aborts that come while the upload is being published. */
export function beingCommitted(id: string): SealiftError {
  return uploadError('bad-request', id, 'The upload is being committed and takes nothing now.');
}

/** What an upload is answered with once it is published or aborted. */
export function alreadyEnded(id: string): SealiftError {
  return uploadError('unknown-upload', id, 'The upload has ended.');
}

/** What is answered to an id of which nothing is known, or that belongs to somebody else. */
export function noSuchUpload(id: string): SealiftError {
  return uploadError(
    'unknown-upload',
    id,
    'There is no such upload; put the file again to go on from what is held.',
  );
}

function uploadError(
  code: 'superseded' | 'bad-request' | 'unknown-upload',
  id: string,
  message: string,
): SealiftError {
  return new SealiftError(code, message, { details: { upload: id } });
}
