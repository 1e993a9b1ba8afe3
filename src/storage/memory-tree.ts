import type { Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import { baseName, components, joinPath, parentPath } from '../transfer/remote-path.ts';
import { keptMode } from './kept-mode.ts';
import { etagOf } from './same-node.ts';
import type { Attributes, Entry } from './store.ts';

/** What stands under a name in memory. A file or link is never changed but replaced by another. */
export type MemoryNode = MemoryFile | MemoryLink | MemoryDirectory;
export type MemoryFile = Stamp & { type: 'file'; content: Buffer };
export type MemoryLink = Stamp & { type: 'symlink'; target: string };
export type MemoryDirectory = Stamp & { type: 'directory'; children: Map<string, MemoryNode> };

interface Stamp {
  /** Tells it from everything else that ever stood somewhere. */
  node: string;
  mtimeMs: number;
  mode: number;
  etag: string;
}

/** The names of a memory store. Every method is one step, so that nothing can come between a look and a change. */
export class MemoryTree {
  readonly #clock: Clock;
  readonly #root: MemoryDirectory;
  #changes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#root = { type: 'directory', children: new Map(), ...this.stamp('directory', {}, 0o755) };
  }

  /** What stands under `path`; undefined if nothing does. Throws `not-directory` if the way leads through a file or a link. */
  find(path: string): MemoryNode | undefined {
    if (path === '') return this.#root;
    let node: MemoryNode | undefined = this.#root;
    for (const name of path.split('/')) {
      if (node === undefined) return undefined;
      node = childrenOf(node, path).get(name);
    }
    return node;
  }

  /** As `find`, but throws `not-found`. */
  existing(path: string): MemoryNode {
    const node = this.find(path);
    if (node === undefined) throw new SealiftError('not-found', `${JSON.stringify(path)} does not exist.`);
    return node;
  }

  /** See `Store.nearest`. */
  nearest(path: string): string {
    let [node, at]: [MemoryNode | undefined, string] = [this.#root, ''];
    for (const name of components(parentPath(path))) {
      node = node.type === 'directory' ? node.children.get(name) : undefined;
      if (node === undefined) break;
      at = joinPath(at, name);
    }
    return at;
  }

  /** What stands in the directory `path`, by name. Throws `not-directory`. */
  children(path: string): Map<string, MemoryNode> {
    return childrenOf(this.existing(path), path);
  }

  /** Lets `node` stand under `path`, whatever stood there, and makes missing parents. */
  place(path: string, node: MemoryNode): void {
    const parent = parentPath(path);
    if (this.find(parent) === undefined) this.place(parent, this.newDirectory({}));
    this.children(parent).set(baseName(path), node);
    this.#touch(parent);
  }

  /** Lets nothing stand under `path`. */
  clear(path: string): void {
    this.children(parentPath(path)).delete(baseName(path));
    this.#touch(parentPath(path));
  }

  newDirectory(attributes: Attributes): MemoryDirectory {
    return { type: 'directory', children: new Map(), ...this.stamp('directory', attributes, 0o755) };
  }

  /** Times, permission bits and an etag that nothing has had before, for what is new. */
  stamp(type: Entry['type'], { mtimeMs, mode }: Attributes, defaultMode: number): Stamp {
    this.#changes += 1;
    const change = this.#changes.toString(36);
    return {
      node: change,
      mtimeMs: mtimeMs ?? this.#clock.now(),
      mode: keptMode(type, mode ?? defaultMode),
      etag: etagOf(change, change),
    };
  }

  /** Gives what stands somewhere other times and permission bits, and another etag. */
  change(node: MemoryNode, attributes: Attributes): void {
    const stamp = this.stamp(node.type, attributes, node.mode);
    Object.assign(node, stamp, { node: node.node, etag: etagOf(node.node, stamp.node) });
  }

  #touch(path: string): void {
    this.change(this.existing(path), {});
  }
}

/** The entry of what stands under `path`. */
export function entryOf(node: MemoryNode, path: string): Entry {
  const { type, mtimeMs, mode, etag } = node;
  const entry = { path, type, size: 0, mtimeMs, mode, etag };
  if (node.type === 'file') return { ...entry, size: node.content.length };
  if (node.type === 'symlink') return { ...entry, size: Buffer.byteLength(node.target), target: node.target };
  return entry;
}

function childrenOf(node: MemoryNode, path: string): Map<string, MemoryNode> {
  if (node.type === 'directory') return node.children;
  throw new SealiftError(
    'not-directory',
    `${JSON.stringify(path)} is not a directory, or leads through something that is none.`,
  );
}
