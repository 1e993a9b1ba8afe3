import { join } from 'node:path';

import { systemClock, type Clock } from '../../clock.ts';
import { SealiftError, systemCode } from '../../errors.ts';
import { systemRandom, type Random } from '../../random.ts';
import type { DigestAlgorithm } from '../../transfer/digests.ts';
import { isWithin } from '../../transfer/remote-path.ts';
import { KeyedMutex } from '../keyed-mutex.ts';
import { checkStorePath } from '../own-names.ts';
import { checkMove } from '../replacement.ts';
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
} from '../store.ts';
import { keepsNoVersions } from '../version-ids.ts';
import { makeDirectory, makeLink, removeOne, setAttributes } from './changes.ts';
import { existingAt, replacedAt, unlinkIfThere } from './entries.ts';
import { systemFiles, type FileSystem } from './file-system.ts';
import { FileSyncs } from './file-syncs.ts';
import { SpareHandles } from './kept-directory.ts';
import { listTree } from './listing.ts';
import { LostFiles } from './lost-files.ts';
import { assertNothingMounted } from './mounts.ts';
import { probedFeatures } from './probed-features.ts';
import { Publications } from './publications.ts';
import {
  assertPublishable,
  publishContent,
  publishStaged,
  refuseWithoutParents,
  replacing,
  type Publisher,
} from './publish.ts';
import { deleteAside, renamedAside } from './read-only-directories.ts';
import { renamePlace } from './rename-place.ts';
import type { NameChange } from './small-file-messages.ts';
import { SmallFiles, type BeginThread } from './small-files.ts';
import { StagingArea } from './staging-area.ts';
import { StateDirectory, uniqueName } from './state-directory.ts';
import { cannotServe, explaining, storeError } from './store-errors.ts';
import { openStoredFile } from './stored-file.ts';
import { syncPaths } from './synced-files.ts';
import { Tree, type Place } from './tree.ts';
import { openFileUpload } from './upload.ts';
import { expireVersions } from './version-expiry.ts';
import { listVersions, openVersion, type VersionListingParts } from './version-listing.ts';
import { Versions } from './versions.ts';

export interface FileStoreOptions {
  /** The directory whose files are served; it must exist. */
  root: string;
  /** The names that lead from there to the one that is served, if that lies below: none of them may be a link. */
  below?: readonly string[];
  files?: FileSystem;
  clock?: Clock;
  random?: Random;
  /** Shared by stores of which one may lie in another: what is judged and changed under one name is so by one of them at a time. */
  names?: KeyedMutex;
  /** Handles small files in a thread of their own, with calls that block it. Default: no thread. */
  beginThread?: BeginThread;
  /** How long what is replaced or removed is kept, in milliseconds. Default 0: not at all. What was kept by an earlier store stays where it lies then, and is not reached. */
  keepVersionsMs?: number | undefined;
}

/** Files in a directory of this machine: ordinary files, under their own names, with nothing added to them. */
export class FileStore implements Store {
  readonly features: StoreFeatures;
  readonly #files: FileSystem;
  readonly #random: Random;
  readonly #tree: Tree;
  readonly #state: StateDirectory;
  readonly #names: KeyedMutex;
  readonly #lost = new LostFiles();
  readonly #staging: StagingArea;
  readonly #publisher: Publisher;
  readonly #publications: Publications;
  readonly #spareHandles = new SpareHandles();
  readonly #smallFiles: SmallFiles | undefined;
  readonly #stagedSyncs = new FileSyncs();
  readonly #keepVersionsMs: number;

  private constructor(
    options: FileStoreOptions & { root: string },
    features: StoreFeatures,
    tree: Tree,
    state: StateDirectory,
  ) {
    this.features = features;
    this.#files = options.files ?? systemFiles;
    this.#random = options.random ?? systemRandom;
    this.#names = (options.names ?? new KeyedMutex()).below(`${options.root}/`);
    this.#tree = tree;
    this.#state = state;
    this.#staging = new StagingArea(this.#files, this.#random, state.uploads);
    this.#keepVersionsMs = options.keepVersionsMs ?? 0;
    const parts = { files: this.#files, clock: options.clock ?? systemClock, random: this.#random };
    const versions = state.versions && new Versions({ ...parts, root: state.versions });
    this.#publisher = { ...parts, tree, names: this.#names, versions };
    this.#publications = new Publications(this.#publisher, state, uniqueName(this.#random));
    const isOfThisMachine = this.#files === systemFiles && this.#publisher.clock === systemClock;
    if (options.beginThread !== undefined && isOfThisMachine)
      this.#smallFiles = new SmallFiles(tree.self, tree, options.beginThread);
  }

  /** Opens the store. Throws `bad-configuration` if the root is no directory, or cannot be written to, and `local-no-space` where the disk is full. */
  static async open(options: FileStoreOptions): Promise<FileStore> {
    const { files = systemFiles, random = systemRandom, below = [], keepVersionsMs = 0 } = options;
    let [tree, state]: [Tree?, StateDirectory?] = [];
    try {
      // The operator's own links are followed, once: whatever becomes of them, the store stays what was opened.
      const top = await files.realpath(options.root);
      tree = await Tree.open(files, top, { below });
      state = await StateDirectory.open(files, tree.self, { keepsVersions: keepVersionsMs > 0 });
      // Probed where an earlier process that died at it has its leavings deleted.
      const probed = await probedFeatures(files, state.removed, random);
      const features = { symlinks: true, ...probed, versions: state.versions !== undefined };
      return new FileStore({ ...options, root: join(top, ...below) }, features, tree, state);
    } catch (cause) {
      await state?.close();
      await tree?.close();
      throw cannotServe(join(options.root, ...below), cause);
    }
  }

  /** Begins the thread for small files, which else the first of them does without waiting for it; resolves when it works. */
  async startThread(): Promise<void> {
    if (this.#smallFiles === undefined) return;
    this.#stagedSyncs.start();
    await this.#smallFiles.start();
  }

  async stat(path: string): Promise<Entry> {
    return this.#tree.at(path, async (place) => existingAt(this.#files, place, path));
  }

  nearest(path: string): Promise<string> {
    return this.#tree.nearest(path);
  }

  list(path: string, options: ListOptions): AsyncGenerator<Entry> {
    if (options.versions === true) return this.#listVersions(path, options);
    const parts = { files: this.#files, tree: this.#tree, spare: this.#spareHandles };
    return this.#smallFiles?.list(path, options) ?? listTree(parts, path, options);
  }

  async open(path: string, { version }: OpenOptions = {}): Promise<StoredFile> {
    if (version !== undefined) {
      checkStorePath(path, { allowRoot: true });
      return explaining(path, async () => openVersion(this.#versionParts(), path, version));
    }
    const quick = await this.#smallFiles?.read(path);
    if (quick !== undefined) return quick;
    return this.#tree.at(path, (place) => openStoredFile(this.#files, place, path));
  }

  async digest(path: string, algorithm: DigestAlgorithm): Promise<string | undefined> {
    return this.#smallFiles?.digest(path, algorithm);
  }

  put(publication: Publication, content: Buffer): Promise<Entry> {
    return this.#staging.withTemporary('inline', publication.path, async (systemPath) => {
      const quick = await this.#putQuickly(systemPath, publication, content);
      return quick ?? publishContent(this.#publisher, systemPath, publication, content);
    });
  }

  async openUpload(key: string, options: OpenUploadOptions): Promise<StoredUpload> {
    const parts = {
      files: this.#files,
      publications: this.#publications,
      systemPath: this.#staging.uploadPath(key),
      openPublished: (path: string) => this.open(path),
    };
    // The path is judged now: what cannot be published should not be uploaded first.
    checkStorePath(options.path, { allowRoot: false });
    await assertPublishable(this.#publisher, this.#state.uploads, options.path);
    return explaining(options.path, () => openFileUpload(parts, options));
  }

  uploads(): AsyncGenerator<{ key: string; bytes: number; lastWrittenMs: number }> {
    return this.#staging.uploads();
  }

  discardUpload(key: string): Promise<void> {
    return this.#staging.discardUpload(key);
  }

  async published(publicationId: string): Promise<PublishedRecord | undefined> {
    return explaining('', () => this.#publications.find(publicationId));
  }

  async forgetPublished(beforeMs: number, maxPerOwner?: number): Promise<void> {
    await explaining('', () => this.#publications.forget(beforeMs, maxPerOwner));
  }

  async expireVersions({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    if (!this.features.versions) return;
    const parts = { ...this.#versionParts(), removed: this.#state.removed, random: this.#random };
    const beforeMs = this.#publisher.clock.now() - this.#keepVersionsMs;
    await explaining('', () => expireVersions(parts, beforeMs, signal));
  }

  async remove(path: string, { recursive, onAside }: RemoveOptions): Promise<void> {
    checkStorePath(path, { allowRoot: false });
    const [{ versions }, { removed }] = [this.#publisher, this.#state];
    const isOne = versions === undefined && !recursive;
    if (isOne && (await this.#changeQuickly({ kind: 'remove', path })) !== undefined) return;
    if (isOne) return removeOne(this.#publisher, path);
    await this.#tree.atChanging(path, async (place) => {
      const aside = await this.#names.run(path, async () => {
        const entry = await existingAt(this.#files, place, path);
        const isTree = entry.type === 'directory' && recursive;
        if (isTree) await assertNothingMounted(this.#files, place, path);
        if (versions !== undefined && (isTree || entry.type === 'file')) await versions.retire(place, path);
        else if (entry.type !== 'directory') await this.#files.unlink(place.systemPath);
        else if (!recursive) await this.#files.rmdir(place.systemPath);
        else return renamedAside(this.#files, place, removed.child(uniqueName(this.#random)));
        return undefined;
      });
      if (aside !== undefined) await deleteAside(this.#publisher, aside, { place, path, onAside });
    });
  }

  async move(path: string, to: string, options: ReplaceOptions): Promise<void> {
    checkStorePath(path, { allowRoot: false });
    if (isWithin(to, path) && to !== path)
      throw new SealiftError('bad-request', 'A directory cannot be moved into itself.');
    await this.#tree.atChanging(path, async (from) => {
      // Before the parents of a target are made for nothing.
      await existingAt(this.#files, from, path);
      await refuseWithoutParents(this.#tree, to, options);
      await this.#tree.atMaking(to, { isDurable: true }, (target) =>
        this.#names.run([path, to], async () => {
          const moved = await existingAt(this.#files, from, path);
          const existing = await replacedAt(this.#files, target, to, (found) =>
            checkMove(moved, found, to, options),
          );
          if (to === path) return;
          // What is replaced must not be lost together with its successor, if that is not on disk yet.
          if (existing && moved.type === 'file') await this.#lost.sync(this.#files, from, moved);
          const node = await target.directory.node();
          const renaming = renamePlace(this.#publisher, from, target, { moved, existing });
          await renaming.catch(async (error: unknown) => {
            // What was to be moved is gone, or, if it stands, the directory that it was to come to.
            if (systemCode(error) === 'ENOENT') await existingAt(this.#files, from, path);
            throw systemCode(error) === 'ENOENT' ? error : storeError(error, to);
          });
          if (moved.type === 'directory') this.#tree.directoryMadeIn(node);
          await target.directory.sync();
          await from.directory.sync();
        }),
      );
    });
  }

  async mkdir(path: string, attributes: Attributes): Promise<Entry | undefined> {
    if (path === '') return undefined;
    const quick = await this.#changeQuickly({ kind: 'mkdir', path, attributes });
    return quick === undefined ? makeDirectory(this.#publisher, path, attributes) : quick.entry;
  }

  async set(path: string, attributes: Attributes, options: SetOptions = {}): Promise<void> {
    checkStorePath(path, { allowRoot: false });
    const isAny = options.made === undefined;
    if (isAny && (await this.#changeQuickly({ kind: 'set', path, attributes })) !== undefined) return;
    await setAttributes(this.#publisher, path, attributes, options);
  }

  async symlink(path: string, target: string, options: ReplaceOptions): Promise<Entry> {
    const quick = await this.#changeQuickly({ kind: 'symlink', path, target, options });
    // Made aside and renamed, so that the name is never without anything.
    const replace = (place: Place, existing: Entry) =>
      this.#staging.withTemporary('link', path, async (aside) => {
        await this.#files.symlink(target, aside);
        await replacing(this.#publisher, place, existing, () => this.#files.rename(aside, place.systemPath));
      });
    return quick?.entry ?? makeLink(this.#publisher, path, target, { ...options, replace });
  }

  async sync(paths: readonly string[]): Promise<void> {
    for (const path of paths) checkStorePath(path, { allowRoot: true });
    await syncPaths({ files: this.#files, tree: this.#tree, lost: this.#lost }, paths);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#smallFiles?.close();
    await this.#stagedSyncs.close();
    await this.#tree.close();
    await this.#state.close();
  }

  async *#listVersions(path: string, options: ListOptions): AsyncGenerator<Entry> {
    checkStorePath(path, { allowRoot: true });
    yield* listVersions(this.#versionParts(), path, options);
  }

  #versionParts(): VersionListingParts {
    if (this.#state.versions === undefined) throw keepsNoVersions();
    return { files: this.#files, root: this.#state.versions, spare: this.#spareHandles };
  }

  /** Lets the thread for small files publish a file; undefined where there is none, or it cannot. */
  async #putQuickly(
    systemPath: string,
    publication: Publication,
    content: Buffer,
  ): Promise<Entry | undefined> {
    const [{ path }, smallFiles] = [publication, this.#smallFiles];
    if (smallFiles === undefined) return undefined;
    return this.#names.run(path, async () => {
      const quick = await smallFiles.put(systemPath, publication, content);
      if (quick === 'staged') {
        await this.#stagedSyncs.sync(systemPath);
        const hasVersions = this.#publisher.versions !== undefined;
        const named = hasVersions ? undefined : await smallFiles.publish(systemPath, publication);
        return named ?? publishStaged(this.#publisher, systemPath, publication);
      }
      // The thread may have begun.
      if (quick === undefined) await unlinkIfThere(this.#files, systemPath);
      return quick;
    });
  }

  /** Lets the thread for small files make a change; undefined where there is none, or it cannot. */
  async #changeQuickly(change: NameChange): Promise<{ entry: Entry | undefined } | undefined> {
    const smallFiles = this.#smallFiles;
    return smallFiles && this.#names.run(change.path, () => smallFiles.change(change));
  }
}
