import { hash } from 'node:crypto';

import { BLOCK_BYTES } from '../../src/protocol/limits.ts';
import type { RawContent } from './raw-client.ts';

/** What `RawClient.ask` and `begin` take. */
export type RawRequest = [action: string, fields: Record<string, unknown>, content?: RawContent];

/** The digest of one block, made by hand so that nothing of the sources vouches for itself. */
export function blockDigestOf(content: Uint8Array): string {
  return `sha256:${hash('sha256', content)}`;
}

/** The digest of a file with this content. */
export function fileDigestOf(content: Uint8Array): string {
  const raw = blocksOf(content).map((block) => hash('sha256', block, 'buffer'));
  return `sha256-1m:${hash('sha256', Buffer.concat(raw))}`;
}

/** The blocks of a file, in order. */
export function blocksOf(content: Uint8Array): Uint8Array[] {
  const count = Math.ceil(content.length / BLOCK_BYTES);
  return Array.from({ length: count }, (_, index) =>
    content.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES),
  );
}

/** A `put` of a whole small file. */
export function inlinePut(
  path: string,
  content: Uint8Array | string,
  fields: Record<string, unknown> = {},
): RawRequest {
  const bytes = Buffer.from(content);
  return ['put', { path, size: bytes.length, digest: blockDigestOf(bytes), ...fields }, { content: bytes }];
}

/** A block of an upload. */
export function blockRequest(
  upload: unknown,
  index: number,
  content: Uint8Array,
  fields: Record<string, unknown> = {},
): RawRequest {
  return ['block', { upload, index, digest: blockDigestOf(content), ...fields }, { content }];
}

/** The commit of an upload whose content is `content`. */
export function commitRequest(upload: unknown, content: Uint8Array): RawRequest {
  return ['commit', { upload, size: content.length, digest: fileDigestOf(content) }];
}
