import type { Socket } from 'node:net';

import { abortedError, nextTurn, sleep, throwIfAborted, type Clock } from '../clock.ts';
import type { Random } from '../random.ts';
import type { CutMode, Direction, Grant } from './fault-cut.ts';
import { Pace } from './fault-pace.ts';
import { valueOf, type Faults, type NumericFault } from './fault-settings.ts';

export interface FaultPipeOptions {
  source: Socket;
  destination: Socket;
  direction: Direction;
  clock: Clock;
  random: Random;
  /** Ends the pipe at once. */
  signal: AbortSignal;
  /** What is set now, and a promise for the moment when that changes. */
  faults: () => { settings: Faults; changed: Promise<void> };
  /**
   * Takes up to `wanted` bytes from what may still be forwarded, and counts them. Nothing granted and no cut: another
   * pipe is cutting just now.
   */
  spend: (wanted: number) => Grant;
  cut: (mode: CutMode) => void;
  /** Is called when something happens to the bytes of this pipe alone. */
  tell: (kind: 'corrupted' | 'stalled') => void;
}

/** Carries bytes one way, late, slowly, in pieces, damaged or only so far, as the faults say. */
export class FaultPipe {
  readonly #options: FaultPipeOptions;
  readonly #queue: Parcel[] = [];
  #queuedBytes = 0;
  #limitBytes = 0;
  #forwardedBytes = 0;
  #lastDueMs = 0;
  readonly #pace = new Pace();
  #wake = () => {};

  constructor(options: FaultPipeOptions) {
    this.#options = options;
  }

  /** Forwards until the source ends (then the destination is ended too). Rejects with `aborted` when the signal fires. */
  async run(): Promise<void> {
    const { source, destination, clock, signal } = this.#options;
    const onData = (bytes: Buffer) => this.#push(bytes);
    const onEnd = () => this.#push(undefined);
    source.on('data', onData).on('end', onEnd);
    try {
      for (;;) {
        const parcel = await this.#next();
        const earlyMs = parcel.dueMs - clock.monotonicMs();
        if (earlyMs > 0) await sleep(clock, earlyMs, signal);
        if (parcel.bytes === undefined) break;
        await this.#forward(parcel.bytes);
        this.#queuedBytes -= parcel.bytes.length;
        if (this.#queuedBytes < this.#limitBytes) source.resume();
      }
    } finally {
      source.off('data', onData).off('end', onEnd);
    }
    destination.end();
  }

  #push(bytes: Buffer | undefined): void {
    const { source, clock, random, signal } = this.#options;
    if (signal.aborted) return;
    const latencyMs = this.#fault('latencyMs') ?? 0;
    const jitterMs = (this.#fault('jitterMs') ?? 0) * random.fraction();
    // Never before what came earlier: TCP keeps the order.
    this.#lastDueMs = Math.max(this.#lastDueMs, clock.monotonicMs() + latencyMs + jitterMs);
    this.#queue.push({ bytes, dueMs: this.#lastDueMs });
    this.#queuedBytes += bytes?.length ?? 0;
    this.#limitBytes = latencyMs + jitterMs > 0 ? MAX_LATE_BYTES : MAX_QUEUED_BYTES;
    if (this.#queuedBytes >= this.#limitBytes) source.pause();
    this.#wake();
  }

  async #next(): Promise<Parcel> {
    const { signal } = this.#options;
    while (this.#queue.length === 0) {
      await untilAborted(signal, new Promise<void>((wake) => (this.#wake = wake)));
    }
    return this.#queue.shift() as Parcel;
  }

  async #forward(bytes: Buffer): Promise<void> {
    let rest = bytes;
    while (rest.length > 0) {
      const wanted = await this.#readyFor(rest.length);
      if (wanted > 0) rest = rest.subarray(await this.#forwardPiece(rest.subarray(0, wanted)));
    }
  }

  /** How many bytes may go now; after a wait 0, because the faults may have changed meanwhile. */
  async #readyFor(length: number): Promise<number> {
    const { clock, signal, faults } = this.#options;
    const stallAt = this.#fault('stallAfterBytes') ?? Infinity;
    if (this.#forwardedBytes >= stallAt) {
      this.#options.tell('stalled');
      await untilAborted(signal, faults().changed);
      return 0;
    }
    const rate = this.#rate;
    const earlyMs = this.#pace.earlyMs(rate, clock.monotonicMs());
    if (earlyMs > 0) {
      await sleep(clock, earlyMs, signal);
      return 0;
    }
    const split = this.#fault('splitBytes') ?? Infinity;
    return Math.min(length, this.#pace.pieceBytes(rate), split, stallAt - this.#forwardedBytes);
  }

  /** Forwards as much of `piece` as is granted, and answers how much that was. */
  async #forwardPiece(piece: Buffer): Promise<number> {
    const { clock, signal, spend, cut } = this.#options;
    const { granted, cut: mode } = spend(piece.length);
    this.#pace.spend(granted, this.#rate, clock.monotonicMs());
    if (granted > 0) await this.#write(piece.subarray(0, granted));
    if (mode !== undefined) cut(mode);
    else if (granted === 0) await untilAborted(signal);
    if (this.#fault('splitBytes') !== undefined) await nextTurn();
    throwIfAborted(signal);
    return granted;
  }

  async #write(bytes: Buffer): Promise<void> {
    const { destination, tell } = this.#options;
    const place = (this.#fault('corruptAtByte') ?? -1) - this.#forwardedBytes;
    if (place >= 0 && place < bytes.length) {
      bytes.writeUInt8(bytes.readUInt8(place) ^ 1, place);
      tell('corrupted');
    }
    this.#forwardedBytes += bytes.length;
    // Resolves when the kernel has them, or will never: then the socket's close ends this connection.
    await new Promise<void>((resolve) => destination.write(bytes, () => resolve()));
  }

  get #rate(): number {
    return this.#fault('bytesPerSecond') ?? Infinity;
  }

  #fault(name: NumericFault): number | undefined {
    const { faults, direction } = this.#options;
    return valueOf(faults().settings, name, direction);
  }
}

interface Parcel {
  /** Undefined: the end. */
  bytes: Buffer | undefined;
  dueMs: number;
}

/** What is read ahead, so that a slow destination is felt by the source. */
const MAX_QUEUED_BYTES = 65_536;
/** The same where bytes are under way for some time: with 100 ms this allows 40 MB/s. */
const MAX_LATE_BYTES = 4 * 1_048_576;

/** Waits for the event, if one is given, and rejects with `aborted` if the signal fires first. */
async function untilAborted(signal: AbortSignal, event?: Promise<void>): Promise<void> {
  throwIfAborted(signal);
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(abortedError(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await (event ? Promise.race([event, promise]) : promise);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
