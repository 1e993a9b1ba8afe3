import type { Clock } from '../clock.ts';
import type { Header } from '../protocol/header.ts';
import { PROGRESS_INTERVAL_MS } from '../protocol/limits.ts';
import type { Action, RequestFields } from '../protocol/requests.ts';
import type { Store } from '../storage/store.ts';
import type { DigestAlgorithm } from '../transfer/digests.ts';
import type { BlockTracker } from './block-tracker.ts';
import type { Budget } from '../transport/budget.ts';
import type { Compressor } from '../transport/compressor.ts';
import { Deadlines } from '../transport/deadlines.ts';
import type { Grant } from '../trust/grant.ts';
import type { ContentEncoding } from '../transport/content-encoding.ts';
import type { FileDigests } from './file-digests.ts';
import type { Leases } from './leases.ts';
import type { Made, MadeEntries } from './made-entries.ts';
import type { PlainSinks } from './plain-sinks.ts';
import type { Quotas } from './quotas.ts';
import type { Unsynced, UnsyncedByAll } from './unsynced.ts';
import type { Upload } from './upload.ts';
import type { Uploads } from './uploads.ts';

/** What the handlers of one connection share, once its hello is finished. */
export interface SessionState {
  readonly store: Store;
  readonly uploads: Uploads;
  readonly fileDigests: FileDigests;
  readonly leases: Leases;
  readonly plainSinks: PlainSinks;
  readonly quotas: Quotas;
  readonly clock: Clock;
  /** Whom uploads and leases belong to: the principal's name, or what stands for all anonymous clients. */
  readonly owner: string;
  /** What it may do, as of the last time it was judged. */
  grant: Grant;
  /** Of every digest on this connection. */
  readonly algorithm: DigestAlgorithm;
  /** In what the client wants file bytes, where they shrink; undefined: as they are. */
  readonly encoding: ContentEncoding | undefined;
  /** For whole files in one answer. */
  readonly smallFiles: Compressor;
  /** Bytes of file content being read and sent. */
  readonly answerBytes: Budget;
  /** Files of `file-digests` being read: of all such requests together as many as there would be of requests about one. */
  readonly digestedFiles: Budget;
  readonly blocks: BlockTracker;
  /** Uploads that this connection works with. */
  readonly ownUploads: Set<Upload>;
  /** What was published on this connection with durability `memory` and is not synced yet. */
  readonly unsynced: Unsynced;
  /** The same of all connections to this store. */
  readonly unsyncedByAll: UnsyncedByAll;
  /** What was made on this connection by a principal who may not delete, who may change the attributes of this only. */
  readonly made: MadeEntries;
  /** Takes note of the digest of a file that is told among those of others. */
  onDigestTold(path: string, digest: string): void;
  /** Takes note that digests were asked for of what the principal may not reach, such as `path`. */
  onDigestRefused(path: string): void;
  /** Ends the request `id` of this connection, if it is still worked on. */
  cancel(id: number): void;
}

/** One request being worked on. */
export interface Exchange<A extends Action> {
  readonly action: A;
  readonly fields: RequestFields<A>;
  readonly header: Header;
  /** Decoded, if it came compressed. */
  readonly content: Buffer;
  readonly state: SessionState;
  /** Fires when the client cancels the request or is gone. */
  readonly signal: AbortSignal;
  /** What a `progress` says of this request besides that it is worked on; a handler may put its own here. */
  progress: () => Readonly<Record<string, unknown>>;
  /** Sends a part of the answer; resolves when the kernel took it. */
  part(status: 'more' | 'block' | 'progress', answer: Answer): Promise<void>;
}

/** The fields and content of an answer or a part of one. */
export interface Answer {
  fields?: Readonly<Record<string, unknown>>;
  content?: Buffer;
  contentType?: string;
  contentEncoding?: string;
  /** Gives back what the content takes of a budget, and its memory: called once, when the answer is sent, or could not be. */
  release?: () => void;
}

/** Lets a connection work with an upload. Those that are over by now, which another connection may have ended, it forgets. */
export function workWith(state: SessionState, upload: Upload): void {
  upload.addUser(state);
  if (state.ownUploads.has(upload)) return;
  for (const own of state.ownUploads) if (own.isOver) endWorkWith(state, own);
  state.ownUploads.add(upload);
}

/** Forgets an upload that has ended. */
export function endWorkWith({ ownUploads, blocks }: SessionState, upload: Upload): void {
  ownUploads.delete(upload);
  blocks.forget(upload);
}

/** Takes note of what was made now, where nothing had stood. Whoever may delete needs no such note. */
export function noteMade({ made, grant }: SessionState, entry: Made): void {
  if (!grant.permissions.has('delete')) made.add(entry);
}

/** Works on a request and resolves with its final `ok`; what it throws becomes the `error`. */
export type Handler<A extends Action> = (exchange: Exchange<A>) => Promise<Answer>;

/** Tells clients now and then that long work goes on. A `progress` that cannot be sent at once is merged with the next. */
export class ProgressTeller {
  // One timer for all of them: most end long before it matters.
  readonly #deadlines: Deadlines;
  #lastName = 0;

  constructor(clock: Clock) {
    this.#deadlines = new Deadlines(clock);
  }

  /** Calls `tell` from time to time, until what it returns is called. */
  begin(tell: () => Promise<void>): () => void {
    const name = (this.#lastName += 1);
    let isSending = false;
    const onDue = () => {
      this.#deadlines.set(name, PROGRESS_INTERVAL_MS, onDue);
      if (isSending) return;
      isSending = true;
      // A connection that is gone ends the request by its signal.
      tell().then(
        () => (isSending = false),
        () => undefined,
      );
    };
    this.#deadlines.set(name, PROGRESS_INTERVAL_MS, onDue);
    return () => this.#deadlines.clear(name);
  }

  /** Lets no timer run on. May be called again. */
  stop(): void {
    this.#deadlines.clearAll();
  }
}
