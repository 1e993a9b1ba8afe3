import { constants } from 'node:fs';
import type { FileStats, FileSystem, OpenFile } from '../../../src/storage/fs/file-system.ts';
import type { LosingFile } from '../faulty-files.ts';
import { Inode, type InodeType } from './inode.ts';
import type { PowerFailure } from './kept.ts';
import { Names } from './names.ts';

/** The directory that stands on a new disk, and is on it for good. */
export const DISK_ROOT = '/served';

const UMASK = 0o022;
const MAX_NAME_BYTES = 255;
const O_PATH = 0o10000000;
const HANDLE_PATH = /^\/proc\/self\/fd\/(\d+)\/(.*)$/s;

interface At {
  directory: Inode;
  name: string;
  inode: Inode | undefined;
}

/**
 * A file system in memory that knows what of it is on the disk, and so what a loss of power may leave: of data and
 * attributes no more is sure than was synced through the file, of a name no more than through its directory. It is
 * stricter than what is in use: ext4, for one, keeps changes of names in their order.
 */
export class ModelDisk implements FileSystem {
  #root = new Inode('directory', { ino: 1, mode: 0o755, nowNs: 0n });
  readonly #names = new Names();
  readonly #handles = new Map<number, Inode>();
  #lastFd = 2;
  #lastIno = 1;
  #lastNs = 0n;

  constructor() {
    this.#root.linkCount = 1;
    this.#make('directory', this.#at(DISK_ROOT), 0o755);
    this.syncAll();
  }

  /** Everything is on the disk now. */
  syncAll(): void {
    this.#names.syncAll();
    for (const inode of reachable(this.#root)) inode.sync();
  }

  /** The disk as it is when the power comes back; this one stays as it is, so that it can fail again in another way. */
  afterPowerFailure(failure: PowerFailure): ModelDisk {
    const disk = new ModelDisk();
    const names = this.#names.after(failure);
    const copies = new Map<Inode, Inode>();
    const copy = (inode: Inode): Inode => {
      const known = copies.get(inode);
      if (known !== undefined) return known;
      const made = inode.after(failure);
      copies.set(inode, made);
      for (const [name, child] of names.get(inode) ?? inode.entriesOnDisk) {
        const kept = copy(child);
        kept.linkCount += 1;
        made.entries.set(name, kept);
        made.entriesOnDisk.set(name, kept);
        if (kept.type === 'directory') kept.place = { directory: made, name };
      }
      return made;
    };
    disk.#root = copy(this.#root);
    disk.#root.linkCount = 1;
    // Numbers of files that are gone are given again.
    disk.#lastIno = Math.max(...[...copies.values()].map(({ ino }) => ino));
    return disk;
  }

  childPath({ fd }: OpenFile, _directoryPath: string, name: string): string {
    return `/proc/self/fd/${fd}/${name}`;
  }

  async open(path: string, flags: number, mode = 0o666): Promise<OpenFile> {
    const at = this.#at(path);
    const mayMake = (flags & constants.O_CREAT) !== 0;
    if (at.inode !== undefined && mayMake && (flags & constants.O_EXCL) !== 0) throw failure('EEXIST', path);
    if (at.inode === undefined && !mayMake) throw failure('ENOENT', path);
    const inode = at.inode ?? this.#make('file', at, mode & ~UMASK);
    const mayWrite = (flags & (constants.O_WRONLY | constants.O_RDWR)) !== 0;
    if ((flags & constants.O_DIRECTORY) !== 0 && inode.type !== 'directory') throw failure('ENOTDIR', path);
    if (inode.type === 'symlink' && (flags & O_PATH) === 0) throw failure('ELOOP', path);
    if (inode.type === 'directory' && mayWrite) throw failure('EISDIR', path);
    this.#handles.set((this.#lastFd += 1), inode);
    return this.#openFile(this.#lastFd, inode);
  }

  async lstat(path: string): Promise<FileStats> {
    return this.#existing(path).inode.stats();
  }

  async realpath(path: string): Promise<string> {
    this.#existing(path);
    return path;
  }

  async *names(path: string): AsyncGenerator<string> {
    const { inode } = this.#existing(path);
    if (inode.type !== 'directory') throw failure('ENOTDIR', path);
    yield* [...inode.entries.keys()];
  }

  async mkdir(path: string, mode: number): Promise<void> {
    const at = this.#at(path);
    if (at.inode !== undefined) throw failure('EEXIST', path);
    this.#make('directory', at, mode & ~UMASK);
  }

  async rename(from: string, to: string): Promise<void> {
    const source = this.#existing(from);
    const target = this.#at(to);
    const { inode } = source;
    if (target.inode === inode) return;
    assertStands(target);
    if (inode.type === 'directory') {
      if (target.inode !== undefined && target.inode.type !== 'directory') throw failure('ENOTDIR', to);
      for (let above: Inode | undefined = target.directory; above; above = above.place?.directory)
        if (above === inode) throw failure('EINVAL', to);
    } else if (target.inode?.type === 'directory') throw failure('EISDIR', to);
    if (target.inode !== undefined && target.inode.entries.size > 0) throw failure('ENOTEMPTY', to);
    this.#names.change({ ...source, inode: undefined }, { ...target, inode });
    inode.ctimeNs = this.#nowNs();
    if (target.inode !== undefined) target.inode.linkCount -= 1;
  }

  async link(existing: string, path: string): Promise<void> {
    const { inode } = this.#existing(existing);
    const at = this.#at(path);
    if (at.inode !== undefined) throw failure('EEXIST', path);
    if (inode.type === 'directory') throw failure('EPERM', existing);
    assertStands(at);
    this.#names.change({ ...at, inode });
    inode.linkCount += 1;
    inode.ctimeNs = this.#nowNs();
  }

  async unlink(path: string): Promise<void> {
    const at = this.#existing(path);
    if (at.inode.type === 'directory') throw failure('EISDIR', path);
    this.#remove(at);
  }

  async rmdir(path: string): Promise<void> {
    const at = this.#existing(path);
    if (at.inode.type !== 'directory') throw failure('ENOTDIR', path);
    if (at.inode.entries.size > 0) throw failure('ENOTEMPTY', path);
    this.#remove(at);
  }

  async removeTree(path: string): Promise<void> {
    const at = this.#at(path);
    if (at.inode !== undefined) this.#removeAll({ ...at, inode: at.inode });
  }

  async symlink(target: string, path: string): Promise<void> {
    const at = this.#at(path);
    if (at.inode !== undefined) throw failure('EEXIST', path);
    this.#make('symlink', at, 0o777).target = target;
  }

  async readlink(path: string): Promise<string> {
    const { inode } = this.#existing(path);
    if (inode.type !== 'symlink') throw failure('EINVAL', path);
    return inode.target;
  }

  async setTimes(path: string, _accessMs: number, modifiedMs: number): Promise<void> {
    this.#setTime(this.#existing(path).inode, modifiedMs);
  }

  #openFile(fd: number, inode: Inode): LosingFile {
    const opened = <T>(task: () => T): Promise<T> =>
      this.#handles.has(fd) ? Promise.resolve(task()) : Promise.reject(failure('EBADF', `handle ${fd}`));
    const changed = () => {
      inode.ctimeNs = this.#nowNs();
      inode.mtimeNs.set(inode.ctimeNs);
    };
    return {
      fd,
      read: (target, position, length) => opened(() => inode.content.read(target, position, length)),
      write: (source, position) =>
        opened(() => {
          changed();
          return inode.content.write(source, position);
        }),
      stat: () => opened(() => inode.stats()),
      truncate: (size) =>
        opened(() => {
          changed();
          inode.content.truncate(size);
        }),
      chmod: (mode) =>
        opened(() => {
          inode.mode.set(mode);
          inode.ctimeNs = this.#nowNs();
        }),
      setTimes: (_accessMs, modifiedMs) => opened(() => this.#setTime(inode, modifiedMs)),
      sync: () =>
        opened(() => {
          inode.sync();
          if (inode.type === 'directory') this.#names.sync(inode);
        }),
      loseUnsynced: () => inode.content.loseUnsynced(),
      close: async () => void this.#handles.delete(fd),
    };
  }

  #setTime(inode: Inode, modifiedMs: number): void {
    inode.mtimeNs.set(BigInt(modifiedMs) * 1_000_000n);
    inode.ctimeNs = this.#nowNs();
  }

  #make(type: InodeType, at: At, mode: number): Inode {
    assertStands(at);
    const inode = new Inode(type, { ino: (this.#lastIno += 1), mode, nowNs: this.#nowNs() });
    this.#names.change({ ...at, inode });
    inode.linkCount = 1;
    return inode;
  }

  #remove({ directory, name, inode }: At & { inode: Inode }): void {
    this.#names.change({ directory, name, inode: undefined });
    inode.linkCount -= 1;
    inode.ctimeNs = this.#nowNs();
  }

  #removeAll(at: At & { inode: Inode }): void {
    for (const [name, inode] of [...at.inode.entries]) this.#removeAll({ directory: at.inode, name, inode });
    this.#remove(at);
  }

  #existing(path: string): At & { inode: Inode } {
    const at = this.#at(path);
    if (at.inode === undefined) throw failure('ENOENT', path);
    return { ...at, inode: at.inode };
  }

  // Only the last component may be a link: the store goes down name by name, and so does this.
  #at(path: string): At {
    const [, fd, below] = HANDLE_PATH.exec(path) ?? [];
    const start = fd === undefined ? this.#root : this.#handles.get(Number(fd));
    if (start === undefined) throw failure('EBADF', path);
    const names = (below ?? path).split('/').filter((name) => name !== '' && name !== '.');
    let at = placeOf(start);
    for (const name of names) {
      if (Buffer.byteLength(name) > MAX_NAME_BYTES) throw failure('ENAMETOOLONG', path);
      if (at.inode === undefined) throw failure('ENOENT', path);
      if (at.inode.type !== 'directory') throw failure('ENOTDIR', path);
      if (name === '..') at = placeOf(at.inode.place?.directory ?? at.inode);
      else at = { directory: at.inode, name, inode: at.inode.entries.get(name) };
    }
    return at;
  }

  // No two moments are the same, so that every change is seen.
  #nowNs(): bigint {
    const nowNs = BigInt(Date.now()) * 1_000_000n;
    return (this.#lastNs = nowNs > this.#lastNs ? nowNs : this.#lastNs + 1n);
  }
}

function placeOf(inode: Inode): At {
  return { directory: inode.place?.directory ?? inode, name: inode.place?.name ?? '', inode };
}

function* reachable(inode: Inode): Generator<Inode> {
  yield inode;
  for (const child of inode.entries.values()) yield* reachable(child);
}

// A directory that was removed while somebody held it open takes no more names.
function assertStands({ directory, name }: At): void {
  if (directory.linkCount === 0) throw failure('ENOENT', name);
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
