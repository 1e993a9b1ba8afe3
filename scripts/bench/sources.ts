// Makes what is sent.
import { randomFillSync } from 'node:crypto';
import {
  closeSync,
  cpSync,
  globSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

const SMALL_FILE_BYTES = 4096;
const FILES_PER_DIRECTORY = 100;

/** A file of random bytes. */
export function makeRandomFile(path: string, bytes: number): string {
  const block = Buffer.alloc(2 ** 20);
  return makeFile(path, bytes, () => randomFillSync(block));
}

/** A file of text: what documentation and program text the installed packages have, as often as it takes. */
export function makeTextFile(path: string, bytes: number): string {
  const names = globSync('node_modules/**/*.{md,ts,js}', { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  let next = 0;
  return makeFile(path, bytes, () => readFileSync(names[next++ % names.length] ?? 'README.md'));
}

/** A tree of `count` files of random bytes, 4 KiB each unless said otherwise, 100 in each directory. */
export function makeTree(root: string, count: number, fileBytes = SMALL_FILE_BYTES): string {
  for (let index = 0; index < count; index += 1) {
    const directory = join(root, `directory-${Math.floor(index / FILES_PER_DIRECTORY)}`);
    if (index % FILES_PER_DIRECTORY === 0) mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `file-${index}`), randomFillSync(Buffer.alloc(fileBytes)));
  }
  return root;
}

/** A copy in which `bytes` in the middle, and at no boundary of anything, are others. */
export function makeChangedCopy(
  source: string,
  copy: string,
  { size, bytes }: { size: number; bytes: number },
): void {
  cpSync(source, copy);
  const file = openSync(copy, 'r+');
  writeSync(file, randomFillSync(Buffer.alloc(bytes)), 0, bytes, Math.floor(size / 2) + 12_345);
  closeSync(file);
}

function makeFile(path: string, bytes: number, nextPiece: () => Buffer): string {
  const file = openSync(path, 'w');
  for (let left = bytes; left > 0;) {
    const piece = nextPiece();
    left -= writeSync(file, piece, 0, Math.min(left, piece.length));
  }
  closeSync(file);
  return path;
}
