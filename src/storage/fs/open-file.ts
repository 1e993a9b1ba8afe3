import { constants, existsSync, readlinkSync, type BigIntStats } from 'node:fs';
import * as fs from 'node:fs/promises';

import { secondsOf } from '../../clock.ts';
import { writeTo, type Write } from '../../write-fully.ts';

/** What the system tells of a name: sizes and times as big integers, times in nanoseconds. */
export type FileStats = BigIntStats;

/** A file or directory held open. */
export interface OpenFile {
  readonly fd: number;
  /** Reads up to `length` bytes into the start of `target`; resolves with how many, 0 at the end. */
  read(target: Buffer, position: number, length: number): Promise<number>;
  readonly write: Write;
  stat(): Promise<FileStats>;
  truncate(size: number): Promise<void>;
  chmod(mode: number): Promise<void>;
  setTimes(accessMs: number, modifiedMs: number): Promise<void>;
  /** Data and attributes are on the disk when it resolves. Never to be repeated after it failed: the second call would lie. */
  sync(): Promise<void>;
  /** May be called again; then nothing happens. */
  close(): Promise<void>;
}

/**
 * Where the open handles of this process are names: on Linux a path through one does what `openat` does. Under the number that
 * this /proc gives the process: `self` is a link of its own, followed in every call, half a microsecond each.
 */
export const HANDLES = process.platform === 'linux' ? ownHandles() : undefined;
// Node has no name for it: a handle that only stands for the file, and so needs no permission to read it.
const O_PATH = 0o10000000;

/** Flags for `open`, by what they are for. */
export const OPEN = {
  /** An existing directory, and no link to one. */
  directory: constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW,
  /** An existing file, and no link to one; a FIFO does not block. */
  read: constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
  /** An existing file or directory, and no link to one, to change its permission bits; where possible also of what cannot be read. */
  attributes:
    (HANDLES !== undefined ? O_PATH : constants.O_RDONLY | constants.O_NONBLOCK) | constants.O_NOFOLLOW,
  /** An existing file to read and write. */
  update: constants.O_RDWR | constants.O_NOFOLLOW,
  /** A new file to read and write; nothing may stand there. */
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
} as const;

/** Opens a file or directory of this machine. */
export async function openFile(path: string | Buffer, flags: number, mode?: number): Promise<OpenFile> {
  const handle = await fs.open(path, flags, mode);
  return {
    fd: handle.fd,
    read: async (target, position, length) => (await handle.read(target, 0, length, position)).bytesRead,
    write: writeTo(handle),
    stat: () => handle.stat({ bigint: true }),
    truncate: (size) => handle.truncate(size),
    // A handle for attributes only is refused by the call for handles, not by the one for paths.
    chmod: (mode) => (HANDLES === undefined ? handle.chmod(mode) : fs.chmod(`${HANDLES}/${handle.fd}`, mode)),
    setTimes: (accessMs, modifiedMs) => handle.utimes(secondsOf(accessMs), secondsOf(modifiedMs)),
    sync: () => handle.sync(),
    close: () => handle.close(),
  };
}

function ownHandles(): string | undefined {
  try {
    const handles = `/proc/${readlinkSync('/proc/self')}/fd`;
    return existsSync(handles) ? handles : undefined;
  } catch {
    return undefined;
  }
}
