import { isSealiftError } from '../../errors.ts';

/** How often a file is read anew because it was written to meanwhile. */
const MAX_CHANGES = 3;

/** Runs `send` until the source stood still for it: again, a few times, where it was written to meanwhile. Throws the last failure. */
export async function untilSteady<T>(retriesChanges: boolean, send: () => Promise<T>): Promise<T> {
  for (let changes = 0; ; changes += 1) {
    try {
      return await send();
    } catch (error) {
      const again = retriesChanges && changes < MAX_CHANGES;
      if (!again || !isSealiftError(error, 'source-changed')) throw error;
    }
  }
}
