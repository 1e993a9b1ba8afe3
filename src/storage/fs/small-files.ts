import type { Worker } from 'node:worker_threads';

import { nextTurn } from '../../clock.ts';
import { SealiftError } from '../../errors.ts';
import type { DigestAlgorithm } from '../../transfer/digests.ts';
import type { Entry, ListOptions, Publication, StoredFile } from '../store.ts';
import {
  errorFrom,
  MAX_PUT_BYTES,
  type ListingPage,
  type NameChange,
  type SmallFileAnswers,
  type SmallFileBatch,
  type SmallFileTask,
  type ThreadRequest,
} from './small-file-messages.ts';
import { startThread } from './start-thread.ts';

/** A thread that serves small files, or what behaves like one. */
export type SmallFileThread = Pick<Worker, 'postMessage' | 'on' | 'once' | 'unref' | 'terminate'>;
/** Begins such a thread for the directory `root`. */
export type BeginThread = (root: string) => SmallFileThread;

/** A real thread. */
export const beginThread: BeginThread = (root) => startThread('small-file-thread', root);

/** Is told of the directories that the thread makes. */
export interface DirectoryMaking {
  /** From now on it may make some, of which nothing is known yet. */
  makingElsewhere(): void;
  /** Now it makes none any more, and has made some in these; undefined if it ended before it could say in which. */
  madeElsewhere(nodes: readonly string[] | undefined): void;
}

/** Tasks in a message to the thread, at most: where it gets all that waits, nobody else has anything to do until it answers. */
const TASKS_PER_BATCH = 16;
/** Bytes in a message, after which no further task joins it. */
const BYTES_PER_BATCH = 524_288;
/** Messages that the thread has at once: it goes on with one while the answers to another are used. */
const MAX_BATCHES = 2;

interface Waiting {
  task: SmallFileTask;
  content: Buffer;
  settle: PromiseWithResolvers<Answered | undefined>;
}

interface Answered {
  /** None where nothing is told of it. */
  entry: Entry | undefined;
  content: Buffer;
  isStaged?: true;
  digest?: string;
}

/**
 * Publishes, reads and lists small files in a thread of its own, by calls that block it and nothing else: going through
 * Node's thread pool call by call costs ten times as much. What comes while the thread works goes to it in
 * batches. Until the thread has begun, and if it fails, nothing is done here, and the caller does it as always.
 */
export class SmallFiles {
  readonly #root: string;
  readonly #directories: DirectoryMaking;
  readonly #begin: BeginThread;
  #worker: SmallFileThread | undefined;
  #starting: Promise<void> | undefined;
  #isReady = false;
  #hasFailed = false;
  readonly #queue: Waiting[] = [];
  /** What the thread has been sent, in the order in which it answers. */
  readonly #working: Waiting[][] = [];
  #isSendingSoon = false;
  readonly #pages = new Map<number, PromiseWithResolvers<ListingPage>>();
  #lastListing = 0;

  constructor(root: string, directories: DirectoryMaking, begin: BeginThread) {
    this.#root = root;
    this.#directories = directories;
    this.#begin = begin;
  }

  /**
   * Publishes a new file with durability `memory`; one that takes the place of another is only made ready at `systemPath`, and
   * `staged`, to be synced and then published by `publish`. Undefined if it has to be done otherwise. The caller lets nobody else
   * at that path.
   */
  async put(
    systemPath: string,
    publication: Publication,
    content: Buffer,
  ): Promise<Entry | 'staged' | undefined> {
    if (publication.durability === 'disk' || content.length > MAX_PUT_BYTES) return undefined;
    const task = { kind: 'put', systemPath, publication, from: 0, to: 0 } as const;
    const answered = await this.#ask(task, content);
    return answered?.isStaged === true ? 'staged' : answered?.entry;
  }

  /** Gives what was staged, and is on the disk, its name; undefined if it has to be done otherwise. */
  async publish(systemPath: string, publication: Publication): Promise<Entry | undefined> {
    return (await this.#ask({ kind: 'publish', systemPath, publication }, NOTHING))?.entry;
  }

  /** Changes a name; undefined if it has to be done otherwise. The caller lets nobody else at that path. */
  change(change: NameChange): Promise<Pick<Answered, 'entry'> | undefined> {
    return this.#ask(change, NOTHING);
  }

  /** A small file, read whole; undefined if it is larger. */
  async read(path: string): Promise<StoredFile | undefined> {
    const { entry, content } = (await this.#ask({ kind: 'read', path }, NOTHING)) ?? {};
    return entry && content && new ReadFile(entry, content);
  }

  /** The file digest of a small file, which never leaves the thread; undefined if it has to be had otherwise. */
  async digest(path: string, algorithm: DigestAlgorithm): Promise<string | undefined> {
    return (await this.#ask({ kind: 'digest', path, algorithm }, NOTHING))?.digest;
  }

  /** As `Store.list`; undefined if it has to be done otherwise. Two pages are in memory at once. */
  list(path: string, options: ListOptions): AsyncGenerator<Entry> | undefined {
    return this.#isReady && !this.#hasFailed ? this.#list(path, options) : undefined;
  }

  async *#list(path: string, { recursive, onUnlisted }: ListOptions): AsyncGenerator<Entry> {
    const list = (this.#lastListing += 1);
    let page = this.#page(list, { list, path, recursive });
    let isOver = false;
    try {
      while (!isOver) {
        const { entries, unlisted, error, ...end } = await page;
        for (const each of unlisted) onUnlisted?.(...each);
        ({ isOver } = end);
        // The next is made while this one is used.
        if (!isOver) page = this.#page(list, { next: list });
        yield* entries;
        if (error !== undefined) throw errorFrom(error);
      }
    } finally {
      this.#pages.delete(list);
      if (!isOver) this.#worker?.postMessage({ stop: list } satisfies ThreadRequest);
    }
  }

  #page(list: number, request: ThreadRequest): Promise<ListingPage> {
    const page = Promise.withResolvers<ListingPage>();
    // Who lists may stop before it comes.
    page.promise.catch(() => undefined);
    this.#pages.set(list, page);
    if (this.#hasFailed) page.reject(threadEnded());
    this.#worker?.postMessage(request);
    return page.promise;
  }

  async close(): Promise<void> {
    this.#hasFailed = true;
    await this.#worker?.terminate();
  }

  /** Begins the thread, unless the first task has; resolves when it works, or never will. */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  #ask(task: SmallFileTask, content: Buffer): Promise<Answered | undefined> {
    void this.start();
    if (!this.#isReady || this.#hasFailed) return Promise.resolve(undefined);
    const settle = Promise.withResolvers<Answered | undefined>();
    this.#queue.push({ task, content, settle });
    if (this.#queue.length >= TASKS_PER_BATCH) this.#sendWaiting();
    else this.#sendSoon();
    return settle.promise;
  }

  async #start(): Promise<void> {
    const worker = this.#begin(this.#root);
    worker.unref();
    this.#worker = worker;
    const { promise, resolve } = Promise.withResolvers<void>();
    worker.once('message', () => {
      this.#isReady = true;
      worker.on('message', (answer: SmallFileBatch | ListingPage) => {
        if ('items' in answer) this.#onAnswers(answer);
        else this.#pages.get(answer.listing)?.resolve(answer);
      });
      resolve();
    });
    const fail = () => {
      this.#fail();
      resolve();
    };
    worker.once('error', fail);
    worker.once('exit', fail);
    await promise;
  }

  /** Only when what else comes in this turn is there too: what a message to a thread costs is the same for many. */
  #sendSoon(): void {
    if (this.#isSendingSoon || this.#working.length > 0) return;
    this.#isSendingSoon = true;
    void nextTurn().then(() => {
      this.#isSendingSoon = false;
      this.#sendWaiting();
    });
  }

  get #isMaking(): boolean {
    return this.#working.some((tasks) => tasks.some(mayMakeDirectories));
  }

  #sendWaiting(): void {
    while (this.#working.length < MAX_BATCHES && this.#queue.length > 0) {
      let [count, bytes] = [0, 0];
      for (const { content } of this.#queue) {
        if (count === TASKS_PER_BATCH || bytes >= BYTES_PER_BATCH) break;
        count += 1;
        bytes += content.length;
      }
      this.#send(this.#queue.splice(0, count), bytes);
    }
  }

  #send(tasks: Waiting[], length: number): void {
    this.#working.push(tasks);
    const bytes = Buffer.allocUnsafeSlow(length);
    const contents = bytes.buffer;
    let end = 0;
    const items = tasks.map(({ task, content }) => {
      const from = end;
      bytes.set(content, from);
      end += content.length;
      return task.kind === 'put' ? { ...task, from, to: end } : task;
    });
    const batch: SmallFileBatch = { items: JSON.stringify(items satisfies SmallFileTask[]), contents };
    if (tasks.some(mayMakeDirectories)) this.#directories.makingElsewhere();
    this.#worker?.postMessage(batch, [contents]);
  }

  #onAnswers({ items, contents }: SmallFileBatch): void {
    const { answers, made } = JSON.parse(items) as SmallFileAnswers;
    const answered = this.#working.shift() ?? [];
    if (answered.some(mayMakeDirectories)) this.#directories.madeElsewhere(made);
    if (this.#isMaking) this.#directories.makingElsewhere();
    this.#sendWaiting();
    for (const [index, { settle }] of answered.entries()) {
      const answer = answers[index];
      if (answer === undefined || 'passed' in answer) settle.resolve(undefined);
      else if ('error' in answer) settle.reject(errorFrom(answer.error));
      else if ('staged' in answer) settle.resolve({ entry: undefined, content: NOTHING, isStaged: true });
      else if ('digest' in answer)
        settle.resolve({ digest: answer.digest, entry: undefined, content: NOTHING });
      else {
        const { entry, from, to } = answer;
        settle.resolve({ entry, content: Buffer.from(contents, from, to - from) });
      }
    }
  }

  // Whoever waits does it as always: a put that was done and not answered then meets its own temporary or its own file. Of
  // another change nobody can tell whether it was made.
  #fail(): void {
    this.#hasFailed = true;
    if (this.#isMaking) this.#directories.madeElsewhere(undefined);
    for (const { task, settle } of this.#working.splice(0).flat()) {
      if (!changesNames(task)) settle.resolve(undefined);
      else settle.reject(threadEnded());
    }
    for (const { settle } of this.#queue.splice(0)) settle.resolve(undefined);
    for (const page of this.#pages.values()) page.reject(threadEnded());
  }
}

function mayMakeDirectories({ task: { kind } }: Waiting): boolean {
  return kind === 'put' || kind === 'publish' || kind === 'mkdir' || kind === 'symlink';
}

function changesNames({ kind }: SmallFileTask): boolean {
  return ['publish', 'mkdir', 'set', 'symlink', 'remove'].includes(kind);
}

function threadEnded(): SealiftError {
  return new SealiftError('internal', 'The storage of the server failed.');
}

const NOTHING = Buffer.alloc(0);

/** A file that was read whole, and was seen not to change meanwhile. */
class ReadFile implements StoredFile {
  readonly entry: Entry;
  readonly #content: Buffer;

  constructor(entry: Entry, content: Buffer) {
    this.entry = entry;
    this.#content = content;
  }

  read(target: Buffer, position: number, length: number): Promise<void> {
    if (position + length > this.#content.length) {
      const message = `${JSON.stringify(this.entry.path)} has only ${this.#content.length} bytes.`;
      return Promise.reject(new SealiftError('precondition-failed', message));
    }
    this.#content.copy(target, 0, position, position + length);
    return Promise.resolve();
  }

  assertUnchanged(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
