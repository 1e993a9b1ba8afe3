import { isWithin, parentPath } from '../../src/transfer/remote-path.ts';
import { Refusal } from './refusal.ts';

export type ModelNode = {
  /** Of a file its bytes, of a link its target. */
  content: Buffer;
  type: 'file' | 'directory' | 'symlink';
  /** Tells it from whatever stood or will stand there; it takes this along where it is moved. */
  birth?: symbol;
  /** What was not said is the server's to choose. */
  mode?: number | undefined;
  mtimeMs?: number | undefined;
  /** As the server told it; undefined: it may have changed since. */
  etag?: string | undefined;
};

export interface ModelVersion {
  path: string;
  content: Buffer;
  /** As the server told it. */
  id?: string | undefined;
}

export interface Replacement {
  condition: { if: string; etag?: string | undefined };
  mayReplace: boolean;
}

/** What stands and what is kept, as SPEC.md says that it becomes. */
export class ModelFiles {
  readonly nodes = new Map<string, ModelNode>();
  /** In the order in which they lost their names. */
  versions: ModelVersion[] = [];

  find(path: string): ModelNode | undefined {
    for (const parent of parentsOf(path)) {
      const node = this.nodes.get(parent);
      if (node === undefined) return undefined;
      if (node.type !== 'directory') throw new Refusal('not-directory');
    }
    return this.nodes.get(path);
  }

  existing(path: string): ModelNode {
    const node = this.find(path);
    if (node === undefined) throw new Refusal('not-found');
    return node;
  }

  /** What stands, where nothing on the way to it is a failure. */
  standing(path: string): ModelNode | undefined {
    return parentsOf(path).every((parent) => this.nodes.get(parent)?.type === 'directory')
      ? this.nodes.get(path)
      : undefined;
  }

  /** Those below `path`, by their paths. */
  below(path: string): [string, ModelNode][] {
    return [...this.nodes].filter(([each]) => each !== path && isWithin(each, path));
  }

  publish(path: string, node: ModelNode, replacement: Replacement): void {
    const existing = this.find(path);
    checkFileReplacement(existing, replacement);
    this.#retire(path);
    const mode = node.mode ?? (node.type === 'file' && existing?.type === 'file' ? existing.mode : undefined);
    this.#place(path, { ...node, mode });
  }

  /** Why what stands there does not let a file be published; undefined if it does. */
  refusal(path: string, replacement: Replacement): Refusal | undefined {
    try {
      checkFileReplacement(this.standing(path), replacement);
      return undefined;
    } catch (error) {
      if (error instanceof Refusal) return error;
      throw error;
    }
  }

  makeDirectory(path: string, mode: number | undefined): boolean {
    const existing = this.find(path);
    if (existing !== undefined && existing.type !== 'directory') throw new Refusal('exists');
    if (existing !== undefined) return false;
    this.#place(path, { type: 'directory', content: Buffer.alloc(0), mode });
    return true;
  }

  set(path: string, mtimeMs: number): void {
    Object.assign(this.existing(path), { mtimeMs, etag: undefined });
  }

  remove(path: string, recursive: boolean): void {
    this.existing(path);
    const below = this.below(path);
    if (below.length > 0 && !recursive) throw new Refusal('not-empty');
    for (const [each] of [...below, [path] as const]) {
      this.#retire(each);
      this.nodes.delete(each);
    }
    this.#touch(parentPath(path));
  }

  move(path: string, to: string, replacement: Replacement): void {
    if (isWithin(to, path) && to !== path) throw new Refusal('bad-request');
    const moved = this.existing(path);
    const target = this.find(to);
    if (moved.type !== 'directory') checkFileReplacement(target, replacement);
    else {
      checkCondition(target, replacement);
      if (target !== undefined && target.type !== 'directory') throw new Refusal('not-directory');
      checkPermission(target, replacement);
    }
    if (to === path) return;
    if (this.below(to).length > 0 && target !== undefined) throw new Refusal('not-empty');
    this.#retire(to);
    for (const [each, node] of [[path, moved] as const, ...this.below(path)]) {
      this.nodes.delete(each);
      this.#place(`${to}${each.slice(path.length)}`, { ...node, etag: undefined });
    }
    this.#touch(parentPath(path));
  }

  #retire(path: string): void {
    const node = this.nodes.get(path);
    if (node?.type === 'file') this.versions.push({ path, content: node.content });
  }

  #place(path: string, node: ModelNode): void {
    const parent = parentPath(path);
    if (parent !== '' && !this.nodes.has(parent))
      this.#place(parent, { type: 'directory', content: Buffer.alloc(0) });
    this.nodes.set(path, { birth: Symbol(path), ...node });
    this.#touch(parentPath(path));
  }

  // A directory has another time when something comes or goes in it.
  #touch(path: string): void {
    const directory = this.nodes.get(path);
    if (directory !== undefined) directory.mtimeMs = undefined;
  }
}

export function checkFileReplacement(existing: ModelNode | undefined, replacement: Replacement): void {
  checkCondition(existing, replacement);
  if (existing?.type === 'directory') throw new Refusal('is-directory');
  checkPermission(existing, replacement);
}

function checkCondition(existing: ModelNode | undefined, { condition }: Replacement): void {
  if (condition.if === 'absent' && existing !== undefined) throw new Refusal('exists');
  if (condition.if === 'match' && (existing === undefined || existing.etag !== condition.etag))
    throw new Refusal('precondition-failed');
}

function checkPermission(existing: ModelNode | undefined, { mayReplace }: Replacement): void {
  if (existing !== undefined && !mayReplace) throw new Refusal('forbidden');
}

/** The directories above `path`, from the top. */
function parentsOf(path: string): string[] {
  return path
    .split('/')
    .slice(0, -1)
    .map((_, index, names) => names.slice(0, index + 1).join('/'));
}
