import { nextTurn } from '../clock.ts';

/** Bytes that each of several connections may read in one turn of the event loop, about. */
const MAX_BYTES_PER_TURN = 131_072;

/** The turn of this thread's event loop that goes on, or was the last in which anything was read. */
let turn = 0;
let isTurnOver = true;
/** Connections that have read in this turn, and in the one before. */
let readers = 0;
let readersBefore = 0;
let paused: (() => void)[] = [];

/**
 * What one connection has read in this turn of the event loop. Node reads up to 2 MiB from each socket before anything else
 * has its turn: with eight that bring as much as they can, timers and answers came 8 ms late in the middle, and come 2 ms
 * late with this. Each has the same share: with one for all together some had three times what others had.
 */
export class ReadsPerTurn {
  readonly #resume: () => void;
  #turn = 0;
  #bytes = 0;

  /** `resume` is called in the turn after one in which the connection had to pause. */
  constructor(resume: () => void) {
    this.#resume = resume;
  }

  /** Takes note that the connection has read `bytes`. Answers whether it may read on; if not it pauses. Who reads alone reads on. */
  mayReadOn(bytes: number): boolean {
    if (isTurnOver) beginTurn();
    if (this.#turn !== turn) {
      this.#turn = turn;
      this.#bytes = 0;
      readers += 1;
    }
    this.#bytes += bytes;
    const isAlone = readers === 1 && readersBefore <= 1;
    if (this.#bytes < MAX_BYTES_PER_TURN || isAlone) return true;
    paused.push(this.#resume);
    return false;
  }
}

function beginTurn(): void {
  turn += 1;
  isTurnOver = false;
  void nextTurn().then(endTurn);
}

function endTurn(): void {
  isTurnOver = true;
  readersBefore = readers;
  readers = 0;
  const resumed = paused;
  paused = [];
  for (const resume of resumed) resume();
}
