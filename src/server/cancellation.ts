import type { SealiftError } from '../errors.ts';

/** What ends a request that is being worked on. Its signal is made when it is asked for first: of many small requests none needs one. */
export class Cancellation {
  #controller: AbortController | undefined;
  #reason: SealiftError | undefined;

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  /** May be called again; the first reason counts. */
  abort(reason: SealiftError): void {
    this.#reason ??= reason;
    this.#controller?.abort(this.#reason);
  }
}
