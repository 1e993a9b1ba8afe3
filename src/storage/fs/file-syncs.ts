import type { Worker } from 'node:worker_threads';

import { nextTurn } from '../../clock.ts';
import { syncFile } from '../../local-sync.ts';
import { concurrently } from '../concurrently.ts';
import { startThread } from './start-thread.ts';

/** Files synced at once through Node's thread pool: it has four threads, and while they wait for the disk the next files are opened. */
const POOLED_AT_ONCE = 8;
/** Before so many files no thread is begun for them, nor used: that takes longer than syncing them. */
const MIN_FILES = 64;
/** A disk that takes longer for a file, in milliseconds, is waited for by the pool, where it writes its journal for several at once. */
const SLOW_MS = 0.1;

/** What the thread is sent are paths; this is what it tells of them. */
export interface SyncedFiles {
  /** What the system said against those that failed. */
  failures: { index: number; code: string; message: string }[];
  /** What the disk took for all of them, in milliseconds. */
  tookMs: number;
}

/** A thread that syncs files, or what behaves like one. */
export type SyncThread = Pick<Worker, 'postMessage' | 'on' | 'once' | 'ref' | 'unref' | 'terminate'>;

interface Waiting {
  path: string;
  settle: PromiseWithResolvers<void>;
}

/**
 * Brings the data of small files to the disk, each before it takes the place of another. What comes together goes to a thread of its own,
 * by calls that block it: through Node's pool they cost ten times as much, which is most of what a file takes where the disk need not be
 * waited for. Where it has to be, as one file of each group that goes to the thread shows, the pool does it. Not by one call for the file
 * system: what that says of a failure may have been said to another process before.
 */
export class FileSyncs {
  readonly #begin: () => SyncThread;
  readonly #waiting: Waiting[] = [];
  #isRunning = false;
  #fileCount = 0;
  /** What the disk took for a file of late, in milliseconds. */
  #fileMs = Infinity;
  #thread: SyncThread | undefined;
  #isReady = false;
  #hasEnded = false;
  /** What the thread has not answered yet. */
  #asked: PromiseWithResolvers<SyncedFiles> | undefined;

  constructor(begin: () => SyncThread = () => startThread('sync-thread')) {
    this.#begin = begin;
  }

  /** Resolves once the data of the file at `path`, which is no link, is on the disk. Throws what the system says; never to be repeated then. */
  sync(path: string): Promise<void> {
    const settle = Promise.withResolvers<void>();
    this.#waiting.push({ path, settle });
    if (!this.#isRunning) void this.#run();
    return settle.promise;
  }

  /** Ends the thread. What it was asked fails; what comes later is done without. May be called again. */
  async close(): Promise<void> {
    this.#hasEnded = true;
    await this.#thread?.terminate();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    // What else comes in this turn belongs to the group.
    await nextTurn();
    while (this.#waiting.length > 0) await this.#syncAll(this.#waiting.splice(0));
    this.#isRunning = false;
  }

  async #syncAll(group: readonly Waiting[]): Promise<void> {
    this.#fileCount += group.length;
    const isWorthIt = this.#fileCount >= MIN_FILES;
    if (isWorthIt) this.start();
    const isThere = isWorthIt && this.#isReady && !this.#hasEnded;
    const inThread = isThere ? group.slice(0, this.#fileMs > SLOW_MS ? 1 : undefined) : [];
    await Promise.all([
      this.#syncInThread(inThread),
      concurrently(group.slice(inThread.length), POOLED_AT_ONCE, ({ path, settle }) =>
        syncFile(path).then(settle.resolve, settle.reject),
      ),
    ]);
  }

  async #syncInThread(group: readonly Waiting[]): Promise<void> {
    const thread = this.#thread;
    if (thread === undefined || group.length === 0) return;
    this.#asked = Promise.withResolvers();
    // Else the process could end before the answer.
    thread.ref();
    thread.postMessage(group.map(({ path }) => path));
    try {
      const { failures, tookMs } = await this.#asked.promise;
      this.#fileMs = tookMs / group.length;
      for (const { index, code, message } of failures)
        group[index]?.settle.reject(Object.assign(new Error(message), { code }));
      // Those that were rejected stay so.
      for (const { settle } of group) settle.resolve();
    } catch (error) {
      // What it did nobody knows, and a sync that is said again after it failed would lie.
      for (const { settle } of group) settle.reject(error);
    } finally {
      this.#asked = undefined;
      thread.unref();
    }
  }

  /** Begins the thread, unless that was done: what a server holds should not depend on what it was asked. */
  start(): void {
    if (this.#thread !== undefined || this.#hasEnded) return;
    let thread: SyncThread;
    try {
      thread = this.#begin();
    } catch {
      // As where a process may begin none: the pool does it all.
      this.#hasEnded = true;
      return;
    }
    this.#thread = thread;
    thread.unref();
    thread.on('message', (message: SyncedFiles | 'ready') => {
      if (message === 'ready') this.#isReady = true;
      else this.#asked?.resolve(message);
    });
    const end = (error: unknown) => {
      this.#hasEnded = true;
      this.#asked?.reject(error);
    };
    thread.once('error', end);
    thread.once('exit', () => end(new Error('The thread that syncs files has ended.')));
  }
}
