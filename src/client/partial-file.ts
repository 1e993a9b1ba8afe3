import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { link, lstat, mkdir, open, realpath, rename, unlink, type FileHandle } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

import { systemClock, throwIfAborted } from '../clock.ts';
import { SealiftError, systemCode } from '../errors.ts';
import { BlockMap } from '../transfer/block-map.ts';
import { BLOCK_BYTES, blockCount, blockLength } from '../transfer/blocks.ts';
import { blockDigest, type DigestAlgorithm } from '../transfer/digests.ts';
import { claimProcessLock, type ProcessLock } from '../trust/process-lock.ts';

/** How a downloaded file is to stand under its name. */
export interface Completion {
  size: number;
  mtimeMs: number;
  /** Permission bits of a new file, from which the umask takes some away; one that is replaced passes its own on. */
  mode: number;
  /** Fail with `local-exists` instead of replacing a file that appeared meanwhile. */
  mustBeNew: boolean;
}

/**
 * A download on its way, beside its target, under a name that says which remote, path and target it belongs to and
 * no more (`.sealift-<16 hex>.part`): a target whose name is 255 bytes long works too. The target is untouched
 * until `complete`.
 */
export class PartialFile implements AsyncDisposable {
  readonly #target: string;
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #lock: ProcessLock;
  #isOpen = true;

  private constructor(target: string, path: string, handle: FileHandle, lock: ProcessLock) {
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
      await mkdir(dirname(absolute), { recursive: true });
      const lock = await claimProcessLock(join(dirname(absolute), `${name}.lock`), target);
      try {
        return new PartialFile(absolute, path, await openOwn(path), lock);
      } catch (error) {
        await lock.release();
        throw error;
      }
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
      const buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
      for (let index = 0; index < blockCount(size); index += 1) {
        throwIfAborted(signal);
        const length = blockLength(size, index);
        const { bytesRead } = await this.#handle.read(buffer, 0, length, index * BLOCK_BYTES);
        if (bytesRead < length) break;
        held.set(index, blockDigest(algorithm, buffer.subarray(0, length)));
      }
      return held;
    });
  }

  async write(index: number, content: Buffer): Promise<void> {
    await explaining(this.#target, async () => {
      for (let written = 0; written < content.length;) {
        const { bytesWritten } = await this.#handle.write(
          content,
          written,
          content.length - written,
          index * BLOCK_BYTES + written,
        );
        written += bytesWritten;
      }
    });
  }

  /** Gives the file its name, once all its bytes are there: synced, with its times, in one step. */
  async complete({ size, mtimeMs, mode, mustBeNew }: Completion): Promise<void> {
    await explaining(this.#target, async () => {
      await this.#handle.truncate(size);
      await this.#handle.chmod(await modeFor(this.#target, mode));
      await this.#handle.utimes(secondsOf(systemClock.now()), secondsOf(mtimeMs));
      await this.#handle.sync();
      this.#isOpen = false;
      await this.#handle.close();
      if (mustBeNew) await this.#nameNew();
      else {
        await assertReplaceable(this.#target, this.#target);
        await rename(this.#path, this.#target);
      }
      await syncDirectory(dirname(this.#target));
    });
  }

  // A link fails where a name stands, also one that appeared a moment ago; a rename would replace it.
  async #nameNew(): Promise<void> {
    try {
      await link(this.#path, this.#target);
    } catch (error) {
      // Some file systems have no links: there a name that appears in the same moment would be replaced.
      if (!['EPERM', 'ENOTSUP', 'ENOSYS', 'EMLINK'].includes(systemCode(error) ?? '')) throw error;
      if (await lstat(this.#target).catch(() => undefined))
        throw new SealiftError('local-exists', `${this.#target} exists already.`);
      return rename(this.#path, this.#target);
    }
    await unlink(this.#path);
  }

  /** Removes what was fetched. */
  async discard(): Promise<void> {
    await this[Symbol.asyncDispose]();
    await unlink(this.#path).catch(() => undefined);
  }

  /** Ends the work on it; what it holds stays for the next run. May be called again. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOpen) {
      this.#isOpen = false;
      // A partial file that holds nothing would only be in the way.
      const { size } = await this.#handle.stat();
      await this.#handle.close();
      if (size === 0) await unlink(this.#path).catch(() => undefined);
    }
    await this.#lock.release();
  }
}

// A crash between link and unlink leaves the finished file under this name too, and that must not be written to.
async function openOwn(path: string): Promise<FileHandle> {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  const handle = await open(path, flags, 0o600);
  if ((await handle.stat()).nlink === 1) return handle;
  await handle.close();
  await unlink(path);
  return open(path, flags | constants.O_EXCL, 0o600);
}

/** The name, without its ending, of what belongs to a download. */
function partialName(remoteName: string, absoluteTarget: string): string {
  return `.sealift-${createHash('sha256').update(`${remoteName}\0${absoluteTarget}`).digest('hex').slice(0, 16)}`;
}

/** Names of partial files and of their locks, as they may be found in a directory. */
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

// To put a file in the place of a device or a FIFO would destroy it, and to write into one is not what `get` does.
async function assertReplaceable(path: string, target: string): Promise<void> {
  const stats = await lstat(path).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined;
    throw localError(error, target);
  });
  if (stats === undefined || stats.isFile()) return;
  if (stats.isDirectory()) throw new SealiftError('local-exists', `${target} is a directory.`);
  throw new SealiftError('local-exists', `${target} is no ordinary file, and is not replaced.`, {
    hint: 'To write into it, fetch to standard output: sealift cat SOURCE > FILE',
  });
}

// What could raise the file's powers (setuid, setgid, sticky) is not taken from a server.
async function modeFor(path: string, mode: number): Promise<number> {
  const existing = await lstat(path).catch(() => undefined);
  return existing?.isFile() === true ? existing.mode & 0o777 : mode & 0o777 & ~process.umask();
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

// Half a microsecond more, because Node cuts to microseconds what a double cannot say exactly.
function secondsOf(milliseconds: number): number {
  return (milliseconds * 1000 + 0.5) / 1_000_000;
}

async function explaining<T>(target: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    throw localError(error, target);
  }
}

function localError(cause: unknown, target: string): SealiftError {
  if (cause instanceof SealiftError) return cause;
  const code = systemCode(cause);
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new SealiftError('local-no-space', `There is no space left for ${target}.`, { cause });
  if (code === 'EEXIST') return new SealiftError('local-exists', `${target} exists already.`, { cause });
  return new SealiftError('local-file', `${target} cannot be written (${code ?? String(cause)}).`, { cause });
}
