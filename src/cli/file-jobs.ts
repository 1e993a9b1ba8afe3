import type { Connector } from '../client/connector.ts';
import type { RetryEvent } from '../client/retry.ts';
import type { TransferProgress } from '../client/transfer-progress.ts';
import { systemClock } from '../clock.ts';
import { toSealiftError, type SealiftError } from '../errors.ts';
import { certificatePin } from '../trust/pins.ts';
import { printable } from './escape.ts';
import { combinedExitCode, EXIT, exitCodeOf } from './exit-codes.ts';
import { ProgressBars } from './progress-bars.ts';
import type { RunContext } from './run-context.ts';
import { formatDuration, formatSize } from './units.ts';

/** What happened to one file. `null`: it was left out, as `--if-exists skip` says. */
export interface FileOutcome {
  path: string;
  size: number;
  digest: string;
  durability?: string;
  /** File bytes given to or taken from the socket, over all attempts of this run. */
  movedBytes: number;
  /** File bytes found in place. */
  resumedBytes: number;
  retries: number;
}

/** One file to be moved. */
export interface FileJob {
  /** As it is shown. */
  name: string;
  /** Bytes, where they are known before. */
  size: number | null;
  run(hooks: {
    onProgress: (progress: TransferProgress) => void;
    onRetry: (event: RetryEvent) => void;
  }): Promise<FileOutcome | null>;
}

/** How far apart `progress` events are for programs, in milliseconds. */
const PROGRESS_EVENT_MS = 1_000;

/** Runs jobs one after the other, shows them, and sums up; resolves with the exit code. */
export async function runFileJobs(
  context: RunContext,
  command: 'put' | 'get',
  connector: Connector,
  jobs: readonly FileJob[],
): Promise<number> {
  const { terminal } = context;
  const startMs = systemClock.monotonicMs();
  const sizes = jobs.map(({ size }) => size);
  const totalBytes = sizes.some((size) => size === null)
    ? null
    : sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
  terminal.event('start', { command, files: jobs.length, bytes: totalBytes });
  const bars = terminal.showsBars ? new ProgressBars(jobs.length, totalBytes) : undefined;
  terminal.bars = bars;
  const tally = new Tally(context, command);
  try {
    for (const job of jobs) {
      await runOne(context, command, job, bars, tally);
      if (tally.isHopeless || context.signal.aborted) break;
    }
  } finally {
    bars?.stop();
    terminal.bars = undefined;
  }
  context.signal.throwIfAborted();
  return summarize(context, connector, tally, {
    files: jobs.length,
    seconds: (systemClock.monotonicMs() - startMs) / 1_000,
  });
}

async function runOne(
  context: RunContext,
  command: 'put' | 'get',
  job: FileJob,
  bars: ProgressBars | undefined,
  tally: Tally,
): Promise<void> {
  const { terminal } = context;
  const startMs = systemClock.monotonicMs();
  let nextEventMs = startMs + PROGRESS_EVENT_MS;
  bars?.start(job.name);
  try {
    const outcome = await job.run({
      onProgress: (progress) => {
        bars?.update(progress);
        if (systemClock.monotonicMs() < nextEventMs) return;
        nextEventMs = systemClock.monotonicMs() + PROGRESS_EVENT_MS;
        terminal.event('progress', { path: job.name, ...progress });
      },
      onRetry: ({ error, retry, delayMs }) => {
        terminal.event('retry', {
          path: job.name,
          code: error.code,
          message: error.message,
          retry,
          delayMs: Math.round(delayMs),
        });
        terminal.note(
          `sealift: ${command}: ${printable(error.message)} Trying again in ${formatDuration(delayMs)}.`,
        );
      },
    });
    tally.add(job, outcome, (systemClock.monotonicMs() - startMs) / 1_000);
    bars?.finish(outcome?.size ?? 0);
  } catch (error) {
    bars?.finish(0);
    if (context.signal.aborted) throw error;
    tally.fail(toSealiftError(error), job.name);
  }
}

/** Counts what was done, and tells of each file. */
class Tally {
  files = 0;
  skipped = 0;
  bytes = 0;
  movedBytes = 0;
  resumedBytes = 0;
  retries = 0;
  readonly failures: number[] = [];
  readonly #context: RunContext;
  readonly #command: 'put' | 'get';

  constructor(context: RunContext, command: 'put' | 'get') {
    this.#context = context;
    this.#command = command;
  }

  /** Whether the next file would fail for the same reason: the server is out of reach or does not want us. */
  get isHopeless(): boolean {
    const code = this.failures.at(-1);
    return (
      code === EXIT.refused || code === EXIT.trust || code === EXIT.cannotConnect || code === EXIT.gaveUp
    );
  }

  add(job: FileJob, outcome: FileOutcome | null, seconds: number): void {
    const { terminal } = this.#context;
    if (outcome === null) {
      this.skipped += 1;
      terminal.event('file', { path: job.name, skipped: true });
      terminal.note(`${printable(job.name)}: exists, skipped`);
      return;
    }
    const { movedBytes, ...rest } = outcome;
    this.files += 1;
    this.bytes += outcome.size;
    this.movedBytes += movedBytes;
    this.resumedBytes += outcome.resumedBytes;
    this.retries += outcome.retries;
    terminal.event('file', {
      ...rest,
      seconds: rounded(seconds),
      [this.#command === 'put' ? 'sentBytes' : 'receivedBytes']: movedBytes,
    });
    terminal.note(fileLine(job, outcome, seconds));
    terminal.detail(`  ${outcome.digest}`);
  }

  fail(error: SealiftError, path: string): void {
    this.failures.push(exitCodeOf(error, this.#context.hasConnected));
    this.#context.terminal.failure(this.#command, error, path);
  }
}

// To the millisecond: what is behind it is noise.
function rounded(seconds: number): number {
  return Math.round(seconds * 1_000) / 1_000;
}

function fileLine(
  job: FileJob,
  { size, movedBytes, resumedBytes, retries }: FileOutcome,
  seconds: number,
): string {
  const rate = seconds > 0 ? movedBytes / seconds : 0;
  const extras = [
    resumedBytes > 0 ? `${formatSize(resumedBytes)} in place already` : '',
    retries > 0 ? `${retries} ${retries === 1 ? 'retry' : 'retries'}` : '',
  ].filter((text) => text !== '');
  const how = extras.length > 0 ? ` (${extras.join(', ')})` : '';
  return `${printable(job.name)}: ${formatSize(size)} in ${formatDuration(seconds * 1_000)}, ${formatSize(rate)}/s${how}`;
}

function summarize(
  context: RunContext,
  { peer }: Connector,
  tally: Tally,
  { files, seconds }: { files: number; seconds: number },
): number {
  const { terminal } = context;
  const untried = files - tally.files - tally.skipped - tally.failures.length;
  const last = tally.failures.at(-1);
  const failures = last === undefined ? [] : [...tally.failures, ...new Array<number>(untried).fill(last)];
  const exitCode = combinedExitCode(failures, tally.files + tally.skipped);
  terminal.event('summary', {
    files: tally.files,
    skipped: tally.skipped,
    failed: failures.length,
    bytes: tally.bytes,
    movedBytes: tally.movedBytes,
    resumedBytes: tally.resumedBytes,
    seconds: rounded(seconds),
    retries: tally.retries,
    tlsVersion: peer?.tlsVersion,
    cipher: peer?.cipher,
    peerPin: peer?.certificate === undefined ? undefined : certificatePin(peer.certificate),
    exitCode,
  });
  if (files > 1) {
    const failed = failures.length > 0 ? `, ${failures.length} failed` : '';
    terminal.note(
      `${tally.files} of ${files} files, ${formatSize(tally.bytes)} in ${formatDuration(seconds * 1_000)}${failed}`,
    );
  }
  return exitCode;
}
