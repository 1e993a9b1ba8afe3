import { systemClock, type Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import { systemRandom, type Random } from '../random.ts';
import { isWithin, joinPath } from '../transfer/remote-path.ts';
import { openMemoryFile } from './memory-file.ts';
import { entryOf, MemoryTree, type MemoryFile, type MemoryNode } from './memory-tree.ts';
import { MemoryUploads } from './memory-uploads.ts';
import { MemoryVersions } from './memory-versions.ts';
import { checkStorePath } from './own-names.ts';
import { checkFileReplacement, checkMove } from './replacement.ts';
import { assertStillSame } from './same-node.ts';
import type {
  Attributes,
  Entry,
  ListOptions,
  OpenOptions,
  OpenUploadOptions,
  Publication,
  PublishedRecord,
  RemoveOptions,
  ReplaceOptions,
  SetOptions,
  Store,
  StoredFile,
  StoredUpload,
  StoreFeatures,
} from './store.ts';
import { keepsNoVersions } from './version-ids.ts';

export interface MemoryStoreOptions {
  clock?: Clock;
  random?: Random;
  /** How long what is replaced or removed is kept, in milliseconds. Default 0: not at all. */
  keepVersionsMs?: number;
}

/**
 * Files in memory, for tests, and the proof that the contract asks for no file system: nothing here has inodes,
 * handles or holes. It lasts as long as the object does; disposing of it changes nothing, so that a test
 * may go on with it as with a store that was opened again.
 */
export class MemoryStore implements Store {
  readonly features: StoreFeatures;
  readonly #tree: MemoryTree;
  readonly #uploads: MemoryUploads;
  readonly #versions: MemoryVersions | undefined;

  constructor({ clock = systemClock, random = systemRandom, keepVersionsMs = 0 }: MemoryStoreOptions = {}) {
    const versions = keepVersionsMs > 0;
    const names = { distinguishesCase: true, distinguishesForms: true };
    this.features = { symlinks: true, ...names, timeGrainMs: 1, versions };
    if (versions) this.#versions = new MemoryVersions({ clock, random, keepMs: keepVersionsMs });
    this.#tree = new MemoryTree(clock);
    this.#uploads = new MemoryUploads({
      clock,
      open: (path) => this.open(path),
      publish: (publication, content) => this.#publish(publication, content),
    });
  }

  async stat(path: string): Promise<Entry> {
    checkStorePath(path, { allowRoot: true });
    return entryOf(this.#tree.existing(path), path);
  }

  async nearest(path: string): Promise<string> {
    checkStorePath(path, { allowRoot: false });
    return this.#tree.nearest(path);
  }

  async *list(path: string, { recursive, versions = false }: ListOptions): AsyncGenerator<Entry> {
    checkStorePath(path, { allowRoot: true });
    if (versions) return yield* this.#keptVersions().list(path, { recursive });
    const waiting = [...this.#tree.children(path)].map(([name, node]) => ({
      path: joinPath(path, name),
      node,
    }));
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      yield entryOf(next.node, next.path);
      if (!recursive || next.node.type !== 'directory') continue;
      for (const [name, node] of next.node.children) waiting.push({ path: joinPath(next.path, name), node });
    }
  }

  async open(path: string, { version }: OpenOptions = {}): Promise<StoredFile> {
    checkStorePath(path, { allowRoot: true });
    if (version !== undefined) return openMemoryFile(this.#keptVersions().find(path, version), path);
    return openMemoryFile(this.#tree.existing(path), path);
  }

  async put(publication: Publication, content: Buffer): Promise<Entry> {
    return this.#publish(publication, Buffer.from(content));
  }

  async openUpload(key: string, options: OpenUploadOptions): Promise<StoredUpload> {
    checkStorePath(options.path, { allowRoot: false });
    // A name that cannot be published should not be uploaded first.
    this.#tree.find(options.path);
    return this.#uploads.openUpload(key, options);
  }

  uploads(): AsyncGenerator<{ key: string; bytes: number; lastWrittenMs: number }> {
    return this.#uploads.uploads();
  }

  async discardUpload(key: string): Promise<void> {
    await this.#uploads.discardUpload(key);
  }

  async published(publicationId: string): Promise<PublishedRecord | undefined> {
    return this.#uploads.published(publicationId);
  }

  async forgetPublished(beforeMs: number, maxPerOwner?: number): Promise<void> {
    await this.#uploads.forgetPublished(beforeMs, maxPerOwner);
  }

  async expireVersions(): Promise<void> {
    this.#versions?.expire();
  }

  async remove(path: string, { recursive }: RemoveOptions): Promise<void> {
    checkStorePath(path, { allowRoot: false });
    const node = this.#tree.existing(path);
    if (!recursive) assertEmpty(node, path);
    this.#versions?.keep(path, node);
    this.#tree.clear(path);
  }

  async move(path: string, to: string, options: ReplaceOptions): Promise<void> {
    checkStorePath(path, { allowRoot: false });
    checkStorePath(to, { allowRoot: false });
    if (isWithin(to, path) && to !== path)
      throw new SealiftError('bad-request', 'A directory cannot be moved into itself.');
    const node = this.#tree.existing(path);
    const target = this.#tree.find(to);
    checkMove(entryOf(node, path), target && entryOf(target, to), to, options);
    if (to === path) return;
    if (target !== undefined) {
      assertEmpty(target, to);
      this.#versions?.keep(to, target);
    }
    this.#tree.clear(path);
    this.#tree.place(to, node);
  }

  async mkdir(path: string, attributes: Attributes): Promise<Entry | undefined> {
    checkStorePath(path, { allowRoot: true });
    const existing = this.#tree.find(path);
    if (existing?.type === 'directory') return undefined;
    if (existing !== undefined)
      throw new SealiftError('exists', `${JSON.stringify(path)} exists already and is no directory.`, {
        details: { etag: entryOf(existing, path).etag },
      });
    const made = this.#tree.newDirectory(attributes);
    this.#tree.place(path, made);
    return entryOf(made, path);
  }

  async set(path: string, { mtimeMs, mode }: Attributes, { made }: SetOptions = {}): Promise<void> {
    checkStorePath(path, { allowRoot: false });
    const node = this.#tree.existing(path);
    assertStillSame(entryOf(node, path), made);
    const bits = node.type === 'symlink' ? undefined : mode;
    this.#tree.change(node, { mtimeMs: mtimeMs ?? node.mtimeMs, mode: bits });
  }

  async symlink(path: string, target: string, options: ReplaceOptions): Promise<Entry> {
    checkStorePath(path, { allowRoot: false });
    const existing = this.#tree.find(path);
    checkFileReplacement(existing && entryOf(existing, path), path, options);
    if (existing !== undefined) this.#versions?.keep(path, existing);
    const link: MemoryNode = { type: 'symlink', target, ...this.#tree.stamp('symlink', {}, 0o777) };
    this.#tree.place(path, link);
    return entryOf(link, path);
  }

  async sync(paths: readonly string[]): Promise<void> {
    for (const path of paths) checkStorePath(path, { allowRoot: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is held that would have to be given back.
  }

  #publish(publication: Publication, content: Buffer): Entry {
    const { path, mode } = publication;
    checkStorePath(path, { allowRoot: false });
    const existing = this.#tree.find(path);
    checkFileReplacement(existing && entryOf(existing, path), path, publication);
    if (existing !== undefined) this.#versions?.keep(path, existing);
    // What replaces a file without saying how takes over its permission bits.
    const defaultMode = existing?.type === 'file' ? existing.mode : 0o644;
    const node: MemoryFile = {
      type: 'file',
      content,
      ...this.#tree.stamp('file', publication, mode ?? defaultMode),
    };
    this.#tree.place(path, node);
    return entryOf(node, path);
  }

  #keptVersions(): MemoryVersions {
    if (this.#versions === undefined) throw keepsNoVersions();
    return this.#versions;
  }
}

function assertEmpty(node: MemoryNode, path: string): void {
  if (node.type === 'directory' && node.children.size > 0)
    throw new SealiftError('not-empty', `${JSON.stringify(path)} is a directory that is not empty.`);
}
