import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';

import { systemCode } from '../../src/errors.ts';
import { MountedDisk } from './mounted-disk.ts';

const FILLER = 'filler';

/** How large a disk is. */
export interface DiskSize {
  bytes: number;
  /** Files, directories and links that it can have. */
  inodes: number;
}

/** A file system in memory that is really full when it is full. */
export class TinyDisk extends MountedDisk {
  static async mount({ bytes, inodes }: DiskSize): Promise<TinyDisk> {
    const mount = `mount -t tmpfs -o size=${bytes},nr_inodes=${inodes} tmpfs "$1" && echo mounted && exec cat`;
    const disk = new TinyDisk(['sh', '-c', mount, 'sh']);
    await disk.mounted();
    return disk;
  }

  /** Leaves room for so many bytes. */
  fill(left: number): void {
    this.empty();
    const { bavail, bsize } = statfsSync(this.seen());
    mkdirSync(this.seen(FILLER));
    try {
      writeFileSync(this.seen(FILLER, 'bytes'), Buffer.alloc(Math.max(0, bavail * bsize - left)));
    } catch (error) {
      // Others write meanwhile: then it is full.
      if (systemCode(error) !== 'ENOSPC') throw error;
    }
  }

  /** Leaves room for so many files. */
  fillNames(left: number): void {
    this.empty();
    mkdirSync(this.seen(FILLER));
    for (let count = statfsSync(this.seen()).ffree; count > left; count -= 1)
      writeFileSync(this.seen(FILLER, `${count}`), '');
  }

  /** Takes away what it was filled with. */
  empty(): void {
    rmSync(this.seen(FILLER), { recursive: true, force: true });
  }
}
