import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** How to make a mount namespace: as root, or in a user namespace, where ordinary users may make one. */
const NAMESPACES: readonly (readonly string[])[] = [['--mount'], ['--user', '--map-root-user', '--mount']];

/** The first way that works on this machine; undefined: none does. */
const WAY = NAMESPACES.find(
  (flags) => spawnSync('unshare', [...flags, 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()]).status === 0,
);

/** Whether this machine lets its user mount a disk of its own (`unshare`, of util-linux, as root or with user namespaces). */
export const canMount = WAY !== undefined;

/**
 * A file system in a mount namespace of its own: nothing of it is seen by the rest of the machine, and nothing is left
 * when it is closed, or when this process dies.
 */
export class MountedDisk {
  /** Where the processes that `command` runs see it. */
  readonly path = mkdtempSync(join(tmpdir(), 'sealift-disk-'));
  readonly #holder: ChildProcess;

  /** `mounting` is run with the path as another argument, says `mounted`, and ends with its standard input. */
  protected constructor(mounting: readonly string[]) {
    this.#holder = spawn('unshare', [...(WAY ?? []), ...mounting, this.path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
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

  async close(): Promise<void> {
    this.#holder.stdin?.end();
    if (this.#holder.exitCode === null) await once(this.#holder, 'exit');
    rmSync(this.path, { recursive: true });
  }

  protected async mounted(): Promise<void> {
    const [said] = (await once(this.#holder.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
    if (said.toString() !== 'mounted\n') throw new Error(`The disk could not be mounted: ${said.toString()}`);
  }
}
