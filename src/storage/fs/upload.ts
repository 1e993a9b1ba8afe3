import { isDiskFull, SealiftError } from '../../errors.ts';
import { BlockMap } from '../../transfer/block-map.ts';
import { BLOCK_BYTES } from '../../transfer/blocks.ts';
import { writeFully } from '../../write-fully.ts';
import { blocksStillHeld, copyPublished, hashBlocks } from '../held-blocks.ts';
import type {
  Entry,
  OpenUploadOptions,
  Publication,
  PublishedRecord,
  StoredFile,
  StoredUpload,
} from '../store.ts';
import { statsAt, unlinkIfThere } from './entries.ts';
import { closingFile, readFully } from './file-bytes.ts';
import { OPEN, type FileSystem, type OpenFile } from './file-system.ts';
import type { Publications } from './publications.ts';
import { orWithoutData } from './publish.ts';
import { explaining, storeError } from './store-errors.ts';

interface UploadParts {
  files: FileSystem;
  publications: Publications;
  systemPath: string;
  /** Opens the published file, for `base: existing`. */
  openPublished: (path: string) => Promise<StoredFile>;
}

/** Opens the data of an upload and finds out what it holds. */
export async function openFileUpload(parts: UploadParts, options: OpenUploadOptions): Promise<StoredUpload> {
  const { files, systemPath } = parts;
  if (options.base === 'none') await unlinkIfThere(files, systemPath);
  const found = await openFound(files, systemPath);
  const file = found ?? (await files.open(systemPath, OPEN.create, 0o666));
  try {
    const start = await startFrom(parts, options, file);
    return new FileUpload(parts, options.path, file, start.base, start.held);
  } catch (error) {
    await orWithoutData(files, { systemPath, file }, () => file.close()).catch(() => undefined);
    // What this call made it takes away again; what it found stays, unless it would keep the disk full.
    if (found === undefined || isDiskFull(error))
      await unlinkIfThere(files, systemPath).catch(() => undefined);
    throw error;
  }
}

async function openFound(files: FileSystem, path: string): Promise<OpenFile | undefined> {
  const stats = await statsAt(files, path);
  if (stats === undefined) return undefined;
  if (stats.nlink > 1n) {
    // The data has its public name already, and only this one was not taken away any more: whoever wrote here
    // would write into the published file.
    await files.unlink(path);
    return undefined;
  }
  // A publication that broke off has given it the bits of the file already, which may forbid to write on.
  if ((Number(stats.mode) & 0o600) !== 0o600) {
    const file = await files.open(path, OPEN.attributes);
    await closingFile(file, () => file.chmod(0o600));
  }
  return files.open(path, OPEN.update);
}

async function startFrom(
  parts: UploadParts,
  options: OpenUploadOptions,
  file: OpenFile,
): Promise<Pick<StoredUpload, 'base' | 'held'>> {
  const { size, known } = options;
  const { bytes, isCut } = await cutTo(file, size);
  const held =
    known !== undefined && bytes > 0
      ? blocksStillHeld(known, { bytes, size, isCut })
      : await hashBlocks((...range) => readFully(file, ...range), bytes, options);
  if (held.heldCount > 0) return { base: 'partial', held };
  if (options.base === 'existing') {
    const write = (content: Buffer, position: number) => writeFully(file.write, content, position);
    const copied = await copyPublished(parts.openPublished, write, options);
    if (copied !== undefined) return { base: 'existing', held: copied };
  }
  return { base: 'none', held: new BlockMap() };
}

/** What was sent beyond the size that is declared now is dropped. Resolves with the bytes that remain. */
async function cutTo(file: OpenFile, size: number | null): Promise<{ bytes: number; isCut: boolean }> {
  const bytes = Number((await file.stat()).size);
  if (size === null || bytes <= size) return { bytes, isCut: false };
  await file.truncate(size);
  return { bytes: size, isCut: true };
}

class FileUpload implements StoredUpload {
  readonly base: StoredUpload['base'];
  readonly held: BlockMap;
  readonly #parts: UploadParts;
  readonly #path: string;
  readonly #file: OpenFile;
  #isOpen = true;
  /** Whether the data is no longer under the key: what stands there from then on belongs to a later upload. */
  #isGone = false;
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
      await writeFully(this.#file.write, content, index * BLOCK_BYTES);
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
    const { publications, systemPath } = this.#parts;
    const file = this.#file;
    try {
      this.#assertUsable();
      this.#isOpen = false;
      if ((await cutTo(file, size)).bytes < size)
        throw new SealiftError('internal', 'The data of the upload is shorter than what was written to it.');
      const entry = await publications.publish({ systemPath, file }, publication, id, record);
      this.#isGone = true;
      return entry;
    } catch (error) {
      this.#isOpen = false;
      await file.close().catch(() => undefined);
      throw storeError(error, publication.path);
    }
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const { files, systemPath } = this.#parts;
    const file = this.#file;
    await explaining(this.#path, () => orWithoutData(files, { systemPath, file }, () => file.close()));
  }

  async discard(): Promise<void> {
    await this.close().catch(() => undefined);
    if (this.#isGone) return;
    await explaining(this.#path, () => unlinkIfThere(this.#parts.files, this.#parts.systemPath));
    this.#isGone = true;
  }

  #assertUsable(): void {
    if (this.#failure) throw this.#failure;
    if (!this.#isOpen) throw new SealiftError('internal', 'The upload was used after it had been closed.');
  }
}
