import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { systemCode } from '../../src/errors.ts';

/** How to make a mount namespace: as root, or in a user namespace, where ordinary users may make one. */
const NAMESPACES: readonly (readonly string[])[] = [['--mount'], ['--user', '--map-root-user', '--mount']];

/** The first way that works on this machine; undefined: none does. */
const WAY = NAMESPACES.find(
  (flags) => spawnSync('unshare', [...flags, 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()]).status === 0,
);

/** Whether this machine lets its user mount a disk of its own (`unshare`, of util-linux, as root or with user namespaces). */
export const canMount = WAY !== undefined;

const FILLER = 'filler';

/** How large a disk is. */
export interface DiskSize {
  bytes: number;
  /** Files, directories and links that it can have. */
  inodes: number;
}

/**
 * A file system in memory that is really full when it is full, in a mount namespace of its own: nothing of it is seen
 * by the rest of the machine, and nothing is left when it is closed, or when this process dies.
 */
export class TinyDisk {
  /** Where the processes that `command` runs see it. */
  readonly path = mkdtempSync(join(tmpdir(), 'sealift-disk-'));
  readonly #holder: ChildProcess;

  private constructor({ bytes, inodes }: DiskSize) {
    const mount = `mount -t tmpfs -o size=${bytes},nr_inodes=${inodes} tmpfs "$1" && echo mounted && exec cat`;
    this.#holder = spawn('unshare', [...(WAY ?? []), 'sh', '-c', mount, 'sh', this.path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
  }

  static async mount(size: DiskSize): Promise<TinyDisk> {
    const disk = new TinyDisk(size);
    const [said] = (await once(disk.#holder.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
    if (said.toString() !== 'mounted\n') throw new Error(`The disk could not be mounted: ${said.toString()}`);
    return disk;
  }

  /** The same command where the disk is seen. */
  command(command: readonly string[]): [string, ...string[]] {
    const isUser = WAY?.includes('--user') === true ? ['--user', '--preserve-credentials'] : [];
    return ['nsenter', `--target=${this.#holder.pid}`, ...isUser, '--mount', ...command];
  }

  /** A path on it, as this process sees it. */
  seen(...names: string[]): string {
    return join(`/proc/${this.#holder.pid}/root`, this.path, ...names);
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

  async close(): Promise<void> {
    this.#holder.stdin?.end();
    if (this.#holder.exitCode === null) await once(this.#holder, 'exit');
    rmSync(this.path, { recursive: true });
  }
}
