import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, copyFile, lstat, open, realpath, unlink, type FileHandle } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

import { throwIfAborted } from '../clock.ts';
import { isSealiftError, SealiftError, systemCode } from '../errors.ts';
import { makeDirectories } from '../local-sync.ts';
import { BlockMap } from '../transfer/block-map.ts';
import { BLOCK_BYTES, blockCount, blockLength } from '../transfer/blocks.ts';
import { blockDigests } from '../transfer/block-digests.ts';
import type { DigestAlgorithm } from '../transfer/digests.ts';
import { claimProcessLock, type ProcessLock } from '../trust/process-lock.ts';
import { writeFully, writeTo } from '../write-fully.ts';
import { assertReplaceable, explaining, publishFile, type Completion } from './local-publish.ts';

/**
 * A download on its way, beside its target, under a name that says which remote, path and target it belongs to and
 * no more (`.sealift-<16 hex>.part`): a target whose name is 255 bytes long works too. The target is untouched
 * until `complete`.
 */
export class PartialFile implements AsyncDisposable {
  readonly #target: string;
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #lock: ProcessLock | undefined;
  #isOpen = true;
  /** Whether what it holds is to go in the end: it is nothing, of no use, or it met a full disk, which it would keep full. */
  #isInTheWay = false;

  private constructor(target: string, path: string, handle: FileHandle, lock?: ProcessLock) {
    this.#target = target;
    this.#path = path;
    this.#handle = handle;
    this.#lock = lock;
  }

  /** Opens what an earlier run left of it, or a new one; makes missing parents. Throws `locked` if another run works on it. */
  static async open(target: string, remoteName: string): Promise<PartialFile> {
    const absolute = await destinationOf(target);
    const name = partialName(remoteName, absolute);
    const path = join(dirname(absolute), `${name}.part`);
    return explaining(target, async () => {
      await makeDirectories(dirname(absolute));
      const lock = await claimProcessLock(join(dirname(absolute), `${name}.lock`), target);
      try {
        return new PartialFile(absolute, path, await openOwn(path), lock);
      } catch (error) {
        await lock.release();
        throw error;
      }
    });
  }

  /** The same in a tree that the caller holds for itself: at `path`, in a directory that stands, and in the place of a link instead of what it leads to. */
  static async openWithin(target: string, path: string): Promise<PartialFile> {
    return explaining(target, async () => new PartialFile(target, path, await openOwn(path)));
  }

  /** Begins with a copy of what stands at `path`, unless an earlier run left something, or it may not be read. */
  async startFrom(path: string): Promise<void> {
    await this.#takingRoom(async () => {
      if ((await this.#handle.stat()).size > 0) return;
      try {
        await copyFile(path, this.#path, constants.COPYFILE_FICLONE);
      } catch (error) {
        if (systemCode(error) !== 'EACCES') throw error;
      }
      // The copy has the bits of the original, which what comes now may not be open to, and which may forbid to go on.
      await this.#handle.chmod(PRIVATE);
    });
  }

  /** Bytes that an earlier run left. */
  async size(): Promise<number> {
    return explaining(this.#target, async () => (await this.#handle.stat()).size);
  }

  /** What it holds of a file of `size` bytes, by hashing it. */
  async hash(algorithm: DigestAlgorithm, size: number, signal?: AbortSignal): Promise<BlockMap> {
    return explaining(this.#target, async () => {
      const held = new BlockMap();
      const count = blockCount(Math.min(size, await this.size()));
      const digests = blockDigests(algorithm, count, async (index, target) => {
        const length = blockLength(size, index);
        const { bytesRead } = await this.#handle.read(target, 0, length, index * BLOCK_BYTES);
        return bytesRead < length ? undefined : length;
      });
      for await (const { index, digest } of digests) {
        throwIfAborted(signal);
        held.set(index, digest);
      }
      return held;
    });
  }

  async write(index: number, content: Buffer): Promise<void> {
    await this.#takingRoom(() => writeFully(writeTo(this.#handle), content, index * BLOCK_BYTES));
  }

  /** Gives the file its name, once all its bytes are there: synced, with its times, in one step. */
  async complete(completion: Completion): Promise<void> {
    await this.#takingRoom(async () => {
      this.#isOpen = false;
      await publishFile(this.#handle, { temporary: this.#path, target: this.#target }, completion);
    });
  }

  /** Removes what was fetched. */
  async discard(): Promise<void> {
    this.#isInTheWay = true;
    await this[Symbol.asyncDispose]();
  }

  /** Ends the work on it; what it holds stays for the next run, unless the disk was full. May be called again. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (this.#isOpen) await this.#close();
    } finally {
      if (this.#isInTheWay) await unlink(this.#path).catch(() => undefined);
      // Once the lock is given back, what stands there may be another run's.
      this.#isInTheWay = false;
      await this.#lock?.release();
    }
  }

  async #close(): Promise<void> {
    this.#isOpen = false;
    // What cannot be looked at stays.
    const stats = await this.#handle.stat().catch(() => undefined);
    this.#isInTheWay ||= stats?.size === 0;
    await this.#handle.close();
  }

  async #takingRoom(task: () => Promise<void>): Promise<void> {
    try {
      await explaining(this.#target, task);
    } catch (error) {
      this.#isInTheWay ||= isSealiftError(error, 'local-no-space');
      throw error;
    }
  }
}

/** Nobody else reads what has not come to its place: who may then is not known before. */
const PRIVATE = 0o600;

// A crash between link and unlink leaves the finished file under this name too, and that must not be written to.
async function openOwn(path: string): Promise<FileHandle> {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  const handle = await openPermitted(path, flags);
  try {
    const { nlink, mode } = await handle.stat();
    if (nlink === 1) {
      // An earlier run may have died when it had the bits of the file.
      if ((mode & 0o777) !== PRIVATE) await handle.chmod(PRIVATE);
      return handle;
    }
  } catch (error) {
    await handle.close();
    throw error;
  }
  await handle.close();
  await unlink(path);
  return open(path, flags | constants.O_EXCL, PRIVATE);
}

// Once it has the bits of the file these may forbid to open it: of a file that is read-only, for one.
async function openPermitted(path: string, flags: number): Promise<FileHandle> {
  try {
    return await open(path, flags, PRIVATE);
  } catch (error) {
    const stats = await lstat(path).catch(() => undefined);
    if (systemCode(error) !== 'EACCES' || stats?.isFile() !== true) throw error;
    if (stats.nlink > 1) await unlink(path);
    else await chmod(path, PRIVATE);
    return open(path, flags, PRIVATE);
  }
}

/** The name, without its ending, of what belongs to a download. */
function partialName(remoteName: string, absoluteTarget: string): string {
  return `.sealift-${createHash('sha256').update(`${remoteName}\0${absoluteTarget}`).digest('hex').slice(0, 16)}`;
}

/** Names of partial files, as they may be found in a directory. */
export const PARTIAL_NAME = /^\.sealift-[0-9a-f]{16}\.part$/;

// Through symbolic links, which are the user's own here, as cp, scp and curl do it.
async function destinationOf(target: string): Promise<string> {
  const absolute = resolve(target);
  const isLink = await lstat(absolute).then(
    (stats) => stats.isSymbolicLink(),
    () => false,
  );
  const destination = isLink ? await realpath(absolute).catch(() => undefined) : absolute;
  if (destination === undefined)
    throw new SealiftError('local-exists', `${target} is a symbolic link to nothing that could be replaced.`);
  await assertReplaceable(destination, target);
  return destination;
}
