import { isUtf8 } from 'node:buffer';
import * as fs from 'node:fs/promises';

import { secondsOf } from '../../clock.ts';
import { HANDLES, openFile, type FileStats, type OpenFile } from './open-file.ts';
import { removeTree } from './remove-tree.ts';

export { OPEN, type FileStats, type OpenFile } from './open-file.ts';

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
  /**
   * Removes whatever is there with all in it, also from directories whose bits forbid that to their owner; nothing happens if
   * nothing is, also because others are removing it. `EXDEV` where another file system is mounted in it, of which nothing is
   * removed; the same one, mounted a second time, cannot be told.
   */
  removeTree(path: string): Promise<void>;
  symlink(target: string, path: string): Promise<void>;
  /** The target of a link; undefined for one that is no UTF-8, and so no text. */
  readlink(path: string): Promise<string | undefined>;
  setTimes(path: string, accessMs: number, modifiedMs: number): Promise<void>;
}

/** The file system of this machine. */
export const systemFiles: FileSystem = {
  childPath: ({ fd }, directoryPath, name) =>
    HANDLES === undefined ? `${directoryPath}/${name}` : `${HANDLES}/${fd}/${name}`,
  open: openFile,
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
  removeTree,
  symlink: (target, path) => fs.symlink(target, path),
  readlink: async (path) => textOf(await fs.readlink(path, { encoding: 'buffer' })),
  setTimes: (path, accessMs, modifiedMs) => fs.lutimes(path, secondsOf(accessMs), secondsOf(modifiedMs)),
};

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

function nothing(): void {
  // The result is of no use.
}
