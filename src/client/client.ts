import { SealiftError } from '../errors.ts';
import type { Message } from '../protocol/decoder.ts';
import { BLOCK_BYTES } from '../protocol/limits.ts';
import type { Action, RequestFields } from '../protocol/requests.ts';
import {
  FILE_ANSWER,
  PING_ANSWER,
  readAnswer,
  readListEntry,
  readListing,
  readPath,
  readUnlisted,
  RECEIPT,
  STAT_ANSWER,
  type HelloAnswer,
  type ListEntry,
  type Receipt,
  type StatAnswer,
  type Unlisted,
} from '../protocol/responses.ts';
import {
  blockDigest,
  formatBlockDigest,
  smallFileDigest,
  type DigestAlgorithm,
} from '../transfer/digests.ts';
import type { Address } from '../transport/address.ts';
import { blockBuffers } from '../transport/block-buffers.ts';
import { Compressor, type EncodedContent } from '../transport/compressor.ts';
import { chooseEncoding, decodedContent, type ContentEncoding } from '../transport/content-encoding.ts';
import type { Peer } from '../transport/peer.ts';
import { assertBlockDigest } from './block-digest.ts';
import { pagesOf } from './pages.ts';
import { assertBytes, type RequestOptions, type Requests } from './requests.ts';

/** How a file is to stand on the server. */
export type PutOptions = Pick<RequestFields<'put'>, 'mtimeMs' | 'mode' | 'durability' | 'if' | 'etag'> & {
  signal?: AbortSignal | undefined;
};

/** What of a directory is listed. */
export interface ListOptions {
  recursive?: boolean;
  versions?: boolean;
  onUnlisted?: (unlisted: Unlisted) => void;
  signal?: AbortSignal | undefined;
}

/** A file that was fetched in one piece. */
export interface WholeFile {
  content: Buffer;
  /** Its file digest. */
  digest: string;
  mtimeMs: number;
  mode: number;
  etag: string;
}

/** The digests of a content of at most one block. */
interface WholeDigests {
  raw: Buffer;
  file: string;
}

/** What a client is made of, once the hello is finished. */
export interface ClientParts {
  address: Address;
  peer: Peer;
  hello: HelloAnswer;
  rttMs: number;
  encodings: readonly ContentEncoding[];
}

/**
 * A connection to a server on which the hello is finished. Methods may be called at once, and may be called again
 * after a failure; those that fail because the connection is gone need a new client.
 */
export class Client implements AsyncDisposable {
  readonly address: Address;
  readonly peer: Peer;
  readonly hello: HelloAnswer;
  /** How long the hello took, in milliseconds: one round trip, and the server's look at who we are. */
  readonly rttMs: number;
  readonly #requests: Requests;
  /** Those that we decode, and whether we encode. */
  readonly #encodings: readonly ContentEncoding[];
  readonly #smallFiles: Compressor;

  constructor(requests: Requests, { address, peer, hello, rttMs, encodings }: ClientParts) {
    this.#requests = requests;
    this.address = address;
    this.peer = peer;
    this.hello = hello;
    this.rttMs = rttMs;
    this.#encodings = encodings;
    this.#smallFiles = this.compressor();
  }

  /** Whether the connection still stands. */
  get isAlive(): boolean {
    return this.#requests.failure === undefined;
  }

  /** @internal How many small requests should be made at once: so many as are `wanted`, or as keep the way and the server busy. */
  atOnce(wanted?: number): number {
    return this.#requests.atOnce(wanted);
  }

  /** The algorithm of every digest on this connection. */
  get algorithm(): DigestAlgorithm {
    return this.hello.digest;
  }

  /** Any request of the protocol; resolves with the final `ok`. */
  request<A extends Action>(action: A, fields: RequestFields<A>, options?: RequestOptions): Promise<Message> {
    return this.#requests.send(action, fields, options);
  }

  /** @internal What compresses the contents of one file for this server, if that was asked for. */
  compressor(): Compressor {
    return new Compressor(this.#encodings.length === 0 ? undefined : chooseEncoding(this.hello.encodings));
  }

  /** @internal Whether the server decodes a content as it is. */
  takes({ contentEncoding }: EncodedContent): boolean {
    return contentEncoding === undefined || this.hello.encodings.includes(contentEncoding);
  }

  /** The file bytes of an answer or of a part of one, whose own content is not to be used any more. Throws `protocol-violation`. */
  async fileBytes(answer: Message): Promise<Buffer> {
    const decoded = await decodedContent(answer, {
      accepted: this.#encodings,
      code: 'protocol-violation',
    });
    if (decoded !== answer.content) blockBuffers.give(answer.content);
    return decoded;
  }

  /** Resolves with the server's time, in milliseconds since 1970. */
  async ping(options: { signal?: AbortSignal } = {}): Promise<number> {
    return readAnswer(PING_ANSWER, (await this.request('ping', {}, options)).header).timeMs;
  }

  /** Sends any bytes, at most a block, and resolves with what comes back. */
  async echo(content: Buffer, options: { signal?: AbortSignal } = {}): Promise<Buffer> {
    return (await this.request('echo', {}, { content, ...options })).content;
  }

  /** What stands under a path; or the `version` of the file that stood there, always without its digest. */
  async stat(
    path: string,
    {
      digest,
      version,
      signal,
    }: { digest?: boolean; version?: string | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<StatAnswer> {
    if (version !== undefined) return this.#statVersion(path, version, signal);
    return readAnswer(STAT_ANSWER, (await this.request('stat', { path, digest }, { signal })).header);
  }

  /** What a directory holds; with `versions` the former versions of its files instead, or those of the file `path`. `onUnlisted` is told of directories that hold names which no path can say, or at which the server may not look. */
  async *list(path: string, options: ListOptions = {}): AsyncGenerator<ListEntry> {
    for await (const page of this.listPages(path, options)) yield* page;
  }

  /** @internal The same, page by page as the server sends it. */
  listPages(path: string, options: ListOptions): AsyncGenerator<ListEntry[]> {
    const { recursive = false, versions, onUnlisted, signal } = options;
    const fields = { path, recursive, versions };
    return pagesOf(
      (request) => this.request('list', fields, request),
      ({ content }) => {
        if (onUnlisted !== undefined) readUnlisted(content).forEach(onUnlisted);
        return readListing(content, 'entries', readListEntry);
      },
      signal,
    );
  }

  /** The paths of the files that contain or match `query`. */
  async *search(query: string, { signal }: { signal?: AbortSignal } = {}): AsyncGenerator<string> {
    const pages = pagesOf(
      (options) => this.request('search', { query }, options),
      ({ content }) => readListing(content, 'result', readPath),
      signal,
    );
    for await (const page of pages) yield* page;
  }

  /** Stores a file of at most one block. Larger ones go through `upload`. */
  async put(path: string, content: Buffer, { signal, ...options }: PutOptions = {}): Promise<Receipt> {
    assertBytes(content);
    if (content.length > BLOCK_BYTES)
      throw new SealiftError('invalid-argument', 'A content of more than 1 MiB has to be sent by upload().');
    return this.putHashed(path, content, this.digestsOf(content), { ...options, signal });
  }

  /** @internal The digests of a content of at most one block: its own, raw, and that of the file. */
  digestsOf(content: Buffer): WholeDigests {
    const raw = blockDigest(this.algorithm, content);
    return { raw, file: smallFileDigest(this.algorithm, content.length, raw) };
  }

  /** @internal As `put`, for who has the digests. */
  async putHashed(
    path: string,
    content: Buffer,
    { raw, file }: WholeDigests,
    { signal, ...options }: PutOptions,
  ): Promise<Receipt> {
    const digest = formatBlockDigest(this.algorithm, raw);
    const fields = Object.assign(options, { path, size: content.length, digest });
    const { isActive } = this.#smallFiles;
    // Awaited in any case: who puts many files in one turn has made all of them before the first bytes of any leave.
    const encoded = await (isActive ? this.#smallFiles.compress(content) : { content });
    const { header } = await this.request('put', fields, { ...encoded, signal });
    return this.checkedReceipt(header, content.length, file, options.durability);
  }

  /** Fetches a file, or a former `version` of it, of at most one block, checked; `digest` is its file digest. Larger ones come through `download`. */
  async get(
    path: string,
    { version, signal }: { version?: string; signal?: AbortSignal | undefined } = {},
  ): Promise<WholeFile> {
    // Made only where it is thrown: with its stack, for each of many small files, it took 3 % of their time.
    const tooLarge = () =>
      new SealiftError(
        'too-large',
        `${JSON.stringify(path)} has more than 1 MiB and has to be fetched by download().`,
      );
    const answer = await this.request(
      'get',
      { path, blockCount: 1, version },
      { signal, onPart: () => Promise.reject(tooLarge()) },
    );
    const { digest, size, ...attributes } = readAnswer(FILE_ANSWER, answer.header);
    const content = await this.fileBytes(answer);
    if (digest === undefined || size !== content.length) {
      throw new SealiftError('protocol-violation', 'The server answered with a file that is not whole.');
    }
    const raw = assertBlockDigest(content, digest, { index: 0, algorithm: this.algorithm });
    return {
      content,
      digest: smallFileDigest(this.algorithm, content.length, raw),
      ...attributes,
    };
  }

  async mkdir(path: string, attributes: { mtimeMs?: number; mode?: number } = {}): Promise<void> {
    await this.request('mkdir', { path, ...attributes });
  }

  async set(path: string, attributes: { mtimeMs?: number; mode?: number }): Promise<void> {
    await this.request('set', { path, ...attributes });
  }

  async symlink(path: string, target: string, options: Pick<PutOptions, 'if' | 'etag'> = {}): Promise<void> {
    await this.request('symlink', { path, target, ...options });
  }

  async remove(path: string, { recursive = false }: { recursive?: boolean } = {}): Promise<void> {
    await this.request('remove', { path, recursive });
  }

  async move(path: string, to: string, options: Pick<PutOptions, 'if' | 'etag'> = {}): Promise<void> {
    await this.request('move', { path, to, ...options });
  }

  /** Resolves once everything that was put on this connection with durability `memory` is on the server's disk. */
  async sync(): Promise<void> {
    await this.request('sync', {});
  }

  /** Takes the lease `name`, or renews it. Throws `locked` while somebody else holds it. See `acquireLease`. */
  async lock(
    name: string,
    { signal, ...lease }: { ttlMs: number; holder?: string; signal?: AbortSignal | undefined },
  ): Promise<void> {
    await this.request('lock', { name, ...lease }, { signal });
  }

  /** Gives the lease `name` back, also if nobody holds it. Throws `locked` if somebody else does. */
  async unlock(
    name: string,
    { signal, ...lease }: { holder?: string; signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    await this.request('unlock', { name, ...lease }, { signal });
  }

  /**
   * Reads a receipt and checks that it is for what was sent, and promises what was asked for. Throws
   * `digest-mismatch` or `protocol-violation`.
   */
  checkedReceipt(
    header: Message['header'],
    size: number,
    digest: string,
    durability: PutOptions['durability'] = 'disk',
  ): Receipt {
    const receipt = readAnswer(RECEIPT, header);
    // Nobody would sync it: to who asked for the disk it is done.
    if (durability === 'disk' && receipt.durability !== 'disk')
      throw new SealiftError(
        'protocol-violation',
        'The server did not bring to its disk what it was asked to, and said so.',
      );
    if (receipt.size === size && receipt.digest === digest) return receipt;
    throw new SealiftError(
      'digest-mismatch',
      `The receipt of the server is for ${receipt.size} bytes with ${receipt.digest}, not for the ${size} bytes that were sent.`,
    );
  }

  /** Ends the connection. What is under way on it, and what comes later, fails with `reason`, by default with `aborted`. May be called again. */
  async close(
    reason = new SealiftError('aborted', 'The connection was closed on this side.'),
  ): Promise<void> {
    await this.#requests.close(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // No action tells of a version alone, but a `get` does before its first block, of which none is asked for here.
  async #statVersion(path: string, version: string, signal: AbortSignal | undefined): Promise<StatAnswer> {
    let header: Message['header'] | undefined;
    const onPart = async (part: Message) => {
      header = part.header;
    };
    const answer = await this.request('get', { path, version, blockCount: 0 }, { signal, onPart });
    const { digest: _digest, ...attributes } = readAnswer(FILE_ANSWER, header ?? answer.header);
    return { type: 'file', ...attributes };
  }
}
