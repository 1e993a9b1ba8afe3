import { access, realpath } from 'node:fs/promises';
import { resolve } from 'node:path';

import { systemClock, type Clock } from '../clock.ts';
import { systemCode, toSealiftError, type SealiftError } from '../errors.ts';
import { silentLogger, unfailing, type Logger } from '../logger.ts';
import { DEFAULT_PORT } from '../protocol/limits.ts';
import { systemRandom, type Random } from '../random.ts';
import { FileStore } from '../storage/fs/fs-store.ts';
import { KeyedMutex } from '../storage/keyed-mutex.ts';
import { beginThread } from '../storage/fs/small-files.ts';
import type { Store } from '../storage/store.ts';
import type { Address } from '../transport/address.ts';
import { claimProcessLock } from '../trust/process-lock.ts';
import { closeInTurn } from './close-in-turn.ts';
import { ExpiryWarnings } from './expiry-warnings.ts';
import type { FileWatch } from './file-watch.ts';
import { announceListening, withdrawListening } from './listening-file.ts';
import { assertInRange } from './option-ranges.ts';
import { makePlace, pathOf, placeOf, type RootPlace } from './root-places.ts';
import type { RootDirectories } from './served-roots.ts';
import { assertGoTogether, ServerFiles, type ServerFilesOptions } from './server-files.ts';
import { Server, type ServerOptions } from './server.ts';
import { statePaths } from './state-paths.ts';

/** How to serve a directory. What is not given takes care of itself: a key pair is made and kept, clients join by code. */
export interface CreateServerOptions
  extends
    ServerFilesOptions,
    Omit<ServerOptions, 'store' | 'address' | 'tls' | 'clientTrust' | 'directories' | 'join'> {
  /** The directory to serve; made if it is missing. */
  root: string;
  /** Default: all addresses. */
  host?: string;
  /** Default 7433; 0 picks one. */
  port?: number;
  /** Listen on this Unix socket instead. */
  socketPath?: string;
  /** Default `TLSv1.3`. */
  minVersion?: 'TLSv1.2' | 'TLSv1.3';
  /** How long files are kept after they were replaced or removed, to be fetched as versions. Default 0: not at all. */
  keepVersionsMs?: number;
  /** Puts something between the server and each store that it opens, to watch or to disturb what goes on. Default: nothing. */
  decorateStore?: ((store: Store) => Store) | undefined;
}

/** A server that was started from a directory. */
export interface CreatedServer extends AsyncDisposable {
  readonly address: Address;
  /** `sha256//…` of the key that it shows, for clients to pin. */
  readonly pin: string;
  /** How many principals have something to log in with. */
  readonly principalCount: number;
  readonly connectionCount: number;
  /** How many uploads clients work on. */
  readonly openUploadCount: number;
  /** When the first certificate of the chain that it shows ends, in milliseconds since 1970. */
  readonly certificateEndsMs: number;
  /** Whether it listens, and its directory can be read; never rejects, but may wait as long as the file system does. */
  isReady(): Promise<boolean>;
  /** Adds a principal who may do everything, and a code that lets one client join as this principal within 15 minutes. Throws where the users file cannot be changed. */
  issueJoinCode(): Promise<string>;
  /**
   * Reads certificate, key, client CA, revocation list and users again. It happens by itself within three seconds
   * after one of the files changed. Transfers go on; who would not be let in any more is cut off. Throws
   * `bad-configuration` if one of them is faulty. Then users and revocation list count as they are now, unless it is
   * they that are faulty, and everything else stays as it was.
   */
  reload(): Promise<void>;
  /** See `Server.close`. */
  close(options?: { graceMs?: number }): Promise<void>;
  destroyConnections(): void;
}

/** Serves a directory. Throws `bad-configuration` where something given cannot be used, and `local-no-space` where the disk is full. */
export async function createServer(options: CreateServerOptions): Promise<CreatedServer> {
  return DirectoryServer.start(options);
}

type Options = CreateServerOptions & { clock: Clock; random: Random; logger: Logger };

/** With the defaults of what all parts of a server need, also where `undefined` was given. Whoever is told of what happens cannot disturb it. */
function completed(given: CreateServerOptions): Options {
  const { clock = systemClock, random = systemRandom, logger = silentLogger, audit, metrics } = given;
  return {
    ...given,
    clock,
    random,
    logger: unfailing(logger, 'debug', 'info', 'warn', 'error'),
    audit: audit && unfailing(audit, 'record'),
    metrics: metrics && unfailing(metrics, 'refusal', 'handshake', 'content', 'request', 'error'),
  };
}

class DirectoryServer implements CreatedServer {
  readonly #options: Options;
  readonly #files: ServerFiles;
  readonly #store: OpenedDirectory;
  readonly #server: Server;
  readonly #expiry: ExpiryWarnings;
  #watch: FileWatch | undefined;
  /** The last announcement, done or under way; never rejects. */
  #announcing: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  private constructor(options: Options, files: ServerFiles, store: OpenedDirectory, server: Server) {
    this.#options = options;
    this.#files = files;
    this.#store = store;
    this.#server = server;
    this.#expiry = new ExpiryWarnings(options.clock, options.logger, () => files.endings);
  }

  static async start(options: CreateServerOptions): Promise<DirectoryServer> {
    const started = await DirectoryServer.#listen(options);
    try {
      started.#beginWatch();
      await started.#announce();
    } catch (error) {
      await started.close();
      throw error;
    }
    started.#expiry.look();
    return started;
  }

  static async #listen(given: CreateServerOptions): Promise<DirectoryServer> {
    assertInRange(given);
    assertGoTogether(given);
    const options = completed(given);
    const names = new KeyedMutex();
    const opened = await openDirectory(options, { top: options.root, below: [] }, names);
    try {
      const files = await ServerFiles.load(options);
      const server = await Server.start({
        ...options,
        store: opened.store,
        address: addressOf(options),
        tls: { ...files.tls, minVersion: options.minVersion },
        clientTrust: () => files.clientTrust,
        directories: directoriesOf(options, names, files),
        join: (offer) => files.join(offer),
      });
      return new DirectoryServer(options, files, opened, server);
    } catch (error) {
      await opened.close();
      throw error;
    }
  }

  get address(): Address {
    return this.#server.address;
  }

  get pin(): string {
    return this.#files.pin;
  }

  get principalCount(): number {
    return this.#files.clientTrust.principals.loginCount;
  }

  get connectionCount(): number {
    return this.#server.connectionCount;
  }

  get openUploadCount(): number {
    return this.#server.openUploadCount;
  }

  get certificateEndsMs(): number {
    return this.#files.certificateEndsMs;
  }

  isReady(): Promise<boolean> {
    return this.#server.isReady();
  }

  issueJoinCode(): Promise<string> {
    return this.#files.issueJoinCode();
  }

  async reload(): Promise<void> {
    const { minVersion, logger } = this.#options;
    try {
      await this.#files.reload((tls) => this.#server.setTls({ ...tls, minVersion }));
    } catch (error) {
      const failure = toSealiftError(error);
      const { message: reason, hint } = failure;
      const except = await this.#files.reloadJudgement();
      this.#judgeAgain();
      logger.error({ reason, hint, except }, 'not reloaded; what was loaded before stays in use');
      this.#auditReload(failure);
      throw error;
    }
    this.#judgeAgain();
    logger.info({ pin: this.pin, principals: this.principalCount }, 'reloaded');
    this.#auditReload();
    if (this.#closing !== undefined) return;
    await this.#announce().catch((error: unknown) => {
      logger.warn(
        { reason: toSealiftError(error).message },
        'the pin for commands on this machine is an old one',
      );
    });
  }

  close(options?: { graceMs?: number }): Promise<void> {
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  destroyConnections(): void {
    this.#server.destroyConnections();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroyConnections();
    await this.close({ graceMs: 0 });
  }

  #judgeAgain(): void {
    this.#server.judgeAgain();
    this.#expiry.look();
  }

  #auditReload(failure?: SealiftError): void {
    const { audit, clock } = this.#options;
    const outcome =
      failure === undefined ? { result: 'ok' } : { result: failure.code, reason: failure.message };
    audit?.record({ time: new Date(clock.now()).toISOString(), event: 'reload', ...outcome });
  }

  #beginWatch(): void {
    this.#watch = this.#files.watch(() => {
      // What is wrong then stands in the log.
      this.reload().catch(() => undefined);
    });
  }

  #announce(): Promise<void> {
    const { root, random } = this.#options;
    const usersFile = resolve(this.#files.usersFile);
    const announcing = announceListening(root, { address: this.address, pin: this.pin, usersFile }, random);
    this.#announcing = announcing.catch(() => undefined);
    return announcing;
  }

  async #close(options?: { graceMs?: number }): Promise<void> {
    this.#watch?.close();
    this.#expiry.close();
    const withdrawn = this.#announcing.then(() => withdrawListening(this.#options.root));
    // Told below.
    withdrawn.catch(() => undefined);
    // The server first, and not once that is withdrawn: who came in meanwhile would be cut off again.
    await closeInTurn([() => this.#server.close(options), () => withdrawn, () => this.#store.close()]);
  }
}

interface OpenedDirectory {
  store: Store;
  close(): Promise<void>;
}

/** Opens the store in a directory for this process alone: two would not know of each other's uploads, and one would sweep the other's away. */
async function openDirectory(
  options: Options,
  place: RootPlace,
  names: KeyedMutex,
): Promise<OpenedDirectory> {
  const { clock, random, keepVersionsMs, decorateStore = (plain: Store) => plain } = options;
  const { top: root, below } = place;
  await makePlace(place);
  const store = await FileStore.open({ root, below, names, clock, random, beginThread, keepVersionsMs });
  const closeStore = () => store[Symbol.asyncDispose]();
  try {
    const directory = pathOf(place);
    const lock = await claimProcessLock(statePaths(directory).lock, `the directory ${directory}`);
    // Whoever lists first finds it working.
    void store.startThread();
    return { store: decorateStore(store), close: () => closeStore().finally(() => lock.release()) };
  } catch (error) {
    await closeStore();
    throw error;
  }
}

function directoriesOf(options: Options, names: KeyedMutex, files: ServerFiles): RootDirectories {
  const place = (root: string) => placeOf(resolve(options.root, root), options.root);
  const nameOf = async ({ top, below }: RootPlace) => {
    if (below.length > 0) return pathOf({ top, below });
    const [real, main] = await Promise.all([realpath(top), realpath(options.root)]);
    return real === main ? undefined : real;
  };
  const nameOfUsed = async (root: string) => {
    try {
      const found = await place(root);
      // One that nobody came to yet, or whose disk is not mounted, stays as it is.
      await access(statePaths(pathOf(found)).own);
      return await nameOf(found);
    } catch (error) {
      // What else is wrong with it shows when it is opened.
      return systemCode(error) === 'ENOENT' ? undefined : resolve(options.root, root);
    }
  };
  return {
    async locate(root) {
      const found = await place(root);
      await makePlace(found);
      return nameOf(found);
    },
    async used() {
      const roots = [...files.clientTrust.principals].flatMap(({ root = [] }) => root);
      const used = await Promise.all(roots.map(nameOfUsed));
      return [...new Set(used)].filter((directory) => directory !== undefined);
    },
    open: async (directory) => openDirectory(options, await place(directory), names),
  };
}

function addressOf({ socketPath, host = '', port = DEFAULT_PORT }: CreateServerOptions): Address {
  return socketPath === undefined ? { host, port } : { path: socketPath };
}
