import { writeSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';

import { SealiftError } from './errors.ts';

/**
 * Bytes written at once. ext4 takes memory in pieces as large as a write, and those of 1 MiB were seen to cost ten times as much
 * as these (2.0 instead of 0.2 s a GiB, Linux 6.18 in a virtual machine). Smaller ones cost turns of the event loop.
 */
const MAX_WRITE_BYTES = 524_288;

/** Writes up to all of `source` at `position`; resolves with how many bytes the system took, perhaps fewer. */
export type Write = (source: Buffer, position: number) => Promise<number>;

/** How Node writes to a file. */
export function writeTo(handle: FileHandle): Write {
  return async (source, position) => (await handle.write(source, 0, source.length, position)).bytesWritten;
}

/** Writes all of `content` at `position`, however little the system takes at a time. Throws `no-space` if it takes nothing. */
export async function writeFully(write: Write, content: Buffer, position: number): Promise<void> {
  for (let written = 0; written < content.length;) {
    const piece = content.subarray(written, written + MAX_WRITE_BYTES);
    written += taken(await write(piece, position + written));
  }
}

/** The same into an empty file, by calls that block. */
export function writeFullySync(fd: number, content: Buffer): void {
  for (let written = 0; written < content.length;) {
    const length = Math.min(MAX_WRITE_BYTES, content.length - written);
    written += taken(writeSync(fd, content, written, length, written));
  }
}

// POSIX lets a write take nothing; going on for ever would hang whoever waits for it.
function taken(bytes: number): number {
  if (bytes === 0) throw new SealiftError('no-space', 'The disk takes no more bytes.');
  return bytes;
}
