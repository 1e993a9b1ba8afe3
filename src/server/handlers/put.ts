import { throwIfAborted } from '../../clock.ts';
import { isSealiftError, SealiftError } from '../../errors.ts';
import { CONTENT_TYPE } from '../../protocol/header.ts';
import { BLOCK_BYTES, MAX_DIGESTS_PER_PAGE } from '../../protocol/limits.ts';
import type { RequestFields } from '../../protocol/requests.ts';
import { writeFields } from '../../protocol/fields.ts';
import type { Condition, Publication } from '../../storage/store.ts';
import { blockDigest, fileDigest, parseBlockDigest } from '../../transfer/digests.ts';
import { withProgress, type Answer, type Exchange, type SessionState } from '../exchange.ts';
import { receiptOf } from '../upload.ts';

/** `put`: a whole small file at once, or the beginning of an upload. */
export async function put(exchange: Exchange<'put'>): Promise<Answer> {
  const { fields, content, state } = exchange;
  if (fields.digest !== undefined)
    return tellingWhatStands(state, fields.path, () => putInline(exchange, fields.digest ?? ''));
  if (content.length > 0)
    throw new SealiftError('bad-request', 'A put with a content needs the digest of that content.');
  return beginUpload(exchange);
}

async function putInline({ fields, content, state }: Exchange<'put'>, digest: string): Promise<Answer> {
  const parsed = parseBlockDigest(digest);
  if (parsed === undefined || fields.size !== content.length || content.length > BLOCK_BYTES) {
    throw new SealiftError(
      'bad-request',
      `The put declares ${fields.size ?? 'no'} bytes and brings ${content.length}.`,
    );
  }
  const raw = blockDigest(parsed.algorithm, content);
  if (!raw.equals(parsed.raw))
    throw new SealiftError('digest-mismatch', 'The content does not have the digest that came with it.');
  const publication = publicationOf(fields, state);
  const entry = await state.store.put(publication, content);
  if (publication.durability === 'memory') state.unsynced.add(fields.path);
  const whole = fileDigest(parsed.algorithm, content.length === 0 ? [] : [raw]);
  state.fileDigests.remember(entry, whole, parsed.algorithm);
  return { fields: writeFields(receiptOf(entry, whole, publication.durability)) };
}

async function beginUpload(exchange: Exchange<'put'>): Promise<Answer> {
  const { fields, state, signal } = exchange;
  const { size, resumeKey, base = 'partial' } = fields;
  let hashedBytes = 0;
  const { upload, base: used } = await withProgress(
    exchange,
    () => ({ held: hashedBytes }),
    () =>
      state.uploads.open({
        owner: state.owner,
        user: state,
        resumeKey,
        base,
        onProgress: (bytes) => {
          // Hashing what is held can take hours, for holes too: not for a client that is gone.
          throwIfAborted(signal);
          hashedBytes = bytes;
        },
        request: { ...publicationOf(fields, state), size, algorithm: state.algorithm },
      }),
  );
  state.ownUploads.add(upload);
  for (const page of upload.held.pages(MAX_DIGESTS_PER_PAGE)) {
    await exchange.part('more', { content: page, contentType: CONTENT_TYPE.digestList });
  }
  return { fields: { upload: upload.id, base: used } };
}

function publicationOf(fields: RequestFields<'put'>, state: SessionState): Publication {
  const { path, mtimeMs, mode, durability = 'disk' } = fields;
  return { path, mtimeMs, mode, durability, ...replaceOptions(fields, state) };
}

/** What may be replaced, from the fields of a request and the permissions of its principal. */
export function replaceOptions(
  fields: { if?: 'any' | 'absent' | 'match'; etag?: string },
  { permissions }: SessionState,
): { condition: Condition; mayReplace: boolean } {
  const mayReplace = permissions.has('delete');
  if (fields.if !== 'match') return { condition: { if: fields.if ?? 'any' }, mayReplace };
  if (fields.etag === undefined)
    throw new SealiftError('bad-request', 'The condition "match" needs an etag.');
  return { condition: { if: 'match', etag: fields.etag }, mayReplace };
}

/**
 * Adds the digest of what stands to the refusal of a condition, for who may read it: a client that repeats a put
 * whose answer was lost finds its own digest there and has succeeded.
 */
export async function tellingWhatStands<T>(
  state: SessionState,
  path: string,
  task: () => Promise<T>,
): Promise<T> {
  try {
    return await task();
  } catch (error) {
    if (!isSealiftError(error, 'exists', 'precondition-failed') || !state.permissions.has('read'))
      throw error;
    const digest = await state.fileDigests.of(path, state.algorithm).then(
      (found) => found.digest,
      () => undefined,
    );
    if (digest === undefined) throw error;
    throw new SealiftError(error.code, error.message, {
      cause: error,
      details: { ...error.details, digest },
    });
  }
}
