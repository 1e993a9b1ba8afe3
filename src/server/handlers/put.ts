import { throwIfAborted } from '../../clock.ts';
import { isSealiftError, SealiftError } from '../../errors.ts';
import { CONTENT_TYPE } from '../../protocol/header.ts';
import { BLOCK_BYTES } from '../../protocol/limits.ts';
import type { Action, RequestFields } from '../../protocol/requests.ts';
import { writeFields } from '../../protocol/fields.ts';
import { checkFileReplacement } from '../../storage/replacement.ts';
import type { Condition, Entry, Publication } from '../../storage/store.ts';
import { blockDigest, parseBlockDigest, smallFileDigest } from '../../transfer/digests.ts';
import { noteMade, workWith, type Answer, type Exchange, type SessionState } from '../exchange.ts';
import { assertFileSize } from '../file-size.ts';
import { receiptOf } from '../upload-answers.ts';
import { whatStands } from '../what-stands.ts';

/** `put`: a whole small file at once, or the beginning of an upload. */
export function put(exchange: Exchange<'put'>): Promise<Answer> {
  const { fields, content } = exchange;
  const { digest } = fields;
  if (digest !== undefined)
    return tellingWhatStands(exchange, fields.path, () => putInline(exchange, digest));
  if (content.length > 0)
    throw new SealiftError('bad-request', 'A put with a content needs the digest of that content.');
  return tellingWhatStands(exchange, fields.path, () => beginUpload(exchange));
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
  assertFileSize(content.length, state.grant);
  const publication = publicationOf(fields, state);
  const change = {
    type: 'put',
    path: fields.path,
    bytes: content.length,
    needsNoRoom: refusal(publication),
  } as const;
  const publish = () => state.quotas.change(state, change, () => state.store.put(publication, content));
  const isUnsynced = publication.durability === 'memory';
  const entry = await (isUnsynced ? state.unsynced.publishing(fields.path, publish) : publish());
  noteMade(state, entry);
  const { algorithm } = state;
  const own = parsed.algorithm === algorithm ? raw : blockDigest(algorithm, content);
  const whole = smallFileDigest(algorithm, content.length, own);
  // All who are anonymous have one name, and are not one.
  state.fileDigests.remember(entry, whole, algorithm, state.owner === '' ? undefined : state.owner);
  return { fields: writeFields(receiptOf(entry, whole, publication.durability)) };
}

/** For a change that has no room: whoever is refused because of what stands has to know that, and what it is. */
export function refusal(publication: Publication): (replaced: Entry | undefined) => false {
  return (replaced) => {
    checkFileReplacement(replaced, publication.path, publication);
    return false;
  };
}

async function beginUpload(exchange: Exchange<'put'>): Promise<Answer> {
  const { fields, state, signal } = exchange;
  const { size, resumeKey, base = 'partial' } = fields;
  if (size !== null) assertFileSize(size, state.grant);
  const publication = publicationOf(fields, state);
  // The publication decides, but whoever is refused then should not have sent the file for nothing.
  checkFileReplacement(await whatStands(state.store, fields.path), fields.path, publication);
  let hashedBytes = 0;
  exchange.progress = () => ({ held: hashedBytes });
  const { upload, base: used } = await state.uploads.open({
    owner: state.owner,
    user: state,
    resumeKey,
    base,
    signal,
    onProgress: (bytes) => (hashedBytes = bytes),
    request: { ...publication, size, algorithm: state.algorithm },
    room: state.quotas.roomFor(state, fields),
  });
  workWith(state, upload);
  for (const page of upload.heldPages()) {
    throwIfAborted(signal);
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
  fields: Pick<RequestFields<'put'>, 'if' | 'etag'>,
  { grant }: SessionState,
): { condition: Condition; mayReplace: boolean } {
  const mayReplace = grant.permissions.has('delete');
  if (fields.if !== 'match') return { condition: { if: fields.if ?? 'any' }, mayReplace };
  if (fields.etag === undefined)
    throw new SealiftError('bad-request', 'The condition "match" needs an etag.');
  return { condition: { if: 'match', etag: fields.etag }, mayReplace };
}

/**
 * Adds the digest of what stands to the refusal of a condition, for who may read it or has put it there: a client that
 * repeats a request whose answer was lost finds its own digest there and has succeeded. So it is on the disk before it
 * is told: who published it may have died, or have failed, before that.
 */
export async function tellingWhatStands<T>(
  exchange: Pick<Exchange<Action>, 'state' | 'signal'>,
  path: string,
  task: () => Promise<T>,
): Promise<T> {
  try {
    return await task();
  } catch (error) {
    if (!isSealiftError(error, 'exists', 'precondition-failed', 'forbidden')) throw error;
    const digest = await digestToTell(error, path, exchange).catch(() => undefined);
    if (digest === undefined) throw error;
    throw new SealiftError(error.code, error.message, {
      cause: error,
      details: { ...error.details, digest },
    });
  }
}

async function digestToTell(
  { code, details: { etag } }: SealiftError,
  path: string,
  { state, signal }: Pick<Exchange<Action>, 'state' | 'signal'>,
): Promise<string | undefined> {
  const { owner, grant, fileDigests, algorithm, store } = state;
  let digest = typeof etag === 'string' ? fileDigests.ofWriter(owner, { path, etag }, algorithm) : undefined;
  if (digest === undefined) {
    if (!grant.permissions.has('read')) return undefined;
    // Who may replace nothing is refused often, and knows by its commit whether a large file was its own.
    if (code === 'forbidden' && (etag === undefined || (await store.stat(path)).size > BLOCK_BYTES))
      return undefined;
    ({ digest } = await fileDigests.of(path, algorithm, { owner, signal }));
  }
  await store.sync([path]);
  return digest;
}
