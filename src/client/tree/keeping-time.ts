import { stat, utimes } from 'node:fs/promises';

import { floorMilliseconds, secondsOf, systemClock } from '../../clock.ts';

/** Runs `task`, which makes or removes what is no part of the tree, so that the directory does not look changed by it. */
export async function keepingTime<T>(directory: string, task: () => Promise<T>): Promise<T> {
  const { mtimeNs } = await stat(directory, { bigint: true });
  // To the microsecond below: the next would be another time for whoever reads milliseconds.
  const mtimeMs = floorMilliseconds(1_000n * mtimeNs) / 1_000;
  try {
    return await task();
  } finally {
    // Who may write into a directory of somebody else may not set its time; nothing is lost by that.
    await utimes(directory, secondsOf(systemClock.now()), secondsOf(mtimeMs)).catch(() => undefined);
  }
}
