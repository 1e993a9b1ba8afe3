import {
  systemFiles,
  type FileStats,
  type FileSystem,
  type OpenFile,
} from '../../src/storage/fs/file-system.ts';

/** One call of the file system. Names are those of the interface; the calls of an open file begin with `file.`. */
export interface FileCall {
  name: string;
  /** What it was about, from the root of the file system down: no path through an open handle. */
  path: string;
  /** A second path, or what else tells one call from another. */
  detail: string | undefined;
}

/** The name of an error of the system, such as `EIO`. */
export type Errno = `E${string}`;
/** What goes wrong with a call: it fails, or, of a write, takes no more than so many bytes. */
export type Fault = Errno | { takes: number };

/** A file of which a sync that fails loses what was not on the disk, as Linux does it. */
export interface LosingFile extends OpenFile {
  loseUnsynced(): void;
}

type Judge = (call: FileCall, number: number) => Fault | undefined;

/**
 * The file system of this machine, whose calls are recorded and numbered from 1, and fail where a test says so. A
 * call that fails does nothing, except that closing closes, and that syncing loses what a `LosingFile` had not on the disk. On the disk of this machine nothing is really synced: it
 * does not lose power, and many tests need thousands of calls.
 */
export class FaultyFiles implements FileSystem {
  readonly #inner: FileSystem;
  readonly #paths = new Map<number, string>();
  #calls: FileCall[] = [];
  #judge: Judge = () => undefined;
  /** Whether the process is to have died: then nothing was even asked of the disk. */
  #isOver = false;
  #maxWriteBytes = Infinity;

  constructor(inner: FileSystem = systemFiles) {
    this.#inner = inner;
  }

  /** The calls since the last `heal`, in the order of their beginning. */
  get calls(): readonly FileCall[] {
    return this.#calls;
  }

  /** How many files, directories and listings are open now. */
  get openCount(): number {
    return this.#paths.size;
  }

  /** Call number `number` fails, once. */
  failCall(number: number, fault: Fault): void {
    this.heal((_, each) => (each === number ? fault : undefined));
  }

  /** Every call from number `number` on fails, as if the process had died or the disk had gone; `onCall` is told of each. */
  failFrom(number: number, errno: Errno, onCall: (number: number) => void = () => undefined): void {
    this.heal((_, each) => {
      if (each < number) return undefined;
      onCall(each);
      return errno;
    });
    this.#isOver = true;
  }

  /** The `occurrence`-th call of a name fails, of those about a path that ends with `path`. */
  failNamed(name: string, errno: Errno, { occurrence = 1, path = '' } = {}): void {
    let seen = 0;
    this.heal((call) => {
      if (call.name !== name || !call.path.endsWith(path)) return undefined;
      seen += 1;
      return seen === occurrence ? errno : undefined;
    });
  }

  /** No write takes more than `bytes` from now on. */
  shortenWrites(bytes: number): void {
    this.#maxWriteBytes = bytes;
  }

  /** Nothing fails any more (but for what `judge` says), and calls are counted from 1 again. */
  heal(judge: Judge = () => undefined): void {
    this.#judge = judge;
    this.#isOver = false;
    this.#calls = [];
  }

  childPath(directory: OpenFile, directoryPath: string, name: string): string {
    return this.#inner.childPath(directory, directoryPath, name);
  }

  async open(path: string, flags: number, mode?: number): Promise<OpenFile> {
    this.#call('open', path);
    const file = await this.#inner.open(path, flags, mode);
    this.#paths.set(file.fd, this.#named(path));
    return this.#faultyFile(file, this.#named(path));
  }

  async lstat(path: string): Promise<FileStats> {
    this.#call('lstat', path);
    return this.#inner.lstat(path);
  }

  async realpath(path: string): Promise<string> {
    this.#call('realpath', path);
    return this.#inner.realpath(path);
  }

  async *names(path: string): AsyncGenerator<string> {
    this.#call('names', path);
    const listing = -this.#calls.length;
    this.#paths.set(listing, path);
    try {
      yield* this.#inner.names(path);
    } finally {
      this.#paths.delete(listing);
    }
  }

  async mkdir(path: string, mode: number): Promise<void> {
    this.#call('mkdir', path, mode.toString(8));
    await this.#inner.mkdir(path, mode);
  }

  async rename(from: string, to: string): Promise<void> {
    this.#call('rename', from, this.#named(to));
    await this.#inner.rename(from, to);
  }

  async link(existing: string, path: string): Promise<void> {
    this.#call('link', existing, this.#named(path));
    await this.#inner.link(existing, path);
  }

  async unlink(path: string): Promise<void> {
    this.#call('unlink', path);
    await this.#inner.unlink(path);
  }

  async rmdir(path: string): Promise<void> {
    this.#call('rmdir', path);
    await this.#inner.rmdir(path);
  }

  async removeTree(path: string): Promise<void> {
    this.#call('removeTree', path);
    await this.#inner.removeTree(path);
  }

  async symlink(target: string, path: string): Promise<void> {
    this.#call('symlink', path, target);
    await this.#inner.symlink(target, path);
  }

  async readlink(path: string): Promise<string | undefined> {
    this.#call('readlink', path);
    return this.#inner.readlink(path);
  }

  async setTimes(path: string, accessMs: number, modifiedMs: number): Promise<void> {
    this.#call('setTimes', path);
    await this.#inner.setTimes(path, accessMs, modifiedMs);
  }

  #faultyFile(file: OpenFile, path: string): OpenFile {
    const call = (name: string, detail?: string) => this.#call(`file.${name}`, path, detail);
    let isOpen = true;
    return {
      fd: file.fd,
      read: async (target, position, length) => {
        call('read');
        return file.read(target, position, length);
      },
      write: async (source, position) => {
        const most = call('write', `${source.length} at ${position}`);
        return file.write(source.subarray(0, Math.min(most, this.#maxWriteBytes)), position);
      },
      stat: async () => {
        call('stat');
        return file.stat();
      },
      truncate: async (size) => {
        call('truncate', String(size));
        await file.truncate(size);
      },
      chmod: async (mode) => {
        call('chmod', mode.toString(8));
        await file.chmod(mode);
      },
      setTimes: async (accessMs, modifiedMs) => {
        call('setTimes', String(modifiedMs));
        await file.setTimes(accessMs, modifiedMs);
      },
      sync: async () => {
        try {
          call('sync');
        } catch (error) {
          if (!this.#isOver) (file as Partial<LosingFile>).loseUnsynced?.();
          throw error;
        }
        if (this.#inner !== systemFiles) await file.sync();
      },
      close: async () => {
        if (!isOpen) return;
        isOpen = false;
        // A system that reports a failure of closing has closed all the same.
        this.#paths.delete(file.fd);
        await file.close();
        call('close');
      },
    };
  }

  /** Takes note of a call, or fails it; answers how many bytes it may write. */
  #call(name: string, path: string, detail?: string): number {
    const call = { name, path: this.#named(path), detail };
    this.#calls.push(call);
    const fault = this.#judge(call, this.#calls.length);
    if (fault === undefined) return Infinity;
    if (typeof fault === 'object') return fault.takes;
    throw Object.assign(new Error(`${fault}: made by a test, ${name}`), { code: fault });
  }

  // A path through an open handle, `/proc/PID/fd/12/name`, as the path that the handle was opened by.
  #named(path: string): string {
    const [, fd, rest] = /^\/proc\/(?:self|\d+)\/fd\/(\d+)\/(.*)$/s.exec(path) ?? [];
    if (fd === undefined || rest === undefined) return path;
    const directory = this.#paths.get(Number(fd)) ?? `(closed handle ${fd})`;
    return rest === '.' ? directory : `${directory}/${rest}`;
  }
}
