import { isUtf8 } from 'node:buffer';
import { constants, existsSync, readlinkSync, type BigIntStats } from 'node:fs';
import * as fs from 'node:fs/promises';

import { secondsOf } from '../../clock.ts';
import { writeTo, type Write } from '../../write-fully.ts';

/**
 * Every file-system call of this project's storage, so that a test can fail each of them. Paths are absolute.
 * Errors are those of Node, with their `code`. The calls mean what POSIX says; none follows a symbolic link in
 * the last component, except `open` without `NO_FOLLOW`.
 */
export interface FileSystem {
  /** The path by which the child `name` of an open directory is reached; `directoryPath` is where it was opened. */
  childPath(directory: OpenFile, directoryPath: string, name: string): string;
  open(path: string, flags: number, mode?: number): Promise<OpenFile>;
  lstat(path: string): Promise<FileStats>;
  /** The path of what `path` leads to, with all links on the way followed. */
  realpath(path: string): Promise<string>;
  /** The names in a directory, in no promised order; a few at a time, unless it is known to be small. */
  names(path: string, options?: { isSmall: boolean }): AsyncIterable<string>;
  mkdir(path: string, mode: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  link(existing: string, path: string): Promise<void>;
  unlink(path: string): Promise<void>;
  rmdir(path: string): Promise<void>;
  /** Removes whatever is there with all in it; nothing happens if nothing is. */
  removeTree(path: string): Promise<void>;
  symlink(target: string, path: string): Promise<void>;
  /** The target of a link; undefined for one that is no UTF-8, and so no text. */
  readlink(path: string): Promise<string | undefined>;
  setTimes(path: string, accessMs: number, modifiedMs: number): Promise<void>;
}

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

// On Linux a path through the open handle does what `openat` does. Under the number that this /proc gives the process: `self`
// is a link of its own, followed in every call, half a microsecond each.
const HANDLES = process.platform === 'linux' ? ownHandles() : undefined;
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

/** The file system of this machine. */
export const systemFiles: FileSystem = {
  childPath: ({ fd }, directoryPath, name) =>
    HANDLES === undefined ? `${directoryPath}/${name}` : `${HANDLES}/${fd}/${name}`,
  open: async (path, flags, mode) => openFile(await fs.open(path, flags, mode)),
  lstat: (path) => fs.lstat(path, { bigint: true }),
  realpath: (path) => fs.realpath(path),
  names: async function* (path, { isSmall } = { isSmall: false }) {
    if (isSmall) return yield* await fs.readdir(path);
    for await (const entry of await fs.opendir(path, { bufferSize: 256 })) yield entry.name;
  },
  mkdir: (path, mode) => fs.mkdir(path, mode).then(nothing),
  rename: (from, to) => fs.rename(from, to),
  link: (existing, path) => fs.link(existing, path),
  unlink: (path) => fs.unlink(path),
  rmdir: (path) => fs.rmdir(path),
  removeTree: (path) => fs.rm(path, { recursive: true, force: true }),
  symlink: (target, path) => fs.symlink(target, path),
  readlink: async (path) => textOf(await fs.readlink(path, { encoding: 'buffer' })),
  setTimes: (path, accessMs, modifiedMs) => fs.lutimes(path, secondsOf(accessMs), secondsOf(modifiedMs)),
};

function ownHandles(): string | undefined {
  try {
    const handles = `/proc/${readlinkSync('/proc/self')}/fd`;
    return existsSync(handles) ? handles : undefined;
  } catch {
    return undefined;
  }
}

/** The type of the file system of `path` on this machine, as statfs(2) tells it; undefined where it tells none. */
export async function fileSystemType(path: string): Promise<number | undefined> {
  return fs.statfs(path).then(
    ({ type }) => type,
    () => undefined,
  );
}

/** Where something is mounted on this machine, as this process sees it; nothing where the system does not tell. */
export async function mountPoints(): Promise<string[]> {
  const table = await fs.readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  const fields = table.split('\n').map((line) => line.split(' ')[4] ?? '');
  // Blanks and the like are told by their octal numbers.
  return fields.map((point) =>
    point.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8))),
  );
}

/** The text that `bytes` are; undefined if they are no UTF-8: decoded all the same, they would be another. */
export function textOf(bytes: Buffer): string | undefined {
  return isUtf8(bytes) ? bytes.toString('utf8') : undefined;
}

function openFile(handle: fs.FileHandle): OpenFile {
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

function nothing(): void {
  // The result is of no use.
}
