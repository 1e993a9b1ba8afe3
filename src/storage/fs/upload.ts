import { SealiftError, systemCode } from '../../errors.ts';
import { BlockMap } from '../../transfer/block-map.ts';
import { BLOCK_BYTES, blockCount, blockLength } from '../../transfer/blocks.ts';
import { blockDigest } from '../../transfer/digests.ts';
import type {
  Entry,
  OpenUploadOptions,
  Publication,
  PublishedRecord,
  StoredFile,
  StoredUpload,
} from '../store.ts';
import { readFully, writeFully } from './file-bytes.ts';
import { OPEN, type FileSystem, type OpenFile } from './file-system.ts';
import type { Publications } from './publications.ts';
import { storeError } from './store-errors.ts';

interface UploadParts {
  files: FileSystem;
  publications: Publications;
  systemPath: string;
  /** Opens the published file for `base: existing`. */
  openExisting: (path: string) => Promise<StoredFile>;
}

/** Opens the data of an upload and finds out what it holds. */
export async function openFileUpload(parts: UploadParts, options: OpenUploadOptions): Promise<StoredUpload> {
  const { files, systemPath } = parts;
  if (options.base === 'none') await unlinkIfThere(files, systemPath);
  const found = await openIfThere(files, systemPath);
  const file = found ?? (await files.open(systemPath, OPEN.create, 0o666));
  try {
    const start = await startFrom(parts, options, file, found !== undefined);
    return new FileUpload(parts, options.path, file, start.base, start.held);
  } catch (error) {
    await file.close().catch(() => undefined);
    throw error;
  }
}

async function startFrom(
  parts: UploadParts,
  options: OpenUploadOptions,
  file: OpenFile,
  wasThere: boolean,
): Promise<Pick<StoredUpload, 'base' | 'held'>> {
  const bytes = await cutTo(file, options.size);
  if (wasThere && bytes > 0)
    return { base: 'partial', held: options.known ?? (await hashHeld(file, bytes, options)) };
  if (options.base === 'existing') {
    const held = await copyExisting(parts, file, options);
    if (held !== undefined) return { base: 'existing', held };
  }
  return { base: 'none', held: new BlockMap() };
}

/** What was sent beyond the size that is declared now is dropped. Resolves with the bytes that remain. */
async function cutTo(file: OpenFile, size: number | null): Promise<number> {
  const bytes = Number((await file.stat()).size);
  if (size === null || bytes <= size) return bytes;
  await file.truncate(size);
  return size;
}

async function hashHeld(
  file: OpenFile,
  bytes: number,
  { size, algorithm, onProgress }: OpenUploadOptions,
): Promise<BlockMap> {
  const held = new BlockMap();
  const buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  for (let index = 0; index < blockCount(bytes); index += 1) {
    // Where the size is unknown, a block that is short may yet grow, and does not count.
    const length = size === null ? BLOCK_BYTES : blockLength(size, index);
    if (!(await readFully(file, buffer, index * BLOCK_BYTES, length))) break;
    held.set(index, blockDigest(algorithm, buffer.subarray(0, length)));
    onProgress?.(index * BLOCK_BYTES + length);
  }
  return held;
}

async function copyExisting(
  { openExisting }: UploadParts,
  file: OpenFile,
  { path, size, algorithm, onProgress }: OpenUploadOptions,
): Promise<BlockMap | undefined> {
  let existing: StoredFile;
  try {
    existing = await openExisting(path);
  } catch (error) {
    // Nothing to start from: the whole file is sent.
    if (
      error instanceof SealiftError &&
      ['not-found', 'is-directory', 'not-directory', 'bad-request'].includes(error.code)
    )
      return undefined;
    throw error;
  }
  try {
    const held = new BlockMap();
    const buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
    const bytes = Math.min(existing.entry.size, size ?? Infinity);
    for (let index = 0; index < blockCount(bytes); index += 1) {
      const length = blockLength(bytes, index);
      if (length < (size === null ? BLOCK_BYTES : blockLength(size, index))) break;
      await existing.read(buffer, index * BLOCK_BYTES, length);
      const block = buffer.subarray(0, length);
      await writeFully(file, block, index * BLOCK_BYTES);
      held.set(index, blockDigest(algorithm, block));
      onProgress?.(index * BLOCK_BYTES + length);
    }
    return held;
  } finally {
    await existing.close();
  }
}

class FileUpload implements StoredUpload {
  readonly base: StoredUpload['base'];
  readonly held: BlockMap;
  readonly #parts: UploadParts;
  readonly #path: string;
  readonly #file: OpenFile;
  #isOpen = true;
  #failure: SealiftError | undefined;

  constructor(parts: UploadParts, path: string, file: OpenFile, base: StoredUpload['base'], held: BlockMap) {
    this.#parts = parts;
    this.#path = path;
    this.#file = file;
    this.base = base;
    this.held = held;
  }

  async write(index: number, content: Buffer): Promise<void> {
    this.#assertUsable();
    try {
      await writeFully(this.#file, content, index * BLOCK_BYTES);
    } catch (error) {
      // Sticky: after a failed write nobody knows what the file holds, and a later success would hide it.
      this.#failure ??= storeError(error, this.#path);
      throw this.#failure;
    }
  }

  async publish(
    publication: Publication,
    size: number,
    { id, ...record }: PublishedRecord & { id: string },
  ): Promise<Entry> {
    this.#assertUsable();
    this.#isOpen = false;
    const { publications, systemPath } = this.#parts;
    try {
      if ((await cutTo(this.#file, size)) < size) {
        throw new SealiftError('internal', 'The data of the upload is shorter than what was written to it.');
      }
    } catch (error) {
      await this.#file.close().catch(() => undefined);
      throw storeError(error, this.#path);
    }
    return publications.publish({ systemPath, file: this.#file }, publication, id, record);
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await this.#file.close();
  }

  async discard(): Promise<void> {
    const { files, systemPath } = this.#parts;
    await this.close();
    await unlinkIfThere(files, systemPath);
  }

  #assertUsable(): void {
    if (this.#failure) throw this.#failure;
    if (!this.#isOpen) throw new SealiftError('internal', 'The upload was used after it had been closed.');
  }
}

async function openIfThere(files: FileSystem, path: string): Promise<OpenFile | undefined> {
  try {
    return await files.open(path, OPEN.update);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Removes a name; nothing happens if it is not there. */
export async function unlinkIfThere(files: FileSystem, path: string): Promise<void> {
  try {
    await files.unlink(path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}
