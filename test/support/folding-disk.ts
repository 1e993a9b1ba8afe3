import { closeSync, openSync } from 'node:fs';
import { resolve } from 'node:path';

import { canMount, MountedDisk } from './mounted-disk.ts';

/** Whether this machine lets its user mount a file system that a process of theirs serves (FUSE). */
export const canMountFolding = canMount && canOpen('/dev/fuse');

/**
 * A file system in memory that takes names as FAT does: case makes no difference, nor do dots and spaces at the end. With
 * `keepsEnds` these do, as on a Mac.
 */
export class FoldingDisk extends MountedDisk {
  static async mount({ keepsEnds = false } = {}): Promise<FoldingDisk> {
    const program = [process.execPath, resolve('test/support/folding-file-system.ts')];
    const disk = new FoldingDisk([...program, keepsEnds ? 'keep' : 'drop']);
    await disk.mounted();
    return disk;
  }
}

function canOpen(path: string): boolean {
  try {
    closeSync(openSync(path, 'r+'));
    return true;
  } catch {
    return false;
  }
}
