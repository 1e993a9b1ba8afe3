import { SealiftError } from '../errors.ts';
import type { Publication } from '../storage/store.ts';
import type { BlockMap } from '../transfer/block-map.ts';
import { BLOCK_BYTES, blockCount, blockLength } from '../transfer/blocks.ts';
import { blockDigest, fileDigest, parseBlockDigest, type DigestAlgorithm } from '../transfer/digests.ts';

/** How far ahead of what is held a block may be where the size is not known: more than any client has in flight. */
const MAX_BLOCKS_AHEAD = 4_096;

/** What a `put` asked for, as the upload keeps it. */
export interface UploadRequest extends Publication {
  size: number | null;
  algorithm: DigestAlgorithm;
}

/** A block that is shorter than a block: the last of a file whose size is not known. */
export interface ShortBlock {
  index: number;
  length: number;
}

/** Called while an upload takes a block. */
export interface BlockHooks {
  /** Once it is known to be right, for its room: one that is refused takes none. */
  takeRoom?: () => Promise<void>;
  /** Once it will be written, whoever goes. */
  onAccepted?: () => void;
}

/** What a commit says, and what whoever says it may do by then. */
export interface CommitRequest {
  size: number;
  digest: string;
  /** As in `ReplaceOptions`; the upload may have begun with more. */
  mayReplace: boolean;
}

/** What blocks and commits of an upload are judged by. */
export interface UploadFacts {
  id: string;
  request: UploadRequest;
  held: BlockMap;
  short: ShortBlock | undefined;
}

/** Judges a block; returns its raw digest in the algorithm of the upload. Throws `bad-request` or `digest-mismatch`. */
export function checkedBlock(
  facts: UploadFacts,
  { index, digest, content }: { index: number; digest: string; content: Buffer },
): Buffer {
  checkLength(facts, index, content.length);
  const raw = checkDigest(facts, index, digest, content);
  checkPlace(facts, index, content.length);
  return raw;
}

/** Judges whether a commit says the size that the put said, if that said one. Throws `bad-request`. */
export function checkCommittedSize({ request }: UploadFacts, size: number): void {
  if (request.size === null || request.size === size) return;
  throw new SealiftError('bad-request', `The commit says ${size} bytes, the put said ${request.size}.`);
}

/** Judges whether exactly the blocks of `size` bytes are held, and make up the file of that digest. Throws `incomplete` or `digest-mismatch`. */
export function checkWhole({ id, request, held, short }: UploadFacts, size: number, digest: string): void {
  const details = { upload: id };
  const last = blockCount(size) - 1;
  // No block of an empty file is there to be of any length.
  const lastLength = last < 0 ? BLOCK_BYTES : blockLength(size, last);
  const hasRightLengths =
    request.size !== null ||
    (short === undefined ? lastLength === BLOCK_BYTES : short.index === last && short.length === lastLength);
  if (!held.isComplete(size) || !hasRightLengths) {
    const message = `The upload does not hold exactly the ${last + 1} blocks of ${size} bytes.`;
    throw new SealiftError('incomplete', message, { details });
  }
  if (fileDigest(request.algorithm, held.digests(last + 1)) === digest) return;
  throw new SealiftError('digest-mismatch', 'The file digest of the commit is not that of the blocks held.', {
    details,
  });
}

function checkLength(facts: UploadFacts, index: number, length: number): void {
  const { size } = facts.request;
  if (length > 0 && (size === null || length === blockLength(size, index))) return;
  const message = `Block ${index} has ${length} bytes, which does not fit a file of ${size ?? 'unknown'} bytes.`;
  throw blockError(facts, 'bad-request', index, message);
}

function checkDigest(facts: UploadFacts, index: number, digest: string, content: Buffer): Buffer {
  const { algorithm } = facts.request;
  const parsed = parseBlockDigest(digest);
  if (parsed === undefined) {
    const message = 'The digest of the block is not of the form that it should have.';
    throw blockError(facts, 'bad-request', index, message);
  }
  const actual = blockDigest(parsed.algorithm, content);
  if (actual.equals(parsed.raw))
    return parsed.algorithm === algorithm ? actual : blockDigest(algorithm, content);
  throw blockError(
    facts,
    'digest-mismatch',
    index,
    `Block ${index} does not have the digest that came with it.`,
  );
}

/** Judges where a block of `length` bytes is to lie. Where the size is not known, nothing but this bounds what a few bytes may cost. */
export function checkPlace(facts: UploadFacts, index: number, length: number): void {
  const { request, short, held } = facts;
  if (request.size !== null) return;
  const isShort = length < BLOCK_BYTES;
  if (short !== undefined && (index > short.index || (isShort && index !== short.index))) {
    const message = `Block ${short.index} is shorter than a block, so it is the last one and the only short one.`;
    throw blockError(facts, 'bad-request', index, message);
  }
  if (index > held.heldCount + MAX_BLOCKS_AHEAD)
    throw blockError(facts, 'bad-request', index, `Block ${index} is too far ahead of what is held.`);
}

function blockError(
  { id }: UploadFacts,
  code: 'bad-request' | 'digest-mismatch',
  index: number,
  message: string,
): SealiftError {
  return new SealiftError(code, message, { details: { upload: id, index } });
}
