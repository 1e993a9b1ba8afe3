import { nextTurn, systemClock, type Clock } from '../../clock.ts';
import { concurrently } from '../concurrently.ts';
import { syncFileSystem } from './sync-file-system.ts';

/** Files synced at once: Node has four threads for this, and while they wait for the disk the next files are opened. */
const SYNCED_AT_ONCE = 8;
/** What to start a program costs the process, in milliseconds: the system copies what it knows of its memory. */
const TOGETHER_MS = 8;

interface Waiting {
  sync: () => Promise<void>;
  settle: PromiseWithResolvers<void>;
}

/**
 * Brings many small files of one file system to the disk, each before it takes the place of another: what comes while some are
 * synced waits, and is synced in the next group (the group commit of databases), by one call for the file system where that is quicker. It is
 * not on tmpfs or on a disk with a cache of its own, nor where others write much; a disk that has to be waited for makes it a matter of seconds
 * or minutes for a few thousand files.
 */
export class GroupSync {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #waiting: Waiting[] = [];
  #isRunning = false;
  /** What a file took lately, in milliseconds, where each was synced by itself; 0 where that is to be found out. */
  #fileMs = 0;

  /** For the file system of `directory`. */
  constructor(directory: string, clock: Clock = systemClock) {
    this.#directory = directory;
    this.#clock = clock;
  }

  /** Resolves once the data of a file is on the disk: by `sync`, which is for that file alone and may throw, or by a call for all. */
  sync(sync: () => Promise<void>): Promise<void> {
    const settle = Promise.withResolvers<void>();
    this.#waiting.push({ sync, settle });
    if (!this.#isRunning) void this.#run();
    return settle.promise;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    // What else comes in this turn belongs to the group.
    await nextTurn();
    while (this.#waiting.length > 0) await this.#syncAll(this.#waiting.splice(0));
    this.#isRunning = false;
  }

  async #syncAll(group: readonly Waiting[]): Promise<void> {
    const beganMs = this.#clock.monotonicMs();
    const tookMs = () => this.#clock.monotonicMs() - beganMs;
    const expectedMs = group.length * this.#fileMs;
    if (expectedMs > TOGETHER_MS && (await syncFileSystem(this.#directory))) {
      // Others write so much that each by itself may be quicker.
      if (tookMs() > expectedMs) this.#fileMs = 0;
      for (const { settle } of group) settle.resolve();
      return;
    }
    await concurrently(group, SYNCED_AT_ONCE, ({ sync, settle }) =>
      sync().then(settle.resolve, settle.reject),
    );
    this.#fileMs = tookMs() / group.length;
  }
}
