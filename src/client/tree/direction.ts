import type { SealiftError } from '../../errors.ts';
import type { RetryEvent } from '../retry.ts';
import type { TransferProgress } from '../transfer-progress.ts';
import type { SendAction } from './action.ts';
import { freeNames, type Sides } from './decide.ts';
import type { ScanOptions } from './local-scan.ts';
import type { NameFolding, TreeEntry } from './tree-entry.ts';
import type { Unsynced } from './unsynced-receipts.ts';

/** What was done with one file. */
export interface FileOutcome {
  /** Where it stands now: on the server, or on this machine. */
  path: string;
  size: number;
  digest: string;
  etag?: string;
  durability?: 'disk' | 'memory';
  /** File bytes given to or taken from the socket, over all attempts. */
  movedBytes: number;
  /** File bytes found in place. */
  resumedBytes: number;
  retries: number;
  /** What has to be synced before it is done for good; undefined if it is. */
  unsynced?: Unsynced | undefined;
}

export interface SendHooks {
  onProgress: (progress: TransferProgress) => void;
  onRetry: (event: RetryEvent) => void;
}

/** Attributes that something gets; what is not given stays. */
export interface Attributes {
  mtimeMs?: number;
  mode?: number;
}

/**
 * Moves trees one way, between this machine and a server: `PutTree` or `GetTree`. Paths are relative to the tops of
 * the two trees. Each call may be repeated, goes through broken connections by the retry policy, and may come at
 * once with others, but for those of one path and of what holds it.
 */
export interface TreeDirection extends Sides, AsyncDisposable {
  /** As a person names the tops. */
  readonly sourceName: string;
  readonly targetName: string;
  /** How many files may be sent at once, just now. */
  readonly filesAtOnce: number;
  /** From now on `signal` ends what is under way, as the signal that the direction was made with does. Returns what fires with either. */
  abortOn(signal: AbortSignal | undefined): AbortSignal;
  /** In batches, as they come. */
  scanSource(options: ScanOptions): AsyncIterable<readonly TreeEntry[]>;
  /**
   * By path, the top as `""`; empty if nothing stands there. `onProblem` is told of what is below the top and cannot be
   * looked at, where that is noticed; `onSpecial` of a socket, FIFO or device, where the target shows such.
   */
  scanTarget(
    onProblem: ScanOptions['onProblem'],
    onSpecial?: ScanOptions['onSpecial'],
  ): Promise<Map<string, TreeEntry>>;
  /** What names may differ in and are the same for the target all the same. */
  nameFolding(): Promise<NameFolding>;
  /** Why the target cannot hold that name; undefined if it can. */
  nameProblem(path: string): SealiftError | undefined;
  /** Before the first change: what has to be in place or to be held. */
  begin(): Promise<void>;
  /** Makes a directory that does not stand yet and its missing parents, writable for now. Resolves with what has to be synced. */
  makeDirectory(entry: TreeEntry): Promise<Unsynced | undefined>;
  send(action: SendAction, hooks: SendHooks): Promise<FileOutcome>;
  link(action: SendAction): Promise<Unsynced | undefined>;
  set(path: string, attributes: Attributes): Promise<void>;
  move(from: string, to: string): Promise<void>;
  /** Removes a file, a link or an empty directory; one that is gone already is no failure. With a backup directory a file or link goes there instead. */
  remove(entry: TreeEntry): Promise<void>;
  /** After the last change, when only attributes of directories remain to be set: brings what was moved to the disk, and gives up what is held and, if all `isComplete`, what earlier runs left. */
  end(options: { isComplete: boolean }): Promise<void>;
}

/** What both directions need to know. */
export interface DirectionOptions {
  /** Files that are sent, or compared by their digests, at once. Default: 60, and as many as it holds where the way to the server is a long one; about 2,000 are compared where the server is asked about many in one request. */
  transfers?: number | undefined;
  /** Keep permission bits. Default true. */
  archive?: boolean;
  /** Start a changed file from what stands at the target, and send only the blocks that differ: where it pays, always, never. Default `auto`. */
  delta?: 'auto' | 'on' | 'off';
  /** Fail instead of replacing what appeared meanwhile. Default false. */
  mustBeNew?: boolean;
  /** Where what would be replaced or removed is kept, on the side of the target. */
  backupDirectory?: string | undefined;
}

/**
 * Names for what is kept of `path` in a backup directory, to be tried one after the other: where an earlier backup has
 * a file under the name of a directory, or the reverse, both are to stay. But for the first each has to be free.
 */
export function* backupNames(path: string): Generator<string> {
  const [top = '', ...below] = path.split('/');
  for (const name of freeNames(top)) yield [name, ...below].join('/');
}

/** From which size on `auto` starts from what stands: below it, asking costs more than it saves. */
const MIN_DELTA_BYTES = 4 * 2 ** 20;

/** Whether to start from what stands at the target. */
export function usesDelta(
  { delta = 'auto' }: DirectionOptions,
  { entry, existing, again = false }: SendAction,
): boolean {
  if (again) return true;
  if (existing?.type !== 'file' || delta === 'off') return false;
  return delta === 'on' || Math.min(entry.size, existing.size) >= MIN_DELTA_BYTES;
}
