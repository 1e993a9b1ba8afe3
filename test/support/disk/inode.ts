import { constants } from 'node:fs';
import type { FileStats } from '../../../src/storage/fs/file-system.ts';
import { Content } from './content.ts';
import { Kept, type PowerFailure } from './kept.ts';

export type InodeType = 'file' | 'directory' | 'symlink';

const TYPE_BITS = { file: constants.S_IFREG, directory: constants.S_IFDIR, symlink: constants.S_IFLNK };

/** What a name stands for. */
export class Inode {
  readonly ino: number;
  readonly type: InodeType;
  readonly mode: Kept<number>;
  readonly mtimeNs: Kept<bigint>;
  birthtimeNs: bigint;
  ctimeNs: bigint;
  content = new Content();
  /** Of a link. */
  target = '';
  /** Of a directory: as programs see them, and as the disk has them. */
  readonly entries = new Map<string, Inode>();
  readonly entriesOnDisk = new Map<string, Inode>();
  /** Of a directory: where it stands. */
  place: { directory: Inode; name: string } | undefined;
  linkCount = 0;

  constructor(type: InodeType, { ino, mode, nowNs }: { ino: number; mode: number; nowNs: bigint }) {
    this.ino = ino;
    this.type = type;
    this.mode = new Kept(mode);
    this.mtimeNs = new Kept(nowNs);
    this.birthtimeNs = nowNs;
    this.ctimeNs = nowNs;
  }

  sync(): void {
    this.content.sync();
    this.mode.sync();
    this.mtimeNs.sync();
  }

  /** The same as it is when the power comes back, without its names. */
  after(failure: PowerFailure): Inode {
    const mode = this.mode.after(failure);
    const inode = new Inode(this.type, { ino: this.ino, mode, nowNs: this.mtimeNs.after(failure) });
    inode.birthtimeNs = this.birthtimeNs;
    inode.content = this.content.after(failure);
    inode.target = this.target;
    return inode;
  }

  stats(): FileStats {
    const { type, linkCount, birthtimeNs, ctimeNs } = this;
    const mtimeNs = this.mtimeNs.now;
    const size = type === 'symlink' ? Buffer.byteLength(this.target) : this.content.size;
    return {
      isFile: () => type === 'file',
      isDirectory: () => type === 'directory',
      isSymbolicLink: () => type === 'symlink',
      ino: BigInt(this.ino),
      size: BigInt(size),
      mode: BigInt(this.mode.now | TYPE_BITS[type]),
      nlink: BigInt(linkCount),
      birthtimeNs,
      mtimeNs,
      ctimeNs,
      mtimeMs: mtimeNs / 1_000_000n,
      ctimeMs: ctimeNs / 1_000_000n,
    } as FileStats;
  }
}
