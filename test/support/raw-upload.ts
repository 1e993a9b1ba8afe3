import { hash } from 'node:crypto';

import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import type { RawAnswer, RawClient } from './raw-client.ts';

/** Bytes that differ from place to place and from seed to seed. */
export function bytesOf(length: number, seed = 0): Buffer {
  const bytes = Buffer.alloc(length, `${seed} of these bytes, again and again. `);
  for (let at = 0; at < length; at += 4_096) bytes.writeUInt8((at / 4_096 + seed) % 251, at);
  return bytes;
}

export function blocksOf(content: Buffer): Buffer[] {
  const count = Math.ceil(content.length / BLOCK_BYTES);
  return Array.from({ length: count }, (_, index) =>
    content.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES),
  );
}

/** The SHA-256 of a block, as the protocol writes it. */
export function digestOf(block: Buffer): string {
  return `sha256:${hash('sha256', block)}`;
}

/** The file digest by SHA-256, as the protocol writes it. */
export function fileDigestOf(content: Buffer): string {
  const raw = blocksOf(content).map((block) => hash('sha256', block, 'buffer'));
  return `sha256-1m:${hash('sha256', Buffer.concat(raw))}`;
}

type Fields = Record<string, unknown>;

/** Puts a small file in one request. */
export function putInline(
  client: RawClient,
  path: string,
  content: Buffer,
  fields: Fields = {},
): Promise<RawAnswer> {
  return client.ask('put', { path, size: content.length, digest: digestOf(content), ...fields }, { content });
}

/** Begins an upload, and resolves to its id and to what is held, by index. */
export async function beginUpload(
  client: RawClient,
  path: string,
  size: number | null,
  fields: Fields = {},
): Promise<{ upload: string; base: string; held: string[] }> {
  const { header, parts } = await client.askOk('put', { path, size, ...fields });
  return { upload: header['upload'] as string, base: header['base'] as string, held: heldIn({ parts }) };
}

/** The digests in the pages of an answer, `''` for a block that is not held. */
export function heldIn({ parts }: Pick<RawAnswer, 'parts'>): string[] {
  const pages = parts.filter(({ header }) => header['content-type'] === 'application/x-digest-list');
  const list = Buffer.concat(pages.map(({ content }) => content));
  return Array.from({ length: list.length / 32 }, (_, index) => {
    const hex = list.subarray(index * 32, index * 32 + 32).toString('hex');
    return /^0+$/.test(hex) ? '' : `sha256:${hex}`;
  });
}

export function sendBlock(
  client: RawClient,
  upload: string,
  index: number,
  content: Buffer,
  fields: Fields = {},
): Promise<RawAnswer> {
  return client.ask('block', { upload, index, digest: digestOf(content), ...fields }, { content });
}

export function commit(
  client: RawClient,
  upload: string,
  content: Buffer,
  fields: Fields = {},
): Promise<RawAnswer> {
  return client.ask('commit', { upload, size: content.length, digest: fileDigestOf(content), ...fields });
}

/** Puts a file in blocks, all of them; throws what goes wrong. */
export async function putBlocks(
  client: RawClient,
  path: string,
  content: Buffer,
  fields: Fields = {},
): Promise<RawAnswer> {
  const { upload } = await beginUpload(client, path, content.length, fields);
  for (const [index, block] of blocksOf(content).entries()) await sendBlock(client, upload, index, block);
  const answer = await commit(client, upload, content);
  if (answer.header['status'] !== 'ok') throw new Error(`commit: ${JSON.stringify(answer.header)}`);
  return answer;
}

/** What stands at `path`, whole; undefined if nothing does. */
export async function fetched(client: RawClient, path: string): Promise<Buffer | undefined> {
  const { header, content, parts } = await client.ask('get', { path });
  if (header['code'] === 'not-found') return undefined;
  if (header['status'] !== 'ok') throw new Error(`get: ${JSON.stringify(header)}`);
  const blocks = parts.filter((part) => part.header['status'] === 'block').map((part) => part.content);
  return Buffer.concat([content, ...blocks]);
}
