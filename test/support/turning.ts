import { nextTurn, systemClock } from '../../src/clock.ts';

/** How long anything is waited for, in real time: a disk to which others write takes seconds for what it does at once else. */
const MAX_WAIT_MS = 60_000;

/** Turns the event loop until `isOver`, and calls `onTurn` in each turn, counted from 1. Throws an error that says `otherwise` if it does not come to that. */
export async function turnUntil(
  isOver: () => boolean,
  otherwise: string,
  onTurn: (turn: number) => void = () => undefined,
): Promise<void> {
  const beganMs = systemClock.monotonicMs();
  for (let turn = 1; !isOver(); turn += 1) {
    if (systemClock.monotonicMs() - beganMs > MAX_WAIT_MS) throw new Error(otherwise);
    onTurn(turn);
    await nextTurn();
  }
}
