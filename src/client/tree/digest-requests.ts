import { nextTurn } from '../../clock.ts';
import { SealiftError } from '../../errors.ts';
import { CONTENT_TYPE } from '../../protocol/header.ts';
import { pathsContent } from '../../protocol/requests.ts';
import { DIGESTS_END, readAnswer, readFileDigest, readListing } from '../../protocol/responses.ts';
import type { DigestAlgorithm } from '../../transfer/digests.ts';
import type { Client } from '../client.ts';

/** Who asks a server, through broken connections. */
export type Ask = <T>(question: (client: Client) => Promise<T>) => Promise<T>;

/** A file digest, and of which algorithm it is. */
export interface RemoteDigest {
  digest: string;
  algorithm: DigestAlgorithm;
}

/** Files that are asked about in one request: their paths fit its content, however long they are. */
const FILES_PER_REQUEST = 120;
/** Requests that are not full, under way at once: what comes meanwhile is gathered. */
const MAX_PARTIAL_REQUESTS = 2;

interface Waiting {
  path: string;
  settle: PromiseWithResolvers<RemoteDigest | undefined>;
}

/** Asks a server for the digests of small files, of many in one request. */
export class DigestRequests {
  readonly #ask: Ask;
  readonly #signal: () => AbortSignal | undefined;
  #waiting: Waiting[] = [];
  #partial = 0;
  #isSendingSoon = false;

  /** `signal` is asked for each time. */
  constructor(ask: Ask, signal: () => AbortSignal | undefined) {
    this.#ask = ask;
    this.#signal = signal;
  }

  /** Undefined where the server has to be asked for the file by itself. */
  digest(path: string): Promise<RemoteDigest | undefined> {
    const settle = Promise.withResolvers<RemoteDigest | undefined>();
    this.#waiting.push({ path, settle });
    this.#sendSoon();
    return settle.promise;
  }

  /** What else is asked for in this turn comes along. */
  #sendSoon(): void {
    if (this.#isSendingSoon) return;
    this.#isSendingSoon = true;
    void nextTurn().then(() => {
      this.#isSendingSoon = false;
      this.#send();
    });
  }

  #send(): void {
    const isWorthIt = () =>
      this.#waiting.length >= FILES_PER_REQUEST ||
      (this.#waiting.length > 0 && this.#partial < MAX_PARTIAL_REQUESTS);
    while (isWorthIt()) void this.#sendOne(this.#waiting.splice(0, FILES_PER_REQUEST));
  }

  async #sendOne(files: Waiting[]): Promise<void> {
    const isPartial = files.length < FILES_PER_REQUEST;
    if (isPartial) this.#partial += 1;
    const paths = files.map(({ path }) => path);
    try {
      const digests = await this.#ask((client) => remoteDigests(client, paths, this.#signal()));
      for (const [index, { settle }] of files.entries()) settle.resolve(digests[index]);
    } catch (error) {
      for (const { settle } of files) settle.reject(error);
    } finally {
      if (isPartial) this.#partial -= 1;
      this.#sendSoon();
    }
  }
}

/** In the order of `paths`; undefined for those that have to be asked for by themselves: all of them if the server knows no other way. */
async function remoteDigests(
  client: Client,
  paths: readonly string[],
  signal: AbortSignal | undefined,
): Promise<(RemoteDigest | undefined)[]> {
  if (!client.hello.features.includes('file-digests')) return [];
  const request = { content: pathsContent(paths), contentType: CONTENT_TYPE.json, signal };
  const { content } = await client.request('file-digests', {}, request);
  const digests = readListing(content, 'digests', readFileDigest);
  if (digests.length === paths.length)
    return digests.map((digest) => (digest === undefined ? undefined : ofConnection(client, digest)));
  throw new SealiftError(
    'protocol-violation',
    'The server sent another number of digests than it was asked for.',
  );
}

/** The digest of one file of any size, from its data now. */
export async function remoteDigest(
  client: Client,
  path: string,
  signal?: AbortSignal,
): Promise<RemoteDigest> {
  const { header } = await client.request('digests', { path }, { signal });
  return ofConnection(client, readAnswer(DIGESTS_END, header).digest);
}

function ofConnection({ algorithm }: Client, digest: string): RemoteDigest {
  if (digest.startsWith(`${algorithm}-1m:`)) return { digest, algorithm };
  throw new SealiftError('protocol-violation', 'The server sent a digest that is none of this connection.');
}
