import { isSealiftError, type SealiftError } from '../errors.ts';
import type { Receipt, StatAnswer } from '../protocol/responses.ts';
import { abortable } from './abortable.ts';
import type { Client, PutOptions } from './client.ts';

/** How it is published. */
export interface UploadPublishingOptions extends Pick<PutOptions, 'durability' | 'mtimeMs' | 'signal'> {
  /** Called when all is sent and before the name is taken: for whatever has to make room. What it resolves with takes that back. */
  beforePublishing?: ((client: Client) => Promise<TakeBack | undefined>) | undefined;
}

/** Called when the server is found to have no place for what was to be published. */
export type TakeBack = (client: Client) => Promise<void>;

/** Whether the server says that it cannot or must not keep what it was sent, now or later. */
export function hasNoPlace(error: unknown): boolean {
  return isSealiftError(error, 'quota-exceeded', 'no-space', 'too-large', 'forbidden');
}

/** An upload of which all was sent. */
export interface Commit {
  upload: string;
  size: number;
  digest: string;
}

/**
 * Gives what was sent its name on the server. The answer to that may be lost, so that nobody knows whether it was done:
 * a later attempt finds out.
 */
export class UploadPublishing {
  readonly #path: string;
  readonly #options: UploadPublishingOptions;
  /** What was sent and not answered: it may have been done. */
  #unanswered: Commit | 'inline' | undefined;
  #takeBack: TakeBack | undefined;

  constructor(path: string, options: UploadPublishingOptions) {
    this.#path = path;
    this.#options = options;
  }

  /** What was sent before is of no use for what comes: it has digests of another kind. */
  forget(): void {
    this.#unanswered = undefined;
  }

  /** `put` sends a whole content and publishes it. */
  inline(
    client: Client,
    content: { size: number; digest: string },
    put: () => Promise<Receipt>,
  ): Promise<Receipt> {
    return this.#orEarlierSuccess(client, content, () => {
      this.#unanswered = 'inline';
      return put();
    });
  }

  async commit(client: Client, commit: Commit): Promise<Receipt> {
    try {
      return await this.#orEarlierSuccess(client, commit, async () => {
        this.#unanswered = commit;
        const { durability, signal } = this.#options;
        const { header } = await client.request('commit', { ...commit }, { signal });
        return client.checkedReceipt(header, commit.size, commit.digest, durability);
      });
    } catch (error) {
      // It will never get this name: what was sent would only lie on the server until it is old.
      if (isSealiftError(error, 'exists', 'precondition-failed', 'forbidden', 'unsupported'))
        await client.request('abort', { upload: commit.upload }).catch(() => undefined);
      throw error;
    }
  }

  /** The receipt for a commit whose answer was lost: said again it gives the same, unless the server knows nothing of it. */
  async commitAgain(client: Client): Promise<Receipt | undefined> {
    if (this.#unanswered === undefined || this.#unanswered === 'inline') return undefined;
    try {
      return await this.commit(client, this.#unanswered);
    } catch (error) {
      if (isSealiftError(error, 'unknown-upload', 'incomplete', 'superseded', 'digest-mismatch'))
        return undefined;
      throw error;
    }
  }

  /** Runs a whole upload. The server judges its condition also when it begins, and may meet what our own commit left there. */
  whole(client: Client, upload: () => Promise<Receipt>): Promise<Receipt> {
    const unanswered = this.#unanswered;
    if (unanswered === undefined || unanswered === 'inline') return upload();
    return this.#orEarlierSuccess(client, unanswered, upload);
  }

  // A retry that finds its own digest in the way has been preceded by itself.
  async #orEarlierSuccess(
    client: Client,
    { size, digest }: { size: number; digest: string },
    publish: () => Promise<Receipt>,
  ): Promise<Receipt> {
    const isRepeated = this.#unanswered !== undefined;
    const { beforePublishing, signal } = this.#options;
    if (!isRepeated) this.#takeBack = await abortable(beforePublishing?.(client), signal);
    try {
      const receipt = await publish();
      this.#unanswered = undefined;
      return receipt;
    } catch (error) {
      const isOwn =
        isRepeated &&
        isSealiftError(error, 'exists', 'precondition-failed', 'forbidden') &&
        error.details['digest'] === digest;
      // What goes wrong with that is the smaller trouble.
      if (!isOwn && hasNoPlace(error)) await this.#takeBack?.(client).catch(() => undefined);
      if (!isOwn) throw error;
      const { mtimeMs, etag = '' } = await this.#standing(client, error);
      const { durability = 'disk' } = this.#options;
      return { path: this.#path, size, digest, mtimeMs, etag, durability };
    }
  }

  /** What stands under the name. Who may not ask for that knows it from what was asked for, and from the `refusal`. */
  async #standing(client: Client, refusal: SealiftError): Promise<Pick<StatAnswer, 'mtimeMs' | 'etag'>> {
    try {
      return await client.stat(this.#path);
    } catch (error) {
      const { mtimeMs } = this.#options;
      const { etag } = refusal.details;
      if (!isSealiftError(error, 'forbidden') || mtimeMs === undefined || typeof etag !== 'string')
        throw error;
      return { mtimeMs, etag };
    }
  }
}
