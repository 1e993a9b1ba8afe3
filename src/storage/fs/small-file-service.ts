import type { MessagePort } from 'node:worker_threads';

import { systemClock } from '../../clock.ts';
import { isSealiftError } from '../../errors.ts';
import { BLOCK_BYTES } from '../../transfer/blocks.ts';
import { blockDigest, smallFileDigest } from '../../transfer/digests.ts';
import { KeyedMutex } from '../keyed-mutex.ts';
import type { Entry } from '../store.ts';
import { blockingFiles, NeedsDisk } from './blocking-files.ts';
import { makeDirectory, makeLink, removeOne, setAttributes } from './changes.ts';
import { SpareHandles } from './kept-directory.ts';
import { listTree } from './listing.ts';
import { publishOrStage, publishStaged, type Publisher } from './publish.ts';
import {
  MAX_READ_BYTES,
  type ListingPage,
  type ListRequest,
  type NameChange,
  type SmallFileAnswer,
  type SmallFileAnswers,
  type SmallFileBatch,
  type SmallFileTask,
  type ThreadRequest,
  type ToldError,
} from './small-file-messages.ts';
import { storeError } from './store-errors.ts';
import { openStoredFile } from './stored-file.ts';
import { Tree } from './tree.ts';

/** How many entries go over at once. */
const ENTRIES_PER_PAGE = 512;

/**
 * Does what `SmallFiles` asks for over `port`, by calls that block the thread it runs in: batches one after the other,
 * and listings page by page in between.
 */
export async function serveSmallFiles(port: MessagePort, root: string): Promise<void> {
  const made: string[] = [];
  const tree = await Tree.open(blockingFiles, root, { onMade: (node) => made.push(node) });
  const service = new SmallFileService(port, tree, made);
  port.on('message', (request: ThreadRequest) => service.take(request));
  port.postMessage('ready');
}

/** A listing under way. */
interface Listing {
  rest: AsyncGenerator<Entry>;
  /** What the next page tells besides. */
  unlisted: ListingPage['unlisted'];
}

class SmallFileService {
  readonly #port: MessagePort;
  readonly #tree: Tree;
  /** In which directories others were made since the last answer. */
  readonly #made: string[];
  readonly #publisher: Publisher;
  /** Listings under way, of which the next page is made when it is asked for. */
  readonly #listings = new Map<number, Listing>();
  readonly #spare = new SpareHandles();
  /** The batches so far: they are answered in their order. */
  #batches: Promise<void> = Promise.resolve();

  constructor(port: MessagePort, tree: Tree, made: string[]) {
    this.#port = port;
    this.#tree = tree;
    this.#made = made;
    // Where versions are kept, what replaces a file is not published here.
    this.#publisher = { files: blockingFiles, tree, names: new KeyedMutex(), clock: systemClock };
  }

  take(request: ThreadRequest): void {
    if ('items' in request) this.#batches = this.#batches.then(() => this.#workOn(request));
    else if ('path' in request) this.#begin(request);
    else if ('next' in request) void this.#listOn(request.next);
    else void this.#end(request.stop);
  }

  #begin({ list, path, recursive }: ListRequest): void {
    const parts = { files: blockingFiles, tree: this.#tree, spare: this.#spare };
    const unlisted: Listing['unlisted'] = [];
    const onUnlisted = (...each: Listing['unlisted'][number]) => unlisted.push(each);
    this.#listings.set(list, { rest: listTree(parts, path, { recursive, onUnlisted }), unlisted });
    void this.#listOn(list);
  }

  async #listOn(listing: number): Promise<void> {
    const found = this.#listings.get(listing);
    if (found === undefined) return;
    const { rest, unlisted } = found;
    const entries: Entry[] = [];
    try {
      let isOver = false;
      while (!isOver && entries.length < ENTRIES_PER_PAGE) {
        const next = await rest.next();
        if (next.done === true) isOver = true;
        else entries.push(next.value);
      }
      if (isOver) this.#listings.delete(listing);
      const page: ListingPage = { listing, entries, unlisted: unlisted.splice(0), isOver };
      this.#port.postMessage(page);
    } catch (error) {
      this.#listings.delete(listing);
      const page: ListingPage = { listing, entries, unlisted, isOver: true, error: toldError(error) };
      this.#port.postMessage(page);
    }
  }

  async #end(listing: number): Promise<void> {
    const { rest } = this.#listings.get(listing) ?? {};
    this.#listings.delete(listing);
    await rest?.return(undefined);
  }

  async #change(change: NameChange): Promise<Entry | undefined> {
    const { path } = change;
    switch (change.kind) {
      case 'mkdir':
        return makeDirectory(this.#publisher, path, change.attributes);
      case 'set':
        return void (await setAttributes(this.#publisher, path, change.attributes));
      case 'symlink':
        return makeLink(this.#publisher, path, change.target, {
          ...change.options,
          replace: () => Promise.reject(new NeedsDisk()),
        });
      case 'remove':
        await this.#tree.leave(path);
        return void (await removeOne(this.#publisher, path, passLarge));
    }
  }

  async #workOn({ items, contents }: SmallFileBatch): Promise<void> {
    const answers: SmallFileAnswer[] = [];
    const read: Buffer[] = [];
    let end = 0;
    const work = async (task: SmallFileTask): Promise<SmallFileAnswer> => {
      if (task.kind === 'put') {
        const content = Buffer.from(contents, task.from, task.to - task.from);
        const entry = await publishOrStage(this.#publisher, task.systemPath, task.publication, content);
        return entry === undefined ? { staged: true } : { entry, from: 0, to: 0 };
      }
      if (task.kind === 'publish') {
        const entry = await publishStaged(this.#publisher, task.systemPath, task.publication, passLarge);
        return { entry, from: 0, to: 0 };
      }
      if (task.kind !== 'read' && task.kind !== 'digest')
        return { entry: await this.#change(task), from: 0, to: 0 };
      const answer = await readWhole(this.#tree, task.path);
      if (answer === undefined) return { passed: true };
      if (task.kind === 'digest') {
        const { entry, content } = answer;
        return { digest: smallFileDigest(task.algorithm, entry.size, blockDigest(task.algorithm, content)) };
      }
      read.push(answer.content);
      const from = end;
      end += answer.content.length;
      return { entry: answer.entry, from, to: end };
    };
    await this.#tree.keepingLast(async () => {
      for (const task of JSON.parse(items) as SmallFileTask[])
        answers.push(await work(task).catch((error: unknown) => answerOf(error, pathOf(task))));
    });
    const all = new ArrayBuffer(end);
    let position = 0;
    for (const content of read) {
      new Uint8Array(all, position).set(content);
      position += content.length;
    }
    const answered: SmallFileAnswers = { answers, made: this.#made.splice(0) };
    this.#port.postMessage({ items: JSON.stringify(answered), contents: all } satisfies SmallFileBatch, [
      all,
    ]);
  }
}

function readWhole(tree: Tree, path: string) {
  return tree.at(path, async (place) => {
    const file = await openStoredFile(blockingFiles, place, path);
    try {
      const { entry } = file;
      if (entry.size > MAX_READ_BYTES) return undefined;
      const content = Buffer.allocUnsafe(entry.size);
      await file.read(content, 0, entry.size);
      await file.assertUnchanged();
      return { entry, content };
    } finally {
      await file.close();
    }
  });
}

// The system frees the data of the last name at once, which takes seconds where that lies in many pieces.
function passLarge(existing: Entry | undefined): void {
  if (existing?.type === 'file' && existing.size > BLOCK_BYTES) throw new NeedsDisk();
}

function pathOf(task: SmallFileTask): string {
  return 'publication' in task ? task.publication.path : task.path;
}

function answerOf(error: unknown, path: string): SmallFileAnswer {
  const isPassed = error instanceof NeedsDisk || (error as { cause?: unknown }).cause instanceof NeedsDisk;
  return isPassed ? { passed: true } : { error: toldError(error, path) };
}

function toldError(error: unknown, path = ''): ToldError {
  const { code, message, details, cause } = isSealiftError(error) ? error : storeError(error, path);
  return { code, message, details, cause: code === 'internal' ? String(cause) : undefined };
}
