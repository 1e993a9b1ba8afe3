import { fstatSync, readSync } from 'node:fs';

/** Whether whoever wrote the file before could not finish its last line, as on a full disk. */
export function endsMidLine(file: number): boolean {
  const { size } = fstatSync(file);
  const last = Buffer.alloc(1);
  return size > 0 && readSync(file, last, 0, 1, size - 1) === 1 && last.toString() !== '\n';
}
