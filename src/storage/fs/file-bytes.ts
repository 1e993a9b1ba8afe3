import { SealiftError } from '../../errors.ts';
import type { OpenFile } from './file-system.ts';

/** Writes all of `content` at `position`, however little the system takes at a time. */
export async function writeFully(file: OpenFile, content: Buffer, position: number): Promise<void> {
  let written = 0;
  while (written < content.length) {
    const taken = await file.write(content.subarray(written), position + written);
    // POSIX lets a write take nothing; going on for ever would hang the upload.
    if (taken === 0) throw new SealiftError('no-space', 'The disk of the server takes no more bytes.');
    written += taken;
  }
}

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
