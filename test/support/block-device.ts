import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A block device that holds what a file holds; `losetup`, of util-linux, makes it for root where the kernel has such. */
export class BlockDevice {
  readonly path: string;
  readonly #directory: string;

  private constructor(path: string, directory: string) {
    this.path = path;
    this.#directory = directory;
  }

  /** Undefined where none can be had. */
  static attach(content: Buffer): BlockDevice | undefined {
    const directory = mkdtempSync(join(tmpdir(), 'sealift-device-'));
    const file = join(directory, 'content');
    writeFileSync(file, content);
    const { status, stdout } = spawnSync('losetup', ['--find', '--show', file], { encoding: 'utf8' });
    if (status === 0) return new BlockDevice(stdout.trim(), directory);
    rmSync(directory, { recursive: true });
    return undefined;
  }

  read(): Buffer {
    return readFileSync(this.path);
  }

  detach(): void {
    spawnSync('losetup', ['--detach', this.path]);
    rmSync(this.#directory, { recursive: true });
  }
}
