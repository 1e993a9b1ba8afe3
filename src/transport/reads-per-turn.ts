import { nextTurn } from '../clock.ts';

/** Bytes that the connections of this thread read together in one turn of its event loop, about. */
const MAX_BYTES_PER_TURN = 262_144;

let bytesInTurn = 0;
let paused: (() => void)[] | undefined;

/**
 * Takes note that a connection has read `bytes`. Answers whether it may read on; if not it pauses, and `resume` is called in the
 * next turn of the event loop. Node reads up to 2 MiB from each socket before anything else has its turn: with eight that
 * bring as much as they can, timers and answers came 8 ms late in the middle, and come 2 ms late with this.
 */
export function mayReadOn(bytes: number, resume: () => void): boolean {
  bytesInTurn += bytes;
  if (paused === undefined) {
    paused = [];
    void nextTurn().then(beginTurn);
  }
  if (bytesInTurn < MAX_BYTES_PER_TURN) return true;
  paused.push(resume);
  return false;
}

function beginTurn(): void {
  const resumed = paused ?? [];
  bytesInTurn = 0;
  paused = undefined;
  for (const resume of resumed) resume();
}
