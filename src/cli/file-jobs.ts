import type { Connector } from '../client/connector.ts';
import type { SkipReason } from '../client/tree/action.ts';
import type { FileOutcome, SendHooks } from '../client/tree/direction.ts';
import { systemClock } from '../clock.ts';
import { toSealiftError } from '../errors.ts';
import { noteDryRun } from './dry-run.ts';
import { printable } from './escape.ts';
import type { RunContext } from './run-context.ts';
import { SKIPPED, Tally, type Judge, type TransferCommand } from './tally.ts';
import { TransferDisplay } from './transfer-display.ts';
import { formatSize } from '../units.ts';

/** Something to be moved: a file, or a tree. */
export interface TransferJob {
  /** As it is shown. */
  name: string;
  /** Moves it, and tells of everything in `tally` and `display`. Throws what it failed for, if as a whole. */
  run(tally: Tally, display: TransferDisplay): Promise<void>;
  /** What is known before of what it moves; null for a tree, which tells while it is being looked at. */
  files: number | null;
  bytes: number | null;
}

/** With `--dry-run`: a file that would be moved now, and its size if that is known. */
export interface Planned {
  plannedBytes: number | null;
}

/** One file to be moved to `target`, which may get another name there; `move` resolves with what was done, or with why it was left out. */
export function fileJob(
  context: RunContext,
  { name, target, bytes }: { name: string; target: string; bytes: number | null },
  move: (hooks: SendHooks) => Promise<FileOutcome | SkipReason | Planned>,
): TransferJob {
  const isDry = context.settings['dryRun'] === true;
  const run: TransferJob['run'] = async (tally, display) => {
    const startMs = systemClock.monotonicMs();
    const shown = display.file(name, { bytes });
    try {
      const outcome = await move({
        onProgress: (progress) => shown.update(progress),
        onRetry: (event) => tally.retry(name, event),
      });
      if (typeof outcome === 'string' && isDry) tellSkipped(context, name, outcome, tally);
      else if (typeof outcome === 'string') tally.skip(name, outcome);
      else if ('plannedBytes' in outcome) tellPlanned(context, name, outcome, tally);
      else {
        shown.finish(outcome.size);
        const told = outcome.path === target ? name : `${name} as ${outcome.path}`;
        tally.add(told, outcome, (systemClock.monotonicMs() - startMs) / 1_000);
      }
    } finally {
      shown.finish(0);
    }
  };
  return { name, files: 1, bytes, run };
}

function tellPlanned(
  { terminal }: RunContext,
  name: string,
  { plannedBytes: size }: Planned,
  tally: Tally,
): void {
  tally.files += 1;
  tally.bytes += size ?? 0;
  terminal.event('plan', { path: name, action: 'send', what: 'file', size });
  if (terminal.options.json) return;
  terminal.data(`send ${printable(name)}${size === null ? '' : ` (${formatSize(size)})`}`);
}

function tellSkipped({ terminal }: RunContext, name: string, reason: SkipReason, tally: Tally): void {
  tally.skipped += 1;
  terminal.event('plan', { path: name, action: 'skip', what: 'file', reason });
  if (!terminal.options.json) terminal.data(`skip ${printable(name)} (${SKIPPED[reason]})`);
}

export interface JobsOptions {
  jobs: readonly TransferJob[];
  /** Whether file bytes go to the server. */
  isSending: boolean;
  judge?: Judge;
}

/** Runs jobs one after the other, shows them, and sums up; resolves with the exit code. */
export async function runJobs(
  context: RunContext,
  command: TransferCommand,
  connector: Connector,
  { jobs, isSending, judge }: JobsOptions,
): Promise<number> {
  const { terminal } = context;
  const display = await TransferDisplay.on(terminal);
  const tally = new Tally(context, command, { connector, isSending });
  for (const { files, bytes } of jobs) if (files !== null) display.count(files, bytes);
  const isKnown = jobs.every(({ files }) => files !== null);
  terminal.event('start', {
    command,
    files: isKnown ? display.files : null,
    bytes: isKnown ? display.bytes : null,
  });
  try {
    for (const job of jobs) {
      try {
        await job.run(tally, display);
      } catch (error) {
        if (context.signal.aborted) throw error;
        tally.fail(toSealiftError(error), job.name);
      }
      if ((await tally.isHopeless()) || context.signal.aborted) break;
    }
  } finally {
    display.stop();
    tally.tellUntold();
  }
  context.signal.throwIfAborted();
  const exitCode = tally.summarize(display.files, judge);
  noteDryRun(context);
  return exitCode;
}
