import { execFile } from 'node:child_process';
import { release } from 'node:os';
import { promisify } from 'node:util';

import { SealiftError } from '../../errors.ts';
import { KeyedMutex } from '../keyed-mutex.ts';
import { fileSystemType, OPEN, systemFiles } from './file-system.ts';

/** From how many paths on the whole file system is synced at once: that writes what others have changed, too. */
export const MIN_PATHS = 64;

const FUSE = 0x65735546;
const OVERLAYFS = 0x794c7630;
/** Types of file systems, as statfs(2) tells them, with another one below of whose losses syncfs(2) hears nothing. */
const SILENT_TYPES: ReadonlySet<number> = new Set([FUSE, OVERLAYFS]);

/** One at a time, for all stores of this process: whoever comes behind a failure must know of it. */
const turns = new KeyedMutex();
let hasFailed = false;

/**
 * Brings everything that was changed in the file system of the directory `path` to the disk, by syncfs(2), for which Node has no
 * name and coreutils has `sync -f`. False where that cannot be had, or fails: then each file has to be synced, and
 * says what is wrong with it. The system says only once that something was lost, to whoever asks first and not to
 * whoever lost it: so after a failure this process does not use it any more.
 */
export async function syncFileSystem(path: string): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  const type = await fileSystemType(path);
  if (type === undefined || !reportsLostWrites(release(), type)) return false;
  return (await syncInTurn(path)) === true;
}

/**
 * The same for the sake of `gone`, which was put in the file system of `path` and stands there under no name that is known:
 * it cannot be asked for its losses, so that a file system that says nothing of them will do. Throws `internal` where it
 * fails. Nothing is done where it cannot be had: only Linux has such a call, and most of what is gone was removed.
 */
export async function syncUnnamed(path: string, gone: string): Promise<void> {
  if (process.platform !== 'linux' || (await syncInTurn(path)) !== false) return;
  const message = `${JSON.stringify(gone)} is not there any more, and whether it is on the disk, wherever it is, cannot be said: writing to the disk of the server has failed. Put it again, and restart the server once its disk is whole.`;
  throw new SealiftError('internal', message);
}

/** Undefined where the program cannot be run: no write was lost for that. */
function syncInTurn(path: string): Promise<boolean | undefined> {
  return turns.run('sync', async () => {
    if (hasFailed) return false;
    const isSynced = await runSync(path);
    hasFailed = isSynced === false;
    return isSynced;
  });
}

/** Whether syncfs(2) fails where data was lost: Linux does that from 5.8 on. `kernel` is its release, as in `6.1.0-13-amd64`; `type` is that of the file system. */
export function reportsLostWrites(kernel: string, type: number): boolean {
  const [major = 0, minor = 0] = kernel.split('.').map((part) => Number.parseInt(part));
  return (major > 5 || (major === 5 && minor >= 8)) && !SILENT_TYPES.has(type);
}

async function runSync(path: string): Promise<boolean | undefined> {
  // That it may not be read must not be taken for a failure of the disk,
  if (!(await mayRead(path))) return undefined;
  try {
    // nor that it cannot be entered: that comes before the program begins.
    await promisify(execFile)('sync', ['-f', '.'], { cwd: path });
    return true;
  } catch (error) {
    // A number is what the program ended with.
    return typeof (error as { code?: unknown }).code === 'number' ? false : undefined;
  }
}

async function mayRead(directory: string): Promise<boolean> {
  return systemFiles.open(`${directory}/.`, OPEN.directory).then(
    (handle) => handle.close().then(() => true),
    () => false,
  );
}
