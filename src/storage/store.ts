import type { BlockMap } from '../transfer/block-map.ts';
import type { DigestAlgorithm } from '../transfer/digests.ts';

/**
 * The contract between the server and whatever keeps its files: a directory, memory, an object storage.
 *
 * For every store:
 * - Paths follow the grammar of `transfer/remote-path.ts`; `""` is the root. A store checks them again, and
 *   throws `bad-name` for one that it cannot hold or that is its own (`own-names.ts`).
 * - Symbolic links are names, never doors: no operation follows one, neither as the last component nor on the
 *   way: a path through one is `not-directory`, and to `open` one is `bad-request`. What is no file, directory or
 *   link (FIFO, device, socket) does not exist here, and nothing takes its place: that is `exists`.
 * - Everything throws `SealiftError`. `not-found`, `is-directory`, `not-directory`, `exists`, `no-space` mean what
 *   SPEC.md says; `forbidden` is also what the permission bits of a directory do not let the server process do;
 *   what the store cannot explain is `internal`, with its cause.
 * - A file appears under its name whole or not at all; a reader has the old content or the new, never a mix.
 * - Calls may come at once from many connections. Publication, `move`, `remove`, `set` and `symlink` of one path
 *   happen one after the other, and a condition is judged in the same step as the change.
 * - An operation that failed may be called again. Temporary data of a failed call is removed by that call, or,
 *   if the process died, by `discardUpload` after `uploads()` has listed it.
 * - Where versions are kept, a file that is replaced or removed, by whatever operation, is kept from the same step on
 *   under the path that it had, and nothing but its age takes it away. Directories and links have no versions.
 * - A store sets no deadline, retries nothing and logs nothing: that is the caller's.
 */
export interface Store extends AsyncDisposable {
  /** What this store cannot do is `unsupported`, and told in the hello. */
  readonly features: StoreFeatures;

  /** What stands under `path`. Throws `not-found`. */
  stat(path: string): Promise<Entry>;

  /** The path of what stands nearest above `path`: a directory, at the latest the root, or what is in the way of one. */
  nearest(path: string): Promise<string>;

  /** Everything in the directory `path`, in no promised order; with `recursive` all below it too, each directory before what it holds; a directory below the top that is gone or cannot be read is passed over. Streams: memory grows with the directories that are still to be read, not with the files. */
  list(path: string, options: ListOptions): AsyncIterable<Entry>;

  /** Opens a file for reading, or the former `version` of one. What is read is the file as it was opened, also if it is replaced or expires meanwhile. */
  open(path: string, options?: OpenOptions): Promise<StoredFile>;

  /** The file digest of a small file, from its data as it is now, where that is to be had sooner than through `open`; undefined where it is not. Throws as `open` and reading do. */
  digest?(path: string, algorithm: DigestAlgorithm): Promise<string | undefined>;

  /** Publishes a file of at most one block. The digest was checked by the caller. */
  put(publication: Publication, content: Buffer): Promise<Entry>;

  /**
   * Opens the upload `key` (of `[0-9a-f-]`, at most 120 characters; before the first `-` stands whom it
   * belongs to) to write blocks into it. What a former process left under that key is found again and hashed,
   * unless `known` says what is held. The caller opens a key once at a time.
   */
  openUpload(key: string, options: OpenUploadOptions): Promise<StoredUpload>;

  /** The uploads of which data is kept, open ones included. */
  uploads(): AsyncIterable<{ key: string; bytes: number; lastWrittenMs: number }>;

  /** Removes the data of an upload that is not open. Nothing happens if there is none. */
  discardUpload(key: string): Promise<void>;

  /** What was published with `publicationId`, if that is known still; also after a restart, unless it was in memory (a loss of power may have taken its bytes). */
  published(publicationId: string): Promise<PublishedRecord | undefined>;

  /** Forgets publications older than `beforeMs`, and of each owner, which stands before the first `-` of an id, the oldest beyond `maxPerOwner` (default: as many as there are). */
  forgetPublished(beforeMs: number, maxPerOwner?: number): Promise<void>;

  /** Removes the versions that are older than they are to be kept, by the time at which they were retired; nothing happens where none are kept. `signal` ends it early. */
  expireVersions(options?: { signal?: AbortSignal | undefined }): Promise<void>;

  /** Removes a file, a link or an empty directory; with `recursive` a directory with all in it. Throws `not-empty`. */
  remove(path: string, options: RemoveOptions): Promise<void>;

  /** Renames; missing parents of `to` are made. A directory moves with all in it, never into itself (`bad-request`) and never onto a directory that is not empty. */
  move(path: string, to: string, options: ReplaceOptions): Promise<void>;

  /** Makes a directory and its missing parents, and tells what it made; nothing happens if it stands already. `exists` if a file is there. */
  mkdir(path: string, attributes: Attributes): Promise<Entry | undefined>;

  /** Sets times or permission bits of what stands under `path`; for a link, its own time. */
  set(path: string, attributes: Attributes, options?: SetOptions): Promise<void>;

  /** Makes a symbolic link whose target is kept as text. */
  symlink(path: string, target: string, options: ReplaceOptions): Promise<Entry>;

  /**
   * Resolves once what was published under `paths` with durability `memory` is on disk. One that is gone is so wherever it went,
   * if that can be had; nothing is to be done for one that was removed, and the two may look the same. Nor is it known where
   * something else came to stand at its path, after another program took it away.
   */
  sync(paths: readonly string[]): Promise<void>;
}

export interface StoreFeatures {
  /** Symbolic links can be kept. */
  symlinks: boolean;
  /** Names that differ only in the case of letters are two names. */
  distinguishesCase: boolean;
  /** Names that differ only in the normalization form of Unicode (`é` as one character or as two) are two names. */
  distinguishesForms: boolean;
  /** To how many milliseconds times are kept, what is less being dropped; at least 1. */
  timeGrainMs: number;
  /** What is replaced or removed is kept for a time. */
  versions: boolean;
}

export interface ListOptions {
  recursive: boolean;
  /** Told of each directory that holds names which no path can say, or under which nobody may see what stands, and of how many; not of versions. */
  onUnlisted?: ((directory: string, count: number) => void) | undefined;
  /** List, instead of what stands, the versions that are kept: of the file `path` and of the files in the directory `path`, whether or not either stands any more. Nothing is listed where there are none. Default false. */
  versions?: boolean | undefined;
}

export interface RemoveOptions {
  recursive: boolean;
  /** Called where nothing stands under the path any more, and to delete what was in it may take long. If that fails, what is left may stand there again. */
  onAside?: (() => void) | undefined;
}

export interface OpenOptions {
  /** As a listing told it. Any text is understood; one that names no version of the file is `not-found`. */
  version?: string | undefined;
}

export interface Entry {
  path: string;
  type: 'file' | 'directory' | 'symlink';
  /** Bytes of a file or of a link's target; 0 for a directory. */
  size: number;
  /** Milliseconds since 1970. */
  mtimeMs: number;
  /** Permission bits, at most 0o777. */
  mode: number;
  /** Differs whenever the content may differ. */
  etag: string;
  /** The target of a link; of one that is no UTF-8 nothing is told. */
  target?: string;
  /** Of a version: what tells it from the others of the same path, at most 128 characters; sorted as texts, they are in the order in which they were retired. */
  version?: string;
}

export interface Attributes {
  mtimeMs?: number | undefined;
  /** As permission bits; those that the owner needs to read are added (`kept-mode.ts`). */
  mode?: number | undefined;
}

export interface SetOptions {
  /** An etag that it bore when it was made: `forbidden` if something else stands there by now. Changed since, or moved away and back, it is still the same. */
  made?: string | undefined;
}

export interface ReplaceOptions {
  /** What must stand under the name now: anything, nothing (`exists`), or what bears this etag (`precondition-failed`). Both errors bear the present `etag` in their details. */
  condition: Condition;
  /** Whether something may be replaced at all; if not, `forbidden` when there is something. */
  mayReplace: boolean;
}

export type Condition = { if: 'any' } | { if: 'absent' } | { if: 'match'; etag: string };

/** How a file is to stand under its name. */
export interface Publication extends ReplaceOptions, Attributes {
  path: string;
  /** `disk`: data and name survive a loss of power when the call returns. `memory`: only after `sync`, except that data is always synced before it replaces a file. */
  durability: 'disk' | 'memory';
}

/** A file open for reading. */
export interface StoredFile {
  readonly entry: Entry;
  /** Reads `length` bytes from `position` into `target`; throws `precondition-failed` if the file has fewer by now. */
  read(target: Buffer, position: number, length: number): Promise<void>;
  /** Throws `precondition-failed` if the file was changed in place since it was opened. */
  assertUnchanged(): Promise<void>;
  /** May be called again. */
  close(): Promise<void>;
}

export interface OpenUploadOptions {
  /** Where it will be published: from there a `base` of `existing` comes. */
  path: string;
  /** Bytes of the file; null if they are not known yet. Data beyond it is dropped. */
  size: number | null;
  /** Where to start: from nothing, from what is held under the key, or, if nothing is, from the published file. */
  base: 'none' | 'partial' | 'existing';
  algorithm: DigestAlgorithm;
  /** Whose it is: where hashing has to wait, every owner has a turn. */
  owner?: string | undefined;
  /** What is held, from whoever had this upload open before in this process. */
  known?: BlockMap | undefined;
  /** Called now and then during long work with the bytes hashed so far. */
  onProgress?: (hashedBytes: number) => void;
  /** Ends hashing and copying, which can take hours: the call then throws the signal's reason, and what was held is kept. */
  signal?: AbortSignal | undefined;
}

/**
 * The data of a file on its way in. A store may gather blocks into larger parts before they leave its memory (an
 * object storage takes parts of 8 MiB): what was written is then held while this object lives, and may be
 * missing from what the key holds after a restart.
 */
export interface StoredUpload {
  /** What it really started from. */
  readonly base: 'none' | 'partial' | 'existing';
  /** The digests of what it held when it was opened; the caller keeps it up from then on. */
  readonly held: BlockMap;
  /**
   * Writes a block; different blocks may be written at once, the same one not. A failed write leaves the upload
   * unusable: it has to be opened again, and what is held then is found by hashing.
   */
  write(index: number, content: Buffer): Promise<void>;
  /**
   * Publishes the first `size` bytes and closes the upload; the caller has checked that all blocks are held and
   * the digest is right, and no write is under way. `record` is kept for `published`. If it throws, the upload is
   * closed and its data kept, unless that could not be brought to the disk: then it is gone, and nothing is held.
   */
  publish(publication: Publication, size: number, record: PublishedRecord & { id: string }): Promise<Entry>;
  /** Ends the upload and keeps its data. If it throws, that could not be brought to the disk: it is gone, and nothing is held. May be called again. */
  close(): Promise<void>;
  /** Ends the upload and removes its data. May be called again. */
  discard(): Promise<void>;
}

/** What is remembered of a publication, so that a commit whose answer was lost can be said again. */
export interface PublishedRecord {
  path: string;
  /** Whose upload it was; as opaque to the store as the digest. */
  owner: string;
  digest: string;
  size: number;
  durability: 'disk' | 'memory';
  /** As the file stood when it was published; a store fills these in. */
  entry?: Entry;
}
