// The thread of `SmallFiles`: works on batches, one after the other, by calls that block it.
import { parentPort, workerData } from 'node:worker_threads';

import { systemClock } from '../../clock.ts';
import { isSealiftError } from '../../errors.ts';
import { KeyedMutex } from '../keyed-mutex.ts';
import type { Entry } from '../store.ts';
import { blockingFiles, NeedsDisk } from './blocking-files.ts';
import { SpareHandles } from './kept-directory.ts';
import { listTree } from './listing.ts';
import { publishContent, type Publisher } from './publish.ts';
import {
  MAX_SMALL_BYTES,
  type ListingPage,
  type ListRequest,
  type SmallFileAnswer,
  type SmallFileBatch,
  type SmallFileTask,
  type ThreadRequest,
  type ToldError,
} from './small-files.ts';
import { storeError } from './store-errors.ts';
import { openStoredFile } from './stored-file.ts';
import { Tree } from './tree.ts';

/** How many entries go over at once. */
const ENTRIES_PER_PAGE = 512;

const port = parentPort;
if (port === null) throw new Error('This is no program, but a thread of one.');

let made: string[] = [];
const tree = await Tree.open(blockingFiles, workerData as string, (path) => made.push(path));
const publisher: Publisher = { files: blockingFiles, tree, names: new KeyedMutex(), clock: systemClock };

/** Listings under way, of which the next page is made when it is asked for. */
const listings = new Map<number, AsyncGenerator<Entry>>();
const spare = new SpareHandles();

port.on('message', (request: ThreadRequest) => {
  if ('items' in request) void workOn(request);
  else if ('path' in request) begin(request);
  else if ('next' in request) void listOn(request.next);
  else void end(request.stop);
});
port.postMessage('ready');

function begin({ list, path, recursive }: ListRequest): void {
  listings.set(list, listTree({ files: blockingFiles, tree, spare }, path, { recursive }));
  void listOn(list);
}

async function listOn(listing: number): Promise<void> {
  const rest = listings.get(listing);
  if (rest === undefined) return;
  const entries: Entry[] = [];
  try {
    let isOver = false;
    while (!isOver && entries.length < ENTRIES_PER_PAGE) {
      const next = await rest.next();
      if (next.done === true) isOver = true;
      else entries.push(next.value);
    }
    if (isOver) listings.delete(listing);
    port?.postMessage({ listing, entries, isOver } satisfies ListingPage);
  } catch (error) {
    listings.delete(listing);
    port?.postMessage({ listing, entries, isOver: true, error: toldError(error) } satisfies ListingPage);
  }
}

async function end(listing: number): Promise<void> {
  const rest = listings.get(listing);
  listings.delete(listing);
  await rest?.return(undefined);
}

async function workOn({ items, contents }: SmallFileBatch<SmallFileTask>): Promise<void> {
  made = [];
  const answers: SmallFileAnswer[] = [];
  const read: Buffer[] = [];
  let end = 0;
  for (const task of items) {
    try {
      if (task.kind === 'put') {
        const content = Buffer.from(contents, task.from, task.to - task.from);
        const entry = await publishContent(publisher, task.systemPath, task.publication, content);
        answers.push({ entry, from: 0, to: 0 });
      } else {
        const answer = await readWhole(task.path);
        if (answer !== undefined) read.push(answer.content);
        const from = end;
        end += answer?.content.length ?? 0;
        answers.push(answer === undefined ? { passed: true } : { entry: answer.entry, from, to: end });
      }
    } catch (error) {
      answers.push(answerOf(error));
    }
  }
  const all = new ArrayBuffer(end);
  let position = 0;
  for (const content of read) {
    new Uint8Array(all, position).set(content);
    position += content.length;
  }
  port?.postMessage({ items: answers, contents: all, made } satisfies SmallFileBatch<SmallFileAnswer>, [all]);
}

function readWhole(path: string) {
  return tree.at(path, async (place) => {
    const file = await openStoredFile(blockingFiles, place, path);
    try {
      const { entry } = file;
      if (entry.size > MAX_SMALL_BYTES) return undefined;
      const content = Buffer.allocUnsafe(entry.size);
      await file.read(content, 0, entry.size);
      await file.assertUnchanged();
      return { entry, content };
    } finally {
      await file.close();
    }
  });
}

function answerOf(error: unknown): SmallFileAnswer {
  const isPassed = error instanceof NeedsDisk || (error as { cause?: unknown }).cause instanceof NeedsDisk;
  return isPassed ? { passed: true } : { error: toldError(error) };
}

function toldError(error: unknown): ToldError {
  const { code, message, details } = isSealiftError(error) ? error : storeError(error, '');
  return { code, message, details };
}
