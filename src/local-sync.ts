import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';

import { systemCode } from './errors.ts';
import { makeMissingDirectories } from './missing-directories.ts';

/** Makes the directory at `path`, which is absolute, and those above it that are missing; their names are on the disk then. Throws what the system says. */
export async function makeDirectories(path: string): Promise<void> {
  for (const made of await makeMissingDirectories(path)) await syncDirectory(dirname(made));
}

/** Brings the names in the directory at `path` to the disk. Throws what the system says. */
export async function syncDirectory(path: string): Promise<void> {
  try {
    await sync(path, constants.O_RDONLY);
  } catch (error) {
    // Some file systems know no sync of a directory, and one that may not be read cannot be opened for it.
    if (!['EINVAL', 'EACCES'].includes(systemCode(error) ?? '')) throw error;
  }
}

/** Brings the data of the file at `path`, which is no link, to the disk. Throws what the system says. */
export function syncFile(path: string): Promise<void> {
  return sync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
}

async function sync(path: string, flags: number): Promise<void> {
  const handle = await open(path, flags);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
