import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** From how many paths on the whole file system is synced at once: that writes what others have changed, too. */
export const MIN_PATHS = 64;

/**
 * Brings everything that was changed in the file system of `path` to the disk, by syncfs(2), for which Node has no
 * name and coreutils has `sync -f`. False where that cannot be had, or fails: then each file has to be synced, and
 * says what is wrong with it.
 */
export async function syncFileSystem(path: string): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  return promisify(execFile)('sync', ['-f', '--', path]).then(
    () => true,
    () => false,
  );
}
