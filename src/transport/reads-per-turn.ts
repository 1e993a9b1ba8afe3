import { nextTurn } from '../clock.ts';

/** Bytes that each of several connections may read in one turn of the event loop, about. */
const MAX_BYTES_PER_TURN = 131_072;

/** The turn that goes on, of this thread's loop. */
let turn = { readers: 0, wasAlone: true, paused: [] as (() => void)[] };
let isTurnOver = true;

/**
 * What one connection has read in this turn of the event loop. Node reads up to 2 MiB from each socket before anything else
 * has its turn: with eight that bring as much as they can, timers and answers came 8 ms late in the middle, and come 2 ms
 * late with this. Each has the same share: with one for all together some had three times what others had.
 */
export class ReadsPerTurn {
  #turn: typeof turn | undefined;
  #bytes = 0;

  /** Takes note that the connection has read `bytes`. Answers whether it may read on; if not it pauses, and `resume` is called in the next turn. Who reads alone reads on. */
  mayReadOn(bytes: number, resume: () => void): boolean {
    if (isTurnOver) beginTurn();
    if (this.#turn !== turn) {
      this.#turn = turn;
      this.#bytes = 0;
      turn.readers += 1;
    }
    this.#bytes += bytes;
    if (this.#bytes < MAX_BYTES_PER_TURN || (turn.wasAlone && turn.readers === 1)) return true;
    turn.paused.push(resume);
    return false;
  }
}

function beginTurn(): void {
  const begun = { readers: 0, wasAlone: turn.readers <= 1, paused: [] as (() => void)[] };
  turn = begun;
  isTurnOver = false;
  void nextTurn().then(() => {
    isTurnOver = true;
    for (const resume of begun.paused) resume();
  });
}
