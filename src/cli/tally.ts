import type { Connector } from '../client/connector.ts';
import type { RetryEvent } from '../client/retry.ts';
import type { Action, SkipReason } from '../client/tree/action.ts';
import type { FileOutcome } from '../client/tree/direction.ts';
import { systemClock } from '../clock.ts';
import { toSealiftError, type SealiftError } from '../errors.ts';
import { certificatePin } from '../trust/pins.ts';
import { printable } from './escape.ts';
import { combinedExitCode, EXIT, exitCodeOf } from './exit-codes.ts';
import { FailureLines } from './failure-lines.ts';
import type { RunContext } from './run-context.ts';
import { assertRate } from './transfer-requirements.ts';
import { formatDuration, formatSize } from '../units.ts';

/** The commands that move files. */
export type TransferCommand = 'put' | 'get' | 'sync' | 'check';

/** What a summary says where nothing was done: scripts find the same in each. What could not be observed is null. */
export const NOTHING_DONE = {
  files: 0,
  skipped: 0,
  unchanged: 0,
  links: 0,
  directories: 0,
  adjustedDirectories: 0,
  attributes: 0,
  moved: 0,
  deleted: 0,
  failed: 0,
  failedDirectories: 0,
  bytes: 0,
  movedBytes: 0,
  resumedBytes: 0,
  seconds: 0,
  retries: 0,
  tlsVersion: null,
  cipher: null,
  peerPin: null,
} as const;

/** What becomes of the exit code of the counts. `isHopeless`: the run ended before all was tried. */
export type Judge = (exitCode: number, isHopeless: boolean) => number;

/** Counts what a run does, tells of each file, and sums up in the end. */
export class Tally {
  /** Files that were sent or fetched. */
  files = 0;
  skipped = 0;
  unchanged = 0;
  links = 0;
  directories = 0;
  /** Those of them that stood before, and took over a time or permission bits. */
  adjustedDirectories = 0;
  /** Files of which only the time or the permission bits were set. */
  attributes = 0;
  moved = 0;
  deleted = 0;
  bytes = 0;
  movedBytes = 0;
  resumedBytes = 0;
  retries = 0;
  /** Those of the skipped of which the target has something. */
  #skippedAsThere = 0;
  readonly #failed: { path: string; error: SealiftError; exitCode: number }[] = [];
  readonly #failureLines: FailureLines;
  /** Those of the failed that could not be made, or not be synced: they are among no files. */
  #failedDirectories = 0;
  #lastRetry = { message: '', atMs: -Infinity };
  readonly #context: RunContext;
  readonly #command: TransferCommand;
  readonly #connector: Connector;
  /** Whether we lack the permission that every file needs; asked when the first one is forbidden. */
  #isUnwelcome = false;
  #asking: Promise<void> | undefined;
  /** Whether file bytes go to the server. */
  readonly #isSending: boolean;
  readonly #startMs = systemClock.monotonicMs();

  constructor(
    context: RunContext,
    command: TransferCommand,
    { connector, isSending }: { connector: Connector; isSending: boolean },
  ) {
    this.#context = context;
    this.#command = command;
    this.#connector = connector;
    this.#isSending = isSending;
    this.#failureLines = new FailureLines(context.terminal, command);
    context.terminal.summaryFacts = () => this.#facts();
  }

  /** What failed so far. */
  get failed(): number {
    return this.#failed.length;
  }

  /** Whether the next file would fail for the same reason: the server is out of reach or does not want us. */
  async isHopeless(): Promise<boolean> {
    await this.#asking;
    return this.#isHopeless;
  }

  get #isHopeless(): boolean {
    return this.#end !== undefined;
  }

  /** The failure that ended the run. Of what was under way then some may have failed later, for another reason. */
  get #end(): { exitCode: number } | undefined {
    return this.#failed.find(({ error }) => this.isHopelessError(error));
  }

  /** Whether all that follows would fail for the same reason as `error`. */
  isHopelessError(error: SealiftError): boolean {
    // One file may be forbidden, and the next not.
    if (error.code === 'forbidden') return this.#isUnwelcome;
    return HOPELESS.includes(exitCodeOf(error, this.#context.hasConnected));
  }

  /** A file that was sent or fetched. `name` as a person knows it. */
  add(
    name: string,
    { unsynced: _unsynced, movedBytes, ...outcome }: FileOutcome,
    seconds: number,
    { isTold = true, isShort = false }: { isTold?: boolean; isShort?: boolean } = {},
  ): void {
    const { terminal } = this.#context;
    this.files += 1;
    this.bytes += outcome.size;
    this.movedBytes += movedBytes;
    this.resumedBytes += outcome.resumedBytes;
    terminal.event('file', {
      ...outcome,
      seconds: rounded(seconds),
      [this.#isSending ? 'sentBytes' : 'receivedBytes']: movedBytes,
    });
    const line = isShort
      ? `${printable(name)} (${formatSize(outcome.size)})`
      : fileLine(name, { ...outcome, movedBytes }, seconds);
    if (isTold) terminal.note(line);
    terminal.detail(`  ${outcome.digest}`);
  }

  /** A file that was left out. */
  skip(name: string, reason: SkipReason): void {
    const { terminal } = this.#context;
    this.skipped += 1;
    if (IS_THERE.has(reason)) this.#skippedAsThere += 1;
    terminal.event('file', { path: name, skipped: true, reason: SKIPPED[reason] });
    terminal.note(`${printable(name)}: ${SKIPPED[reason]}, skipped`);
  }

  retry(name: string, { error, retry, delayMs }: RetryEvent): void {
    const { terminal } = this.#context;
    const { code, message } = error;
    this.retries += 1;
    terminal.event('retry', { path: name, code, message, retry, delayMs: Math.round(delayMs) });
    // Many files that wait for one connection have one thing to say.
    const nowMs = systemClock.monotonicMs();
    const isRepeated = message === this.#lastRetry.message && nowMs - this.#lastRetry.atMs < REPEATED_MS;
    if (isRepeated) return;
    this.#lastRetry = { message, atMs: nowMs };
    const again = `Trying again in ${formatDuration(delayMs)}.`;
    terminal.note(`sealift: ${this.#command}: ${printable(message)} ${again}`);
  }

  /** `kind`: of the step that failed, if it was one. */
  fail(error: SealiftError, path: string, kind?: Action['kind']): void {
    if (kind === 'directory') this.#failedDirectories += 1;
    this.#failed.push({ path, error, exitCode: exitCodeOf(error, this.#context.hasConnected) });
    // What ends the run, or is asked for wrongly, is no matter of one file; and what fails here names what it is about.
    const isOfFile = !/^(usage|local-)/.test(error.code) && !this.isHopelessError(error);
    this.#failureLines.tell(error, path, { isOfFile });
    if (error.code === 'forbidden') this.#asking ??= this.#askPermissions();
  }

  /** Tells of how many failures there was no line; to be called when nothing follows. */
  tellUntold(): void {
    this.#failureLines.tellRest();
  }

  /** Tells the sum; resolves with the exit code. `planned`: files that were to be sent, of which some may not have been tried. */
  summarize(planned: number, judge: Judge = (code) => code): number {
    const { terminal } = this.#context;
    const seconds = this.#seconds;
    const failed = this.#failed.map((each) => each.exitCode);
    const tried = this.files + this.skipped + failed.length - this.#failedDirectories;
    const end = this.#end?.exitCode;
    // What was not tried any more failed for what ended the run.
    const untried = end === undefined ? [] : new Array<number>(Math.max(0, planned - tried)).fill(end);
    const failures = [...failed, ...untried];
    const { files, unchanged, links, directories, attributes, moved, deleted } = this;
    // That a directory takes over a time is nothing by itself: it hangs on what is done in it.
    const made = directories - this.adjustedDirectories;
    const successes = files + this.#skippedAsThere + unchanged + links + made + attributes + moved + deleted;
    // Directories are made for the files in them: where all of those failed, nothing is done.
    const counted = planned > 0 ? successes - made : successes;
    // Whoever is not let in any more has to do something about that, whatever was done before: the rest is not.
    const combined = end === EXIT.refused ? EXIT.refused : combinedExitCode(failures, counted);
    const exitCode = this.#judgeRate(judge(combined, end !== undefined), seconds);
    terminal.event('summary', { ...this.#facts(), failed: failures.length, exitCode });
    if (planned > 1 || successes > files + this.#skippedAsThere || failures.length > 1)
      terminal.note(this.#summaryLine(planned, failures.length, seconds));
    this.#recallFailures();
    return exitCode;
  }

  get #seconds(): number {
    return (systemClock.monotonicMs() - this.#startMs) / 1_000;
  }

  /** What was done so far. */
  #facts(): Record<keyof typeof NOTHING_DONE, unknown> {
    const { files, skipped, unchanged, links, directories, adjustedDirectories, attributes } = this;
    const { moved, deleted, bytes, movedBytes, resumedBytes, retries } = this;
    const { peer } = this.#connector;
    return {
      ...{ files, skipped, unchanged, links, directories, adjustedDirectories, attributes, moved, deleted },
      failed: this.#failed.length,
      failedDirectories: this.#failedDirectories,
      ...this.#failures(),
      ...{ bytes, movedBytes, resumedBytes, seconds: rounded(this.#seconds), retries },
      tlsVersion: peer?.tlsVersion ?? null,
      cipher: peer?.cipher ?? null,
      peerPin: peer?.certificate === undefined ? null : certificatePin(peer.certificate),
    };
  }

  /** A run that is done is still not as required if it was too slow. Where nothing was moved there is no rate. */
  #judgeRate(exitCode: number, seconds: number): number {
    if (exitCode !== EXIT.done || this.movedBytes === 0) return exitCode;
    const { settings, terminal } = this.#context;
    try {
      assertRate(settings, this.movedBytes / seconds);
      return exitCode;
    } catch (error) {
      terminal.failure(this.#command, toSealiftError(error));
      return EXIT.requirement;
    }
  }

  async #askPermissions(): Promise<void> {
    const needed = this.#isSending ? 'write' : 'read';
    const client = await this.#connector.use(this.#context.signal).catch(() => undefined);
    this.#isUnwelcome = client?.hello.permissions.includes(needed) === false;
  }

  /** The names of what failed, which a long run has told long ago. */
  #failures(): { failures?: { path: string; code: string; message: string }[] } {
    if (this.#failed.length === 0) return {};
    const failures = this.#failed
      .slice(0, MAX_RECALLED)
      .map(({ path, error: { code, message } }) => ({ path, code, message }));
    return { failures };
  }

  #recallFailures(): void {
    const { terminal } = this.#context;
    const count = this.files + this.unchanged + this.#failed.length;
    if (this.#failed.length === 0 || count <= 1) return;
    for (const { path, error } of this.#failed.slice(0, MAX_SHOWN))
      terminal.note(`sealift: failed: ${printable(path)} (${error.code})`);
    const more = this.#failed.length - MAX_SHOWN;
    if (more > 0) terminal.note(`sealift: failed: ${more} more`);
  }

  #summaryLine(planned: number, failed: number, seconds: number): string {
    const isCheck = this.#command === 'check';
    const counts = {
      [isCheck ? 'the same' : 'unchanged']: this.unchanged,
      [this.links === 1 ? 'link' : 'links']: this.links,
      moved: this.moved,
      deleted: this.deleted,
      skipped: this.skipped,
      failed: failed - this.#failedDirectories,
      [this.#failedDirectories === 1 ? 'directory failed' : 'directories failed']: this.#failedDirectories,
    };
    const extras = Object.entries(counts)
      .filter(([, count]) => count > 0)
      .map(([name, count]) => `, ${count} ${name}`);
    const all = Math.max(planned, this.files);
    const nothing = isCheck ? 'compared' : `nothing ${this.#isSending ? 'sent' : 'fetched'}`;
    const what =
      all === 0
        ? nothing
        : `${this.files} of ${all} ${all === 1 ? 'file' : 'files'}, ${formatSize(this.bytes)}`;
    return `${what} in ${formatDuration(seconds * 1_000)}${extras.join('')}`;
  }
}

/** Why something was left out, as a person reads it. */
export const SKIPPED: Readonly<Record<SkipReason, string>> = {
  unchanged: 'unchanged',
  newer: 'newer at the target',
  exists: 'exists',
  link: 'a symbolic link, kept with --archive',
  special: 'no file, directory or link',
  reserved: 'a name that Sealift keeps for itself',
  changed: 'changed while it was read',
  vanished: 'gone when it was to be read',
};
const IS_THERE: ReadonlySet<SkipReason> = new Set(['unchanged', 'newer', 'exists']);

/** Within so many milliseconds the same is not said again to a person. */
const REPEATED_MS = 1_000;
/** Failures that the summary lists for programs, and for a person: the log has them all. */
const MAX_RECALLED = 1_000;
const MAX_SHOWN = 20;

const HOPELESS: readonly number[] = [
  EXIT.refused,
  EXIT.trust,
  EXIT.cannotConnect,
  EXIT.gaveUp,
  EXIT.requirement,
];

// To the millisecond: what is behind it is noise.
function rounded(seconds: number): number {
  return Math.round(seconds * 1_000) / 1_000;
}

function fileLine(
  name: string,
  {
    size,
    movedBytes,
    resumedBytes,
    retries,
  }: Pick<FileOutcome, 'size' | 'movedBytes' | 'resumedBytes' | 'retries'>,
  seconds: number,
): string {
  const rate = seconds > 0 ? movedBytes / seconds : 0;
  const extras = [
    resumedBytes > 0 ? `${formatSize(resumedBytes)} in place already` : '',
    retries > 0 ? `${retries} ${retries === 1 ? 'retry' : 'retries'}` : '',
  ].filter((text) => text !== '');
  const how = extras.length > 0 ? ` (${extras.join(', ')})` : '';
  return `${printable(name)}: ${formatSize(size)} in ${formatDuration(seconds * 1_000)}, ${formatSize(rate)}/s${how}`;
}
