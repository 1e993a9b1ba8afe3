import { KeyedMutex } from '../storage/keyed-mutex.ts';
import type { Store } from '../storage/store.ts';
import { FileDigests } from './file-digests.ts';
import { Leases } from './leases.ts';
import { Quotas } from './quotas.ts';
import { UnsyncedByAll } from './unsynced.ts';
import { Uploads, type UploadsOptions } from './uploads.ts';
import { VersionExpiry } from './version-expiry.ts';

/** How long a root that nobody uses stays open, in milliseconds: a client that comes back finds it as it was. */
const UNUSED_MS = 60_000;

/** A store, and what is known of the files in it. */
export interface ServedRoot {
  readonly store: Store;
  readonly uploads: Uploads;
  readonly fileDigests: FileDigests;
  /** One for all roots: the names of leases belong to the server. */
  readonly leases: Leases;
  readonly quotas: Quotas;
  readonly unsyncedByAll: UnsyncedByAll;
}

/** A root that somebody works with. */
export interface EnteredRoot {
  readonly root: ServedRoot;
  /** May be called again. */
  leave(): void;
}

/** Where the roots of principals come from. */
export interface RootDirectories {
  /** The one name of the directory `root`, however it is written; undefined if it is the one that is served. Makes it where it is missing. */
  locate(root: string): Promise<string | undefined>;
  /** The names of those in which something was kept for one of the principals that there are now. Never rejects. */
  used(): Promise<readonly string[]>;
  /** Opens the store in a directory, by that name. */
  open(directory: string): Promise<{ store: Store; close: () => Promise<void> }>;
}

export interface ServedRootsOptions extends UploadsOptions {
  /** Default: nobody has a root of their own. */
  directories?: RootDirectories | undefined;
}

/** The stores of a server: the one that it serves, and those of principals with a root of their own, open while they are used. */
export class ServedRoots {
  readonly #options: ServedRootsOptions;
  readonly #leases: Leases;
  readonly #main: ServedRoot;
  readonly #expiry: VersionExpiry;
  readonly #others = new Map<string, OpenRoot>();
  /** What is being opened or closed is not opened meanwhile. */
  readonly #rooms = new KeyedMutex();

  constructor(options: ServedRootsOptions) {
    this.#options = options;
    this.#leases = new Leases(options.clock);
    this.#main = servedRoot(options, this.#leases);
    this.#expiry = new VersionExpiry({
      directories: async () => [undefined, ...((await options.directories?.used()) ?? [])],
      visit: (directory, task) => this.#visit(directory, task),
      clock: options.clock,
      logger: options.logger,
    });
  }

  /** The one that is served. */
  get main(): ServedRoot {
    return this.#main;
  }

  /** Uploads that clients work on, in all of them. */
  get openUploadCount(): number {
    const others = [...this.#others.values()].map(({ served }) => served);
    return [this.#main, ...others].reduce((sum, { uploads }) => sum + uploads.openCount, 0);
  }

  /** Begins to remove versions that are too old, until `close`, also in roots that nobody uses; nothing happens if none are kept. */
  beginExpiry(): void {
    if (this.#main.store.features.versions) this.#expiry.start();
  }

  /** Lets somebody in, who has to leave in the end. Throws what opening the root throws. */
  async enter(root: string | undefined): Promise<EnteredRoot> {
    const { directories } = this.#options;
    const directory = root === undefined ? undefined : await directories?.locate(root);
    if (directory === undefined || directories === undefined) return { root: this.#main, leave: nothing };
    const open = await this.#enter(directories, directory);
    open.hadClients = true;
    let isInside = true;
    const leave = () => {
      if (isInside) this.#leave(directory, open);
      isInside = false;
    };
    return { root: open.served, leave };
  }

  /** Closes all of them; the main store itself is its owner's. Nobody may be in them any more. */
  async close(): Promise<void> {
    await this.#expiry.close();
    const others = [...this.#others.keys()].map((directory) => this.#closeUnused(directory));
    await Promise.all([this.#main.uploads.close(), ...others]);
  }

  /** Runs `task` in a root, which stays open only if clients use it: otherwise all roots would be held open by and by. */
  async #visit(directory: string | undefined, task: (store: Store) => Promise<void>): Promise<void> {
    const { directories } = this.#options;
    if (directory === undefined || directories === undefined) return task(this.#main.store);
    const open = await this.#enter(directories, directory);
    try {
      await task(open.served.store);
    } finally {
      this.#leave(directory, open);
      if (!open.hadClients) await this.#closeUnused(directory);
    }
  }

  #enter(directories: RootDirectories, directory: string): Promise<OpenRoot> {
    return this.#rooms.run(directory, async () => {
      const found = this.#others.get(directory) ?? (await this.#open(directories, directory));
      found.users += 1;
      found.cancelClosing?.();
      return found;
    });
  }

  async #open(directories: RootDirectories, directory: string): Promise<OpenRoot> {
    const { store, close } = await directories.open(directory);
    const served = servedRoot({ ...this.#options, store }, this.#leases);
    const open: OpenRoot = { served, close, users: 0, hadClients: false, cancelClosing: undefined };
    this.#others.set(directory, open);
    await served.uploads.sweep();
    return open;
  }

  #leave(directory: string, open: OpenRoot): void {
    const { clock, logger } = this.#options;
    open.users -= 1;
    if (open.users > 0) return;
    open.cancelClosing = clock.schedule(UNUSED_MS, () => {
      this.#closeUnused(directory).catch((error: unknown) =>
        logger.error({ err: error }, 'closing a directory failed'),
      );
    });
  }

  #closeUnused(directory: string): Promise<void> {
    return this.#rooms.run(directory, async () => {
      const open = this.#others.get(directory);
      if (open === undefined || open.users > 0) return;
      open.cancelClosing?.();
      this.#others.delete(directory);
      await open.served.uploads.close();
      await open.close();
    });
  }
}

interface OpenRoot {
  served: ServedRoot;
  close: () => Promise<void>;
  users: number;
  /** Whether one may come back who was there. */
  hadClients: boolean;
  cancelClosing: (() => void) | undefined;
}

function servedRoot(options: UploadsOptions, leases: Leases): ServedRoot {
  const { store, clock } = options;
  return {
    store,
    uploads: new Uploads(options),
    fileDigests: new FileDigests(store, clock),
    leases,
    quotas: new Quotas(options),
    unsyncedByAll: new UnsyncedByAll(store),
  };
}

function nothing(): void {
  // The main root is always open.
}
