import * as fs from 'node:fs/promises';
import { basename, dirname } from 'node:path';

import { systemCode } from '../../errors.ts';
import { concurrently } from '../concurrently.ts';
import { closingFile } from './file-bytes.ts';
import { HANDLES, OPEN, openFile, type FileStats, type OpenFile } from './open-file.ts';

/** Names that a removal works on at once: everybody else waits for the same threads. */
const AT_ONCE = 4;
/** Names that are read from a directory at once, and directories in it that are remembered before they are removed. */
const NAMES = 256;
/** A directory of so many bytes is read at once, with a quarter of the calls. */
const SMALL_BYTES = 65_536n;
/** So far down a directory stays open while those in it are removed; further down it is found again from below. */
const KEPT_OPEN = 16;
/** What the owner of a directory needs to change what is in it. */
const OWNER_BITS = 0o700;

/** See `FileSystem.removeTree`. However deep the tree is, no path gets longer, and no more handles are held. */
export async function removeTree(path: string): Promise<void> {
  const parent = await EmptiedDirectory.open(Buffer.from(`${dirname(path)}/.`));
  try {
    await new Removal().remove(parent, Buffer.from(basename(path)));
  } finally {
    await parent.close();
  }
}

class Removal {
  /** Of those that work at once, how many nobody needs now. */
  #free = AT_ONCE - 1;

  async remove(parent: EmptiedDirectory, name: Buffer): Promise<void> {
    if ((await unlinked(parent.child(name))) === 'directory') await this.#removeDirectory(parent, name, 0);
  }

  async #removeDirectory(above: EmptiedDirectory, name: Buffer, depth: number): Promise<void> {
    for (;;) {
      const directory = await above.enter(name).catch(undefinedIfGone);
      if (directory === undefined) return;
      let removed: number;
      try {
        if (depth > KEPT_OPEN) await above.close();
        removed = await this.#removeSome(directory, depth);
        if (depth > KEPT_OPEN) await above.reopen(directory);
      } finally {
        await directory.close();
      }
      try {
        return await fs.rmdir(above.child(name)).catch(undefinedIfGone);
      } catch (error) {
        // There were too many directories in it, or the system did not list all while names went.
        if (!['ENOTEMPTY', 'EEXIST'].includes(systemCode(error) ?? '') || removed === 0) throw error;
      }
    }
  }

  /** Removes what is in a directory, or, where many directories are, the first of them; answers how many names went. */
  async #removeSome(directory: EmptiedDirectory, depth: number): Promise<number> {
    const directories: Buffer[] = [];
    let removed = 0;
    for await (const names of directory.names()) {
      await this.#each(names, async (name) => {
        const what = await unlinked(directory.child(name));
        if (what === 'directory') directories.push(name);
        else if (what === 'removed') removed += 1;
      });
      if (directories.length >= NAMES) break;
    }
    const removeBelow = (name: Buffer) => this.#removeDirectory(directory, name, depth + 1);
    // Where this one does not stay open, one at a time goes down from it.
    if (depth < KEPT_OPEN) await this.#each(directories, removeBelow);
    else await concurrently(directories, 1, removeBelow);
    return removed + directories.length;
  }

  async #each(names: readonly Buffer[], task: (name: Buffer) => Promise<void>): Promise<void> {
    const helpers = Math.min(this.#free, Math.max(0, names.length - 1));
    this.#free -= helpers;
    try {
      await concurrently(names, 1 + helpers, task);
    } finally {
      this.#free += helpers;
    }
  }
}

/** Removes a name that is no directory's. */
async function unlinked(path: Buffer): Promise<'removed' | 'gone' | 'directory'> {
  try {
    await fs.unlink(path);
    return 'removed';
  } catch (error) {
    const code = systemCode(error) ?? '';
    if (code === 'ENOENT') return 'gone';
    // What Linux says of a directory, and what POSIX does, which may mean something else, too.
    if (code === 'EISDIR') return 'directory';
    if (code !== 'EPERM') throw error;
    const stats = await fs.lstat(path).catch(undefinedIfGone);
    if (stats === undefined) return 'gone';
    if (stats.isDirectory()) return 'directory';
    throw error;
  }
}

/** A directory from which everything is removed. */
class EmptiedDirectory {
  readonly #path: Buffer;
  readonly #node: FileStats;
  #file: OpenFile;

  private constructor(path: Buffer, node: FileStats, file: OpenFile) {
    this.#path = path;
    this.#node = node;
    this.#file = file;
  }

  static async open(path: Buffer): Promise<EmptiedDirectory> {
    const file = await openFile(path, OPEN.directory);
    try {
      return new EmptiedDirectory(path, await file.stat(), file);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Opens the directory `name` in it, and lets its owner change what is in it. */
  async enter(name: Buffer): Promise<EmptiedDirectory> {
    const path = this.child(name);
    const directory = await EmptiedDirectory.open(path).catch(async (error: unknown) => {
      if (systemCode(error) !== 'EACCES') throw error;
      const file = await openFile(path, OPEN.attributes);
      await closingFile(file, async () => file.chmod(withOwnerBits(await file.stat())));
      return EmptiedDirectory.open(path);
    });
    try {
      if (directory.#node.dev !== this.#node.dev) throw failure('EXDEV', 'another file system is mounted');
      // Whoever is not the owner may have other rights.
      if ((Number(directory.#node.mode) & OWNER_BITS) !== OWNER_BITS)
        await directory.#file.chmod(withOwnerBits(directory.#node)).catch(() => undefined);
      return directory;
    } catch (error) {
      await directory.close();
      throw error;
    }
  }

  /** The path by which calls reach the name `name` in it. */
  child(name: Buffer | string): Buffer {
    const self = HANDLES === undefined ? this.#path : Buffer.from(`${HANDLES}/${this.#file.fd}`);
    return Buffer.concat([self, Buffer.from('/'), Buffer.from(name)]);
  }

  /** The names in it, as bytes: they need be no text. */
  async *names(): AsyncGenerator<Buffer[]> {
    const self = this.child('.');
    if (this.#node.size <= SMALL_BYTES) {
      yield await fs.readdir(self, { encoding: 'buffer' });
      return;
    }
    // What Node takes and gives, and its types do not tell.
    const options = { encoding: 'buffer' as BufferEncoding, bufferSize: NAMES };
    let names: Buffer[] = [];
    for await (const { name } of await fs.opendir(self.toString(), options)) {
      names.push(name as unknown as Buffer);
      if (names.length < NAMES) continue;
      yield names;
      names = [];
    }
    yield names;
  }

  /** May be called again. */
  async close(): Promise<void> {
    await this.#file.close();
  }

  /** Opens it again after it was closed, from `below` in it. */
  async reopen(below: EmptiedDirectory): Promise<void> {
    const file = await openFile(below.child('..'), OPEN.directory);
    const { dev, ino } = await file.stat();
    this.#file = file;
    // Moved by another program: what stands above it now is to stay.
    if (dev !== this.#node.dev || ino !== this.#node.ino) throw failure('EBUSY', 'a directory was moved');
  }
}

// Others may be removing it, too: a server that is started meanwhile, or its operator.
function undefinedIfGone(error: unknown): undefined {
  if (systemCode(error) !== 'ENOENT') throw error;
}

// What is put back where not all can be removed has its other bits still.
function withOwnerBits({ mode }: FileStats): number {
  return (Number(mode) & 0o7777) | OWNER_BITS;
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code });
}
