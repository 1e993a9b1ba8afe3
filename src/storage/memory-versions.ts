import type { Clock } from '../clock.ts';
import type { Random } from '../random.ts';
import { isWithin, joinPath, parentPath } from '../transfer/remote-path.ts';
import { entryOf, type MemoryFile, type MemoryNode } from './memory-tree.ts';
import type { Entry } from './store.ts';
import { retiredAtMs, VersionIds, versionNotFound } from './version-ids.ts';

interface KeptFile {
  path: string;
  version: string;
  file: MemoryFile;
}

/** The files that a memory store keeps after they were replaced or removed. */
export class MemoryVersions {
  readonly #clock: Clock;
  readonly #ids: VersionIds;
  readonly #keepMs: number;
  #kept: KeptFile[] = [];

  constructor({ clock, random, keepMs }: { clock: Clock; random: Random; keepMs: number }) {
    this.#clock = clock;
    this.#ids = new VersionIds({ clock, random });
    this.#keepMs = keepMs;
  }

  /** Keeps what is about to lose its name: a file, or all files in a directory. */
  keep(path: string, node: MemoryNode): void {
    this.#keepAll(path, node, this.#ids.next());
  }

  /** See `Store.list`. */
  *list(path: string, { recursive }: { recursive: boolean }): Generator<Entry, void> {
    for (const kept of [...this.#kept]) {
      const isMeant =
        kept.path === path || (recursive ? isWithin(kept.path, path) : parentPath(kept.path) === path);
      if (isMeant) yield { ...entryOf(kept.file, kept.path), version: kept.version };
    }
  }

  /** Throws `not-found`. */
  find(path: string, version: string): MemoryFile {
    const found = this.#kept.find((kept) => kept.path === path && kept.version === version);
    if (found === undefined) throw versionNotFound(path, version);
    return found.file;
  }

  /** See `Store.expireVersions`. */
  expire(): void {
    const beforeMs = this.#clock.now() - this.#keepMs;
    this.#kept = this.#kept.filter(({ version }) => (retiredAtMs(version) ?? 0) >= beforeMs);
  }

  #keepAll(path: string, node: MemoryNode, version: string): void {
    if (node.type === 'file') this.#kept.push({ path, version, file: node });
    if (node.type !== 'directory') return;
    for (const [name, child] of node.children) this.#keepAll(joinPath(path, name), child, version);
  }
}
