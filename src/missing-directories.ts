import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

import { systemCode } from './errors.ts';

/**
 * Makes the directory at `path` and those above it that are missing; resolves with the ones that it made, the
 * lowest first. Throws what the system says. Node's own `recursive` never ends where no directory can be made
 * although its parent stands, as in /proc, and the system says ENOENT.
 */
export async function makeMissingDirectories(path: string, mode?: number): Promise<string[]> {
  try {
    return await makeOne(path, mode);
  } catch (error) {
    const parent = dirname(path);
    if (systemCode(error) !== 'ENOENT' || parent === path) throw error;
    const above = await makeMissingDirectories(parent, mode);
    return [...(await makeOne(path, mode)), ...above];
  }
}

async function makeOne(path: string, mode: number | undefined): Promise<string[]> {
  try {
    await mkdir(path, { mode });
    return [path];
  } catch (error) {
    // Whatever the system says first of one that stands.
    if (await isDirectory(path)) return [];
    throw error;
  }
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}
