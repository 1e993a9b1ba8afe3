import { SealiftError } from '../../errors.ts';
import type { DigestAlgorithm } from '../../transfer/digests.ts';
import type { Attributes, Entry, Publication, ReplaceOptions } from '../store.ts';

/** The largest file that is read so, in bytes: larger ones would keep those behind them waiting, and be copied twice. */
export const MAX_READ_BYTES = 65_536;
/** The largest that is published so, in bytes. */
export const MAX_PUT_BYTES = 262_144;

/** What the thread is asked: to publish a content, to give one that was staged its name, to read one, to tell its digest, or to change what stands under a name. */
export type SmallFileTask =
  | { kind: 'put'; systemPath: string; publication: Publication; from: number; to: number }
  | { kind: 'publish'; systemPath: string; publication: Publication }
  | { kind: 'read'; path: string }
  | { kind: 'digest'; path: string; algorithm: DigestAlgorithm }
  | NameChange;

/** What needs no content, and for which nothing is kept. */
export type NameChange =
  | { kind: 'mkdir'; path: string; attributes: Attributes }
  | { kind: 'set'; path: string; attributes: Attributes }
  | { kind: 'symlink'; path: string; target: string; options: ReplaceOptions }
  | { kind: 'remove'; path: string };

/** What it answers, in the order it was asked. */
export type SmallFileAnswer =
  | { entry?: Entry | undefined; from: number; to: number }
  | { digest: string }
  /** It is to be synced before it may take the place of what stands there. */
  | { staged: true }
  /** It is none of its business: too large, or the disk would have to be waited for. */
  | { passed: true }
  | { error: ToldError };

/** An error of ours, as it goes from one thread to another. */
export type ToldError = Pick<SealiftError, 'code' | 'message' | 'details'> & {
  /** What the system said, of what only the log tells. */
  cause?: string | undefined;
};

/** Begins a listing, whose first page follows. */
export interface ListRequest {
  list: number;
  path: string;
  recursive: boolean;
}

/** What the thread is sent: tasks, or a listing to be begun, gone on with, or given up. */
export type ThreadRequest = SmallFileBatch | ListRequest | { next: number } | { stop: number };

/** A part of a listing. */
export interface ListingPage {
  listing: number;
  entries: Entry[];
  /** Directories that hold what is not listed; see `ListOptions`. */
  unlisted: [directory: string, count: number][];
  isOver: boolean;
  error?: ToldError;
}

/** Many at once: the contents stand one behind the other in one piece of memory, which changes hands. */
export interface SmallFileBatch {
  /** JSON of `SmallFileTask[]` or `SmallFileAnswers`, which takes a third of the time that messages of objects take. */
  items: string;
  contents: ArrayBuffer;
}

/** What the thread answers to a batch. */
export interface SmallFileAnswers {
  answers: SmallFileAnswer[];
  /** The nodes of directories in which others were made on the way, so that whoever remembers what is on disk knows. */
  made: string[];
}

export function errorFrom({ code, message, details, cause }: ToldError): SealiftError {
  return new SealiftError(code, message, {
    details,
    ...(cause === undefined ? {} : { cause: new Error(cause) }),
  });
}
