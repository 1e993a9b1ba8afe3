import { SealiftError } from '../../src/errors.ts';

/** The error of ours that `action` ends with. What is not ours, or no error at all, fails the test. */
export async function failureOf(action: Promise<unknown>): Promise<SealiftError> {
  try {
    await action;
  } catch (error) {
    if (error instanceof SealiftError) return error;
    throw new Error('an error of another kind came', { cause: error });
  }
  throw new Error('an error was expected, and there was none');
}
