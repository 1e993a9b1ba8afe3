import type { Clock } from '../clock.ts';
import { isSealiftError } from '../errors.ts';
import { formatBlockDigest } from '../transfer/digests.ts';
import type { Client } from './client.ts';
import { SendWindow } from './send-window.ts';

/** How often a block is sent again on one connection when the server says that it is not what its digest says. */
const MAX_RESENDS = 3;

/** Sends the blocks of one upload on one connection, as many at once as the way needs. */
export class BlockSender {
  readonly #client: Client;
  readonly #upload: string;
  readonly #signal: AbortSignal | undefined;
  readonly #clock: Clock;
  readonly #window: SendWindow;
  readonly #answers = new Set<Promise<void>>();
  #failure: { error: unknown } | undefined;

  constructor(
    client: Client,
    upload: string,
    { clock, signal }: { clock: Clock; signal: AbortSignal | undefined },
  ) {
    this.#client = client;
    this.#upload = upload;
    this.#signal = signal;
    this.#clock = clock;
    // One request is kept free for whatever else there is to say.
    this.#window = new SendWindow({
      clock,
      rttMs: client.rttMs,
      maxBlocks: Math.max(2, client.hello.maxRequests - 2),
    });
  }

  /** Resolves when the block is on its way; `onHeld` is called when the server holds it. Throws the first failure of any block before. */
  async send(index: number, raw: Buffer, block: Buffer, onHeld: () => void): Promise<void> {
    await this.#window.enter();
    this.#throwFailure();
    const startMs = this.#clock.monotonicMs();
    let latencyMs = Infinity;
    const answer = this.#sendUntilHeld(index, raw, block)
      .then(() => {
        latencyMs = this.#clock.monotonicMs() - startMs;
        onHeld();
      })
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#answers.delete(answer);
        this.#window.leave(latencyMs);
      });
    this.#answers.add(answer);
  }

  /** Resolves when every block is held. Throws the first failure. */
  async drained(): Promise<void> {
    await Promise.all(this.#answers);
    this.#throwFailure();
  }

  async #sendUntilHeld(index: number, raw: Buffer, block: Buffer): Promise<void> {
    const fields = { upload: this.#upload, index, digest: formatBlockDigest(this.#client.algorithm, raw) };
    for (let resends = 0; ; resends += 1) {
      try {
        await this.#client.request('block', fields, { content: block, signal: this.#signal });
        return;
      } catch (error) {
        if (resends === MAX_RESENDS || !isSealiftError(error, 'digest-mismatch', 'incomplete')) throw error;
      }
    }
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }
}
