import type { RequestFields } from '../protocol/requests.ts';
import type { Receipt } from '../protocol/responses.ts';
import type { BlockSource } from './block-source.ts';
import type { Client, PutOptions } from './client.ts';
import type { ResumeKeys } from './resume-keys.ts';
import type { TransferOptions } from './transfer-options.ts';
import type { UploadPublishingOptions } from './upload-publishing.ts';

export interface UploadOptions
  extends TransferOptions, Omit<PutOptions, 'signal'>, Pick<UploadPublishingOptions, 'beforePublishing'> {
  /** Where the server is to begin: see the protocol's `put`. Default `partial`. */
  base?: RequestFields<'put'>['base'];
  /** Where resume keys are kept between runs, and under what name; none: only this call resumes. */
  resume?: { keys: ResumeKeys; name: string } | undefined;
}

/** What an upload did. */
export interface UploadResult {
  receipt: Receipt;
  /** File bytes given to the socket, over all attempts. */
  sentBytes: number;
  /** File bytes that the server held already. */
  resumedBytes: number;
  retries: number;
  /** The connection that the receipt came on: one for `memory` is void if that ends before it was synced. */
  client: Client;
}

/** How a source is to stand on the server. */
export function putOptionsOf(source: BlockSource, options: UploadOptions): PutOptions {
  const { mtimeMs = source.mtimeMs, mode, durability, if: condition, etag, signal } = options;
  const put: PutOptions = {};
  if (mtimeMs !== undefined) put.mtimeMs = mtimeMs;
  if (mode !== undefined) put.mode = mode;
  if (durability !== undefined) put.durability = durability;
  if (condition !== undefined) put.if = condition;
  if (etag !== undefined) put.etag = etag;
  if (signal !== undefined) put.signal = signal;
  return put;
}
