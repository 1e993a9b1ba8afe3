import type { SendAction } from '../../src/client/tree/action.ts';
import type { Attributes, FileOutcome, SendHooks, TreeDirection } from '../../src/client/tree/direction.ts';
import type { ScanOptions } from '../../src/client/tree/local-scan.ts';
import type { NameFolding, TreeEntry } from '../../src/client/tree/tree-entry.ts';
import { anySignal } from '../../src/clock.ts';
import { SealiftError, type ErrorCode } from '../../src/errors.ts';
import { parentPath } from '../../src/transfer/remote-path.ts';

/** What stands in a tree of such a direction: the content of a file, too. */
export type MemoryEntry = TreeEntry & { content?: string };
export type MemoryTree = Map<string, MemoryEntry>;

/** The time that a directory gets when something changes in it. */
const TOUCHED_MS = 9_999_999;

/**
 * Two trees in memory, as strict as a file system is: what has no directory, what is in the way, what is not empty
 * and what its directory's bits forbid fails. Calls are recorded as `send a`, and can be made to fail or to wait.
 */
export class MemoryDirection implements TreeDirection {
  readonly sourceName = 'SOURCE';
  readonly targetName = 'TARGET';
  readonly source: MemoryTree;
  readonly target: MemoryTree;
  readonly calls: string[] = [];
  /** Before each call that changes something; a step such as `send a`. */
  before: (step: string) => Promise<void> | void = () => undefined;
  folding: NameFolding = { case: false, forms: false, ends: false };
  /** To how many milliseconds the target keeps times. */
  grainMs = 1;
  filesAtOnce = 60;
  comparedAtOnce = 60;
  problems: [path: string, code: ErrorCode][] = [];

  constructor(source: readonly MemoryEntry[], target: readonly MemoryEntry[] = []) {
    this.source = new Map(source.map((entry) => [entry.path, entry]));
    this.target = new Map(target.map((entry) => [entry.path, { ...entry }]));
  }

  abortOn(signal: AbortSignal | undefined): AbortSignal {
    return anySignal(signal);
  }

  async *scanSource({ filter, onWay, onLeftOut, onProblem }: ScanOptions): AsyncGenerator<TreeEntry[]> {
    if (this.source.size === 0) throw new SealiftError('local-not-found', 'SOURCE does not exist.');
    for (const entry of [...this.source.values()].sort((a, b) => (a.path < b.path ? -1 : 1))) {
      if (filter.takes(entry)) yield await Promise.resolve([entry]);
      else if (entry.type === 'directory') onWay?.(entry);
      else if (entry.type === 'file' && !filter.protects(entry.path, false)) onLeftOut?.(entry.path);
    }
    for (const [path, code] of this.problems)
      onProblem(new SealiftError(code, `${path} is a problem.`), path);
  }

  scanTarget(): Promise<Map<string, TreeEntry>> {
    return Promise.resolve(new Map([...this.target].map(([path, entry]) => [path, { ...entry }])));
  }

  timeGrain(): Promise<number> {
    return Promise.resolve(this.grainMs);
  }

  nameFolding(): Promise<NameFolding> {
    return Promise.resolve(this.folding);
  }

  nameProblem(): undefined {
    return undefined;
  }

  keptMode({ mode }: TreeEntry): number {
    return mode;
  }

  async hasSameContent({ path }: TreeEntry, { path: targetPath }: TreeEntry): Promise<boolean> {
    this.calls.push(`compare ${path} ${targetPath}`);
    await new Promise((resolve) => setImmediate(resolve));
    return this.source.get(path)?.content === this.target.get(targetPath)?.content;
  }

  sourceDigest({ path }: TreeEntry): Promise<string> {
    return this.#digest(this.source, 'source', path);
  }

  targetDigest({ path }: TreeEntry): Promise<string> {
    return this.#digest(this.target, 'target', path);
  }

  async #digest(tree: MemoryTree, side: string, path: string): Promise<string> {
    this.calls.push(`digest ${side} ${path}`);
    await new Promise((resolve) => setImmediate(resolve));
    const { content } = tree.get(path) ?? {};
    if (content === undefined) throw new SealiftError('not-found', `${path} is not there.`);
    return `of ${content}`;
  }

  begin(): Promise<void> {
    return this.#step('begin', '');
  }

  async makeDirectory(entry: TreeEntry): Promise<undefined> {
    await this.#step('mkdir', entry.path);
    this.#makeRoom(entry.path);
    if (this.target.has(entry.path)) throw failure('exists', entry.path);
    this.target.set(entry.path, { ...entry, mode: entry.mode | 0o700, mtimeMs: TOUCHED_MS });
  }

  async send({ entry, to }: SendAction, hooks: SendHooks): Promise<FileOutcome> {
    await this.#step('send', to);
    this.#place(to, { ...(this.source.get(entry.path) ?? entry), path: to });
    hooks.onProgress({
      totalBytes: entry.size,
      doneBytes: entry.size,
      resumedBytes: 0,
      movedBytes: entry.size,
    });
    return { path: to, size: entry.size, digest: '', movedBytes: entry.size, resumedBytes: 0, retries: 0 };
  }

  async link({ entry, to }: SendAction): Promise<undefined> {
    await this.#step('link', to);
    this.#place(to, { ...entry, path: to });
  }

  async set(path: string, attributes: Attributes): Promise<void> {
    await this.#step('set', path);
    const entry = this.target.get(path);
    if (entry === undefined) throw failure('not-found', path);
    Object.assign(entry, attributes);
  }

  async move(from: string, to: string): Promise<void> {
    await this.#step('move', from);
    const entry = this.target.get(from);
    if (entry === undefined) throw failure('not-found', from);
    this.#makeRoom(from);
    this.target.delete(from);
    this.#place(to, { ...entry, path: to });
  }

  async remove({ path }: TreeEntry): Promise<void> {
    await this.#step('remove', path);
    if ([...this.target.keys()].some((each) => each.startsWith(`${path}/`))) throw failure('not-empty', path);
    this.#makeRoom(path);
    this.target.delete(path);
  }

  end({ isComplete }: { isComplete: boolean }): Promise<void> {
    return this.#step(isComplete ? 'end complete' : 'end', '');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#step('dispose', '');
  }

  async #step(name: string, path: string): Promise<void> {
    const step = `${name} ${path}`.trim();
    this.calls.push(step);
    // Whatever can come between comes between.
    await new Promise((resolve) => setImmediate(resolve));
    await this.before(step);
  }

  #place(path: string, entry: MemoryEntry): void {
    if (this.target.get(path)?.type === 'directory') throw failure('is-directory', path);
    this.#makeRoom(path);
    this.target.set(path, { ...entry });
  }

  /** A change in the directory of `path`. */
  #makeRoom(path: string): void {
    if (path === '') return;
    const directory = this.target.get(parentPath(path));
    if (directory === undefined) throw failure('not-found', parentPath(path));
    if (directory.type !== 'directory') throw failure('not-directory', parentPath(path));
    if ((directory.mode & 0o300) !== 0o300) throw failure('forbidden', parentPath(path));
    directory.mtimeMs = TOUCHED_MS;
  }
}

/** A file; its size is that of its content. */
export function file(path: string, content = 'x', attributes: Partial<MemoryEntry> = {}): MemoryEntry {
  return { path, type: 'file', size: content.length, mtimeMs: 1_000, mode: 0o644, content, ...attributes };
}

export function directory(path: string, attributes: Partial<MemoryEntry> = {}): MemoryEntry {
  return { path, type: 'directory', size: 0, mtimeMs: 1_000, mode: 0o755, ...attributes };
}

export function link(path: string, target = 'x', attributes: Partial<MemoryEntry> = {}): MemoryEntry {
  return { path, type: 'symlink', size: target.length, mtimeMs: 1_000, mode: 0o777, target, ...attributes };
}

function failure(code: ErrorCode, path: string): SealiftError {
  return new SealiftError(code, `${JSON.stringify(path)} is in the way, or missing.`);
}
