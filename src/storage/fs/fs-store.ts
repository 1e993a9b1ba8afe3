import { systemClock, type Clock } from '../../clock.ts';
import { SealiftError, systemCode } from '../../errors.ts';
import { systemRandom, type Random } from '../../random.ts';
import { isWithin, joinPath, parentPath, pathProblem } from '../../transfer/remote-path.ts';
import { KeyedMutex } from '../keyed-mutex.ts';
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
} from '../store.ts';
import { checkReplacement, entryAt, entryFromStats } from './entries.ts';
import { closingFile, writeFully } from './file-bytes.ts';
import type { Directory } from './directory.ts';
import { OPEN, systemFiles, type FileSystem } from './file-system.ts';
import { Publications } from './publications.ts';
import { publishTemporary, type Publisher } from './publish.ts';
import { StateDirectory, uniqueName } from './state-directory.ts';
import { explaining, storeError } from './store-errors.ts';
import { openStoredFile } from './stored-file.ts';
import { Tree, type Place } from './tree.ts';
import { openFileUpload, unlinkIfThere } from './upload.ts';

export interface FileStoreOptions {
  /** The directory whose files are served; it must exist. */
  root: string;
  files?: FileSystem;
  clock?: Clock;
  random?: Random;
}

/** How many entries of a directory are looked at together while it is listed. */
const LIST_BATCH = 64;

/** Files in a directory of this machine: ordinary files, under their own names, with nothing added to them. */
export class FileStore implements Store {
  readonly features = { symlinks: true };
  readonly #files: FileSystem;
  readonly #random: Random;
  readonly #tree: Tree;
  readonly #state: StateDirectory;
  readonly #names = new KeyedMutex();
  readonly #publisher: Publisher;
  readonly #publications: Publications;

  private constructor(options: FileStoreOptions, tree: Tree, state: StateDirectory) {
    this.#files = options.files ?? systemFiles;
    this.#random = options.random ?? systemRandom;
    this.#tree = tree;
    this.#state = state;
    this.#publisher = { files: this.#files, tree, names: this.#names, clock: options.clock ?? systemClock };
    this.#publications = new Publications(this.#publisher, state);
  }

  /** Opens the store. Throws `bad-configuration` if the root is no directory, or cannot be written to. */
  static async open(options: FileStoreOptions): Promise<FileStore> {
    const files = options.files ?? systemFiles;
    const state = await StateDirectory.open(files, options.root);
    return new FileStore(options, await Tree.open(files, options.root), state);
  }

  async stat(path: string): Promise<Entry> {
    return this.#tree.at(path, async (place) => this.#existing(place, path));
  }

  async *list(path: string, { recursive }: { recursive: boolean }): AsyncGenerator<Entry> {
    const waiting = [path];
    for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
      try {
        for await (const entry of this.#listOne(directory)) {
          yield entry;
          if (recursive && entry.type === 'directory') waiting.push(entry.path);
        }
      } catch (error) {
        // Below the top a directory may vanish while the listing is under way, and is then no part of it.
        if (directory === path || !(error instanceof SealiftError && error.code === 'not-found')) throw error;
      }
    }
  }

  async open(path: string): Promise<StoredFile> {
    return this.#tree.at(path, (place) => openStoredFile(this.#files, place, path));
  }

  async put(publication: Publication, content: Buffer): Promise<Entry> {
    const systemPath = this.#state.uploads.child(`inline-${uniqueName(this.#random)}`);
    return explaining(publication.path, async () => {
      const file = await this.#files.open(systemPath, OPEN.create, 0o666);
      try {
        await writeFully(file, content, 0);
      } catch (error) {
        await file.close().catch(() => undefined);
        await unlinkIfThere(this.#files, systemPath).catch(() => undefined);
        throw error;
      }
      try {
        return await publishTemporary(this.#publisher, { systemPath, file }, publication);
      } catch (error) {
        await unlinkIfThere(this.#files, systemPath).catch(() => undefined);
        throw error;
      }
    });
  }

  async openUpload(key: string, options: OpenUploadOptions): Promise<StoredUpload> {
    const parts = {
      files: this.#files,
      publications: this.#publications,
      systemPath: this.#uploadPath(key),
      openExisting: (path: string) => this.open(path),
    };
    // The path is judged now: a name that cannot be published should not be uploaded first.
    await this.#tree.at(options.path, () => Promise.resolve()).catch(passOverMissing);
    return explaining(options.path, () => openFileUpload(parts, options));
  }

  async *uploads(): AsyncGenerator<{ key: string; bytes: number; lastWrittenMs: number }> {
    const { uploads } = this.#state;
    for await (const key of this.#files.names(uploads.self)) {
      const entry = entryFromStats(await this.#files.lstat(uploads.child(key)), key);
      if (entry !== undefined) yield { key, bytes: entry.size, lastWrittenMs: entry.mtimeMs };
    }
  }

  async discardUpload(key: string): Promise<void> {
    await explaining('', () => unlinkIfThere(this.#files, this.#uploadPath(key)));
  }

  async published(publicationId: string): Promise<PublishedRecord | undefined> {
    return this.#publications.find(publicationId);
  }

  async forgetPublished(beforeMs: number): Promise<void> {
    await this.#publications.forget(beforeMs);
  }

  async remove(path: string, { recursive }: { recursive: boolean }): Promise<void> {
    assertNotRoot(path);
    await this.#tree.at(path, (place) =>
      this.#names.run(path, async () => {
        const entry = await this.#existing(place, path);
        if (entry.type !== 'directory') await this.#files.unlink(place.systemPath);
        else if (!recursive) await this.#files.rmdir(place.systemPath);
        else await this.#removeTree(place);
      }),
    );
  }

  async move(path: string, to: string, options: ReplaceOptions): Promise<void> {
    assertNotRoot(path);
    if (isWithin(to, path) && to !== path)
      throw new SealiftError('bad-request', 'A directory cannot be moved into itself.');
    await this.#tree.at(path, (from) =>
      this.#tree.atMaking(to, (target, syncParents) =>
        this.#names.run([path, to], async () => {
          await this.#existing(from, path);
          if (to === path) return;
          checkReplacement(await entryAt(this.#files, target, to), to, options);
          await this.#files.rename(from.systemPath, target.systemPath).catch((error: unknown) => {
            throw storeError(error, to);
          });
          await syncParents();
          await from.directory.sync();
        }),
      ),
    );
  }

  async mkdir(path: string, { mode, mtimeMs }: Attributes): Promise<void> {
    if (path === '') return;
    await this.#tree.atMaking(path, async (place) => {
      const { directory, made } = await place.directory
        .enterOrMake(place.name, mode ?? 0o777)
        .catch((error: unknown) => {
          if (systemCode(error) !== 'ENOTDIR') throw error;
          throw new SealiftError('exists', `${JSON.stringify(path)} exists already and is no directory.`, {
            cause: error,
          });
        });
      await directory.close();
      if (made) await this.#setAt(place, path, { mode, mtimeMs });
    });
  }

  async set(path: string, attributes: Attributes): Promise<void> {
    assertNotRoot(path);
    await this.#tree.at(path, (place) => this.#names.run(path, () => this.#setAt(place, path, attributes)));
  }

  async symlink(path: string, target: string, options: ReplaceOptions): Promise<void> {
    await this.#tree.atMaking(path, (place) =>
      this.#names.run(path, async () => {
        const existing = await entryAt(this.#files, place, path);
        if (existing?.type === 'directory')
          throw new SealiftError('is-directory', `${JSON.stringify(path)} is a directory.`);
        checkReplacement(existing, path, options);
        if (existing === undefined) return this.#files.symlink(target, place.systemPath);
        // Made aside and renamed, so that the name is never without anything.
        const aside = this.#state.uploads.child(`link-${uniqueName(this.#random)}`);
        await this.#files.symlink(target, aside);
        await this.#files.rename(aside, place.systemPath).catch(async (error: unknown) => {
          await unlinkIfThere(this.#files, aside);
          throw error;
        });
      }),
    );
  }

  async sync(paths: readonly string[]): Promise<void> {
    const directories = new Set<string>();
    for (const path of paths) {
      await this.#tree.at(path, (place) => this.#syncFile(place, path)).catch(passOverMissing);
      for (let above = path; above !== '';) directories.add((above = parentPath(above)));
    }
    for (const path of directories) {
      await this.#tree.inside(path, (directory) => directory.sync()).catch(passOverMissing);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tree.close();
    await this.#state.close();
  }

  // A reader that is slow, or that never comes back for the rest, holds a batch and one open directory.
  async *#listOne(path: string): AsyncGenerator<Entry> {
    const directory = await this.#tree.hold(path);
    try {
      let batch: string[] = [];
      for await (const name of this.#tree.names(path, directory)) {
        batch.push(name);
        if (batch.length < LIST_BATCH) continue;
        yield* await this.#entries(path, directory, batch);
        batch = [];
      }
      yield* await this.#entries(path, directory, batch);
    } catch (error) {
      throw storeError(error, path);
    } finally {
      await directory.close();
    }
  }

  async #entries(path: string, directory: Directory, names: readonly string[]): Promise<Entry[]> {
    const entries = names.map(async (name) => {
      const child = joinPath(path, name);
      // A name that the protocol cannot say was not put here by it, and cannot be fetched by it.
      if (pathProblem(child) !== undefined) return undefined;
      return entryAt(this.#files, { directory, name, systemPath: directory.child(name) }, child);
    });
    return (await Promise.all(entries)).filter((entry) => entry !== undefined);
  }

  async #existing(place: Place, path: string): Promise<Entry> {
    const entry = await entryAt(this.#files, place, path);
    if (entry === undefined) throw new SealiftError('not-found', `${JSON.stringify(path)} does not exist.`);
    return entry;
  }

  async #setAt(place: Place, path: string, { mode, mtimeMs }: Attributes): Promise<void> {
    const entry = await this.#existing(place, path);
    if (mode !== undefined && entry.type !== 'symlink') {
      const file = await this.#files.open(place.systemPath, OPEN.read);
      await closingFile(file, () => file.chmod(mode));
    }
    if (mtimeMs !== undefined)
      await this.#files.setTimes(place.systemPath, this.#publisher.clock.now(), mtimeMs);
  }

  // Out of everybody's sight in one step, then deleted; what a crash leaves is deleted when the store opens.
  async #removeTree(place: Place): Promise<void> {
    const aside = this.#state.removed.child(uniqueName(this.#random));
    await this.#files.rename(place.systemPath, aside);
    await this.#files.removeTree(aside);
  }

  async #syncFile(place: Place, path: string): Promise<void> {
    if ((await this.#existing(place, path)).type !== 'file') return;
    const file = await this.#files.open(place.systemPath, OPEN.read);
    await closingFile(file, () => file.sync());
  }

  #uploadPath(key: string): string {
    if (!/^[0-9a-z-]{1,120}$/.test(key))
      throw new SealiftError('internal', 'The key of an upload is not of the form that it should have.');
    return this.#state.uploads.child(key);
  }
}

function assertNotRoot(path: string): void {
  if (path === '')
    throw new SealiftError('bad-request', 'The root itself can be neither removed, moved nor changed.');
}

function passOverMissing(error: unknown): void {
  if (!(error instanceof SealiftError && error.code === 'not-found')) throw error;
}
