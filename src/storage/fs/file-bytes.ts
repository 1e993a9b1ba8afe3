import type { OpenFile } from './open-file.ts';

/** Reads exactly `length` bytes from `position` into the start of `target`; false if the file ends before. */
export async function readFully(
  file: OpenFile,
  target: Buffer,
  position: number,
  length: number,
): Promise<boolean> {
  let filled = 0;
  while (filled < length) {
    const count = await file.read(target.subarray(filled), position + filled, length - filled);
    if (count === 0) return false;
    filled += count;
  }
  return true;
}

/** Runs `task` with `file` and closes it in any case; the first failure is the one that is told. */
export async function closingFile<T>(file: OpenFile, task: () => Promise<T>): Promise<T> {
  let result: T;
  try {
    result = await task();
  } catch (error) {
    await file.close().catch(() => undefined);
    throw error;
  }
  await file.close();
  return result;
}
