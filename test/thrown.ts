import { SealiftError } from '../src/errors.ts';

/** The error of ours that `action` throws. What is not ours, or no error at all, fails the test. */
export function thrownBy(action: () => unknown): SealiftError {
  try {
    action();
  } catch (error) {
    if (error instanceof SealiftError) return error;
    throw error;
  }
  throw new Error('an error was expected, and there was none');
}

/** The code of the error that `action` throws. */
export function codeThrownBy(action: () => unknown): string {
  return thrownBy(action).code;
}
