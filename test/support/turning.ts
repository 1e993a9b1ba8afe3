import { nextTurn, sleep, systemClock } from '../../src/clock.ts';

/**
 * How long anything is waited for, in real time: on a busy machine seconds are lost to others. Less than a test may take, so
 * that it is told what did not come.
 */
export const MAX_WAIT_MS = 20_000;

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

/** Turns the event loop until `task` has settled, whatever comes of it; otherwise as `turnUntil`. */
export async function turnUntilSettled(
  task: Promise<unknown>,
  otherwise: string,
  onTurn?: (turn: number) => void,
): Promise<void> {
  let isOver = false;
  const end = () => (isOver = true);
  task.then(end, end);
  await turnUntil(() => isOver, otherwise, onTurn);
}

/** Whether `task` settles within `waitMs` of real time. */
export async function settlesWithin(task: Promise<unknown>, waitMs: number): Promise<boolean> {
  const over = new AbortController();
  const settled = Promise.allSettled([task]).then(() => true);
  const late = sleep(systemClock, waitMs, over.signal).then(
    () => false,
    () => false,
  );
  try {
    return await Promise.race([settled, late]);
  } finally {
    over.abort();
  }
}
