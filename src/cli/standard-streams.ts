import { createReadStream, createWriteStream, fstatSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';

import { SealiftError } from '../errors.ts';

const [INPUT, OUTPUT] = [0, 1];

/**
 * Standard input, for data. Node's own stream of it is empty where it is a block device or a directory, which it does
 * not know as standard input. Throws `usage` for a directory.
 */
export function standardInput(): Readable {
  const stats = fstatSync(INPUT);
  if (stats.isDirectory()) throw new SealiftError('usage', 'Standard input is a directory.');
  return stats.isBlockDevice() ? createReadStream('', { fd: INPUT, autoClose: false }) : process.stdin;
}

/** Standard output, for data. Node's own stream of it throws everything away where it is a block device. */
export function standardOutput(): Writable {
  if (!fstatSync(OUTPUT).isBlockDevice()) return process.stdout;
  const stream = createWriteStream('', { fd: OUTPUT, autoClose: false });
  // Whoever writes is told of it; unheard it would end the program.
  return stream.on('error', () => undefined);
}
