import { dirname } from 'node:path';

import { systemCode } from '../../errors.ts';
import { OPEN, type FileSystem, type OpenFile } from './file-system.ts';

/**
 * A directory held open, so that what happens to names above it cannot lead an operation elsewhere: on Linux its
 * children are reached through the open handle (`/proc/PID/fd/N/child` is what `openat` does), and a link that
 * somebody puts in the place of a parent meanwhile is not seen. Elsewhere children are reached by path, each
 * component having been checked to be no link just before.
 */
export class Directory {
  readonly #files: FileSystem;
  readonly #handle: OpenFile;
  readonly #path: string;

  private constructor(files: FileSystem, handle: OpenFile, path: string) {
    this.#files = files;
    this.#handle = handle;
    this.#path = path;
  }

  /** Opens a directory by its path; its last component must be no link. */
  static async open(files: FileSystem, path: string): Promise<Directory> {
    return new Directory(files, await files.open(path, OPEN.directory), path);
  }

  /** The path by which file-system calls reach this directory itself. */
  get self(): string {
    return this.child('.');
  }

  /** The path by which file-system calls reach the child `name`, one component. */
  child(name: string): string {
    return this.#files.childPath(this.#handle, this.#path, name);
  }

  /** Opens the child directory `name`, which must be no link. */
  async enter(name: string): Promise<Directory> {
    return new Directory(
      this.#files,
      await this.#files.open(this.child(name), OPEN.directory),
      `${this.#path}/${name}`,
    );
  }

  /** Opens the directory that this one is in now. Only for what nobody moves: else that may be anywhere. */
  async parent(): Promise<Directory> {
    const handle = await this.#files.open(this.child('..'), OPEN.directory);
    return new Directory(this.#files, handle, dirname(this.#path));
  }

  /** Opens the directory that lies at `names` below this one, of which none may be a link; without names, this one again. */
  async descend(names: readonly string[]): Promise<Directory> {
    let directory = await this.enter('.');
    for (const name of names) {
      const next = await directory.enter(name).finally(() => directory.close());
      directory = next;
    }
    return directory;
  }

  /**
   * Opens the child directory `name`, making it if it is missing; `made` tells, and `onMade`, with the node of this one, also
   * where opening fails. What `beforeMaking` throws, which is called with this one, keeps it from being made.
   */
  async enterOrMake(
    name: string,
    mode: number,
    onMade?: (node: string) => void,
    beforeMaking?: (parent: Directory) => Promise<void>,
  ): Promise<{ directory: Directory; made: boolean }> {
    try {
      return { directory: await this.enter(name), made: false };
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
    }
    await beforeMaking?.(this);
    // Asked for before: there must be no moment in which it stands and was not told of.
    const node = await this.node();
    const made = await this.#make(name, mode);
    if (made) onMade?.(node);
    return { directory: await this.enter(name), made };
  }

  /** The number of the file system that it lies on. */
  async device(): Promise<bigint> {
    return (await this.#handle.stat()).dev;
  }

  /** What tells it from every other directory, by whatever path it is reached: numbers of inodes are used again. */
  async node(): Promise<string> {
    const { dev, ino, birthtimeNs } = await this.#handle.stat();
    return [dev, ino, birthtimeNs].join(' ');
  }

  async sync(): Promise<void> {
    await this.#handle.sync();
  }

  /** Never fails: nothing was written through the handle, so that it says nothing of what was done. */
  async close(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
  }

  // Somebody else may have made it in the meantime, which is as good.
  async #make(name: string, mode: number): Promise<boolean> {
    try {
      await this.#files.mkdir(this.child(name), mode);
      return true;
    } catch (error) {
      if (systemCode(error) === 'EEXIST') return false;
      throw error;
    }
  }
}
