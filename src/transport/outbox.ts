import type { Socket } from 'node:net';

import type { Clock } from '../clock.ts';

/** Bytes handed to the socket at once. Each such piece that the kernel takes is progress, so on a slow link this, over the stall timeout, is the slowest pace that still counts as alive. */
const PIECE_BYTES = 262_144;
/** The same where the last piece was taken within `FAST_MS`: while one is encrypted nothing else happens, between two of them the kernel may run dry. */
const FAST_PIECE_BYTES = 1_048_576;
const FAST_MS = 100;
/** Small messages that wait together leave in one piece of about this many bytes: a TLS record holds 16 KiB. */
const GATHER_BYTES = 65_536;

interface Outgoing {
  bytes: Uint8Array;
  /** Of the last part of a message: settled when the kernel has taken all of it, or never will. */
  taken: PromiseWithResolvers<void> | undefined;
}

/** What is done with what a socket tells. */
export interface OutboxEvents {
  /** Called when bytes begin to wait, whenever the kernel took some, and when none wait any more. */
  onProgress: (isWaiting: boolean) => void;
  /** What an error of the system is told as, which may come before the cause is known. */
  explain: (error: Error) => Error;
}

/** What waits to be sent on a socket, in order; the kernel's pace is the pace of `send`. */
export class Outbox {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #events: OutboxEvents;
  readonly #queue: Outgoing[] = [];
  #isWriting = false;
  #pieceBytes = PIECE_BYTES;
  #isEnding = false;
  #failure: Error | undefined;

  constructor(socket: Socket, clock: Clock, events: OutboxEvents) {
    this.#socket = socket;
    this.#clock = clock;
    this.#events = events;
  }

  /** Resolves when the kernel has taken all of `parts`, which leave without anything in between. */
  send(...parts: Uint8Array[]): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    const filled = parts.filter((part) => part.length > 0);
    const last = filled.pop();
    if (last === undefined) return Promise.resolve();
    const taken = Promise.withResolvers<void>();
    for (const bytes of filled) this.#queue.push({ bytes, taken: undefined });
    this.#queue.push({ bytes: last, taken });
    if (!this.#isWriting) this.#writeNext();
    return taken.promise;
  }

  /** Ends the stream once everything that waits is sent. May be called again. */
  end(): void {
    this.#isEnding = true;
    if (!this.#isWriting) this.#writeNext();
  }

  /** Everything that waits, and all that comes later, fails with `error`. May be called again. */
  fail(error: Error): void {
    this.#failure ??= error;
    for (const { taken } of this.#queue.splice(0)) taken?.reject(this.#failure);
  }

  #writeNext(): void {
    if (this.#queue.length === 0) {
      this.#events.onProgress(false);
      if (this.#isEnding) this.#socket.end();
      return;
    }
    const { bytes, messages } = this.#takePiece();
    this.#isWriting = true;
    const startMs = this.#clock.monotonicMs();
    this.#events.onProgress(true);
    this.#socket.write(bytes, (error) => {
      this.#isWriting = false;
      this.#pieceBytes = this.#clock.monotonicMs() - startMs < FAST_MS ? FAST_PIECE_BYTES : PIECE_BYTES;
      if (error) this.fail(this.#events.explain(error));
      for (const taken of messages) {
        if (error) taken?.reject(this.#failure);
        else taken?.resolve();
      }
      if (!error) this.#writeNext();
    });
  }

  // Either a slice of a large part, or several small parts in one buffer: a copy of a few bytes costs less than
  // a record and a system call each.
  #takePiece(): { bytes: Uint8Array; messages: Outgoing['taken'][] } {
    const first = this.#queue[0] as Outgoing;
    if (first.bytes.length > this.#pieceBytes) {
      const bytes = first.bytes.subarray(0, this.#pieceBytes);
      first.bytes = first.bytes.subarray(this.#pieceBytes);
      return { bytes, messages: [] };
    }
    let total = 0;
    let count = 0;
    for (const { bytes } of this.#queue) {
      if (count > 0 && total + bytes.length > GATHER_BYTES) break;
      total += bytes.length;
      count += 1;
    }
    const gathered = this.#queue.splice(0, count);
    return {
      bytes:
        count === 1
          ? first.bytes
          : Buffer.concat(
              gathered.map(({ bytes }) => bytes),
              total,
            ),
      messages: gathered.map(({ taken }) => taken),
    };
  }
}
