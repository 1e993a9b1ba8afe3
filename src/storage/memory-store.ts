import { systemClock, type Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import { isWithin, joinPath } from '../transfer/remote-path.ts';
import { entryOf, MemoryTree, type MemoryFile, type MemoryNode } from './memory-tree.ts';
import { openMemoryUpload, UploadData, type MemoryUploadParts } from './memory-upload.ts';
import { checkStorePath } from './own-names.ts';
import { checkFileReplacement, checkMove } from './replacement.ts';
import type {
  Attributes,
  Entry,
  OpenUploadOptions,
  Publication,
  PublishedRecord,
  ReplaceOptions,
  Store,
  StoredFile,
  StoredUpload,
} from './store.ts';

/**
 * Files in memory, for tests, and the proof that the contract asks for no file system: nothing here has inodes,
 * handles or holes. It lasts as long as the object does; disposing of it changes nothing, so that a test
 * may go on with it as with a store that was opened again.
 */
export class MemoryStore implements Store {
  readonly features = { symlinks: true };
  readonly #clock: Clock;
  readonly #tree: MemoryTree;
  readonly #uploads = new Map<string, UploadData>();
  readonly #published = new Map<string, { record: PublishedRecord; atMs: number }>();

  constructor({ clock = systemClock }: { clock?: Clock } = {}) {
    this.#clock = clock;
    this.#tree = new MemoryTree(clock);
  }

  async stat(path: string): Promise<Entry> {
    checkStorePath(path, { allowRoot: true });
    return entryOf(this.#tree.existing(path), path);
  }

  async *list(path: string, { recursive }: { recursive: boolean }): AsyncGenerator<Entry> {
    checkStorePath(path, { allowRoot: true });
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

  async open(path: string): Promise<StoredFile> {
    checkStorePath(path, { allowRoot: true });
    const node = this.#tree.existing(path);
    const name = JSON.stringify(path);
    if (node.type === 'directory') throw new SealiftError('is-directory', `${name} is a directory.`);
    if (node.type === 'symlink')
      throw new SealiftError('bad-request', `${name} is a symbolic link, which is never followed.`);
    return new OpenMemoryFile(node, path);
  }

  async put(publication: Publication, content: Buffer): Promise<Entry> {
    return this.#publish(publication, Buffer.from(content));
  }

  async openUpload(key: string, options: OpenUploadOptions): Promise<StoredUpload> {
    if (!/^[0-9a-f-]{1,120}$/.test(key))
      throw new SealiftError('internal', 'The key of an upload is not of the form that it should have.');
    checkStorePath(options.path, { allowRoot: false });
    this.#tree.find(options.path);
    const kept = options.base === 'none' ? undefined : this.#uploads.get(key);
    const data = kept ?? new UploadData(this.#clock.now());
    this.#uploads.set(key, data);
    const discard = () => {
      if (this.#uploads.get(key) === data) this.#uploads.delete(key);
    };
    const parts: MemoryUploadParts = {
      data,
      discard,
      now: () => this.#clock.now(),
      open: (path) => this.open(path),
      publish: (publication, content, { id, ...record }) => {
        const entry = this.#publish(publication, content);
        this.#published.set(id, { record: { ...record, entry }, atMs: this.#clock.now() });
        discard();
        return entry;
      },
    };
    return openMemoryUpload(parts, options);
  }

  async *uploads(): AsyncGenerator<{ key: string; bytes: number; lastWrittenMs: number }> {
    for (const [key, { bytes, lastWrittenMs }] of this.#uploads) yield { key, bytes, lastWrittenMs };
  }

  async discardUpload(key: string): Promise<void> {
    this.#uploads.delete(key);
  }

  async published(publicationId: string): Promise<PublishedRecord | undefined> {
    return this.#published.get(publicationId)?.record;
  }

  async forgetPublished(beforeMs: number): Promise<void> {
    for (const [id, { atMs }] of this.#published) if (atMs < beforeMs) this.#published.delete(id);
  }

  async remove(path: string, { recursive }: { recursive: boolean }): Promise<void> {
    checkStorePath(path, { allowRoot: false });
    const node = this.#tree.existing(path);
    if (!recursive) assertEmpty(node, path);
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
    if (target !== undefined) assertEmpty(target, to);
    this.#tree.clear(path);
    this.#tree.place(to, node);
  }

  async mkdir(path: string, attributes: Attributes): Promise<void> {
    checkStorePath(path, { allowRoot: true });
    const node = this.#tree.find(path);
    if (node?.type === 'directory') return;
    if (node !== undefined)
      throw new SealiftError('exists', `${JSON.stringify(path)} exists already and is no directory.`);
    this.#tree.place(path, this.#tree.newDirectory(attributes));
  }

  async set(path: string, { mtimeMs, mode }: Attributes): Promise<void> {
    checkStorePath(path, { allowRoot: false });
    const node = this.#tree.existing(path);
    const bits = node.type === 'symlink' ? node.mode : (mode ?? node.mode);
    Object.assign(node, this.#tree.stamp({ mtimeMs: mtimeMs ?? node.mtimeMs, mode: bits }, bits));
  }

  async symlink(path: string, target: string, options: ReplaceOptions): Promise<void> {
    checkStorePath(path, { allowRoot: false });
    const existing = this.#tree.find(path);
    checkFileReplacement(existing && entryOf(existing, path), path, options);
    this.#tree.place(path, { type: 'symlink', target, ...this.#tree.stamp({}, 0o777) });
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
    // What replaces a file without saying how takes over its permission bits.
    const defaultMode = existing?.type === 'file' ? existing.mode : 0o644;
    const node: MemoryFile = { type: 'file', content, ...this.#tree.stamp(publication, mode ?? defaultMode) };
    this.#tree.place(path, node);
    return entryOf(node, path);
  }
}

class OpenMemoryFile implements StoredFile {
  readonly entry: Entry;
  readonly #content: Buffer;

  constructor(node: MemoryFile, path: string) {
    this.entry = entryOf(node, path);
    this.#content = node.content;
  }

  async read(target: Buffer, position: number, length: number): Promise<void> {
    if (this.#content.copy(target, 0, position, position + length) === length) return;
    throw new SealiftError('precondition-failed', `${JSON.stringify(this.entry.path)} has fewer bytes.`);
  }

  async assertUnchanged(): Promise<void> {
    // A content is never changed, only replaced by another.
  }

  async close(): Promise<void> {
    // A content in memory needs no closing.
  }
}

function assertEmpty(node: MemoryNode, path: string): void {
  if (node.type === 'directory' && node.children.size > 0)
    throw new SealiftError('not-empty', `${JSON.stringify(path)} is a directory that is not empty.`);
}
