import type { Clock } from '../clock.ts';
import type { Message } from '../protocol/decoder.ts';
import { BLOCK_BYTES, MAX_CONTENT_BYTES_BEFORE_HELLO } from '../protocol/limits.ts';
import { MAX_KEPT } from './block-buffers.ts';

/** What contents that come in or are worked on take together, in bytes: as many blocks as are kept for reuse. */
const ROOM_BYTES = MAX_KEPT * BLOCK_BYTES;
/** Where less than `MIN_WINDOW_BYTES` comes in so many milliseconds, the sender is slow, and not we; what is worked on for longer waits for something of its own. */
const WINDOW_MS = 50;
const MIN_WINDOW_BYTES = 100_000;

/** A content on its way in, until nobody needs it any more. */
interface Arrival {
  /** What it takes of the room. */
  bytes: number;
  /** Called when it may come, if it had to wait. */
  admit: () => void;
  /** What came of it since that was looked at last. */
  windowBytes: number;
  cancelTimer?: () => void;
}

/**
 * The contents that come in on all connections of a server. What comes faster than it can be worked on waits with those
 * who send it: of a thousand clients at once each would have a block in the memory of the server. What is slow, on its way or
 * on its disk, keeps nobody waiting: it is not counted any more.
 */
export class Intake {
  readonly #clock: Clock;
  readonly #waiting = new Set<Arrival>();
  readonly #counted = new Set<Arrival>();
  #freeBytes = ROOM_BYTES;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A content begins to come. False if it has to wait. */
  begin(arrival: Arrival): boolean {
    const isFree = this.#waiting.size === 0 && arrival.bytes <= this.#freeBytes;
    if (isFree) this.#count(arrival);
    else this.#waiting.add(arrival);
    return isFree;
  }

  /** All of it has come. */
  arrived(arrival: Arrival): void {
    if (!this.#counted.has(arrival)) return;
    arrival.cancelTimer?.();
    arrival.cancelTimer = this.#clock.schedule(WINDOW_MS, () => this.leave(arrival));
  }

  /** It is not needed any more. May be called again. */
  leave(arrival: Arrival): void {
    arrival.cancelTimer?.();
    this.#waiting.delete(arrival);
    if (!this.#counted.delete(arrival)) return;
    this.#freeBytes += arrival.bytes;
    for (const next of this.#waiting) {
      if (next.bytes > this.#freeBytes) return;
      this.#waiting.delete(next);
      this.#count(next);
      next.admit();
    }
  }

  #count(arrival: Arrival): void {
    this.#counted.add(arrival);
    this.#freeBytes -= arrival.bytes;
    this.#watch(arrival);
  }

  #watch(arrival: Arrival): void {
    arrival.windowBytes = 0;
    arrival.cancelTimer = this.#clock.schedule(WINDOW_MS, () => {
      if (arrival.windowBytes < MIN_WINDOW_BYTES) this.leave(arrival);
      else this.#watch(arrival);
    });
  }
}

/** The intake for one connection, on which one content comes at a time. */
export class ConnectionIntake {
  readonly #intake: Intake | undefined;
  readonly #onAdmitted: () => void;
  /** Whether the content that is coming has to wait. */
  isWaiting = false;
  #arrival: Arrival | undefined;

  /** Without an intake everything comes as it is sent. `onAdmitted` is called when what had to wait may come. */
  constructor(intake: Intake | undefined, onAdmitted: () => void) {
    this.#intake = intake;
    this.#onAdmitted = onAdmitted;
  }

  /** `bytes` came, and a content of `length` bytes is coming now; 0 if none is. */
  came(bytes: number, length: number): void {
    if (this.#arrival !== undefined) this.#arrival.windowBytes += bytes;
    // What a stranger may send is not counted: all together it is little, and would keep others waiting.
    else if (this.#intake !== undefined && length > MAX_CONTENT_BYTES_BEFORE_HELLO) {
      this.#arrival = {
        bytes: roomFor(length),
        windowBytes: 0,
        admit: () => this.#admit(),
      };
      this.isWaiting = !this.#intake.begin(this.#arrival);
    }
  }

  /** The message is whole; whoever receives it says when its content is not needed any more. */
  whole(message: Message): Message {
    const arrival = this.#arrival;
    if (arrival === undefined) return message;
    this.#arrival = undefined;
    this.#intake?.arrived(arrival);
    return { ...message, release: () => this.#intake?.leave(arrival) };
  }

  /** Nothing comes any more. */
  close(): void {
    if (this.#arrival !== undefined) this.#intake?.leave(this.#arrival);
  }

  #admit(): void {
    this.isWaiting = false;
    this.#onAdmitted();
  }
}

/** What a content of `length` bytes takes of the room: many long ones at once would all be worked on for longer than is counted. */
function roomFor(length: number): number {
  return length < BLOCK_BYTES / 4 ? length : BLOCK_BYTES;
}
