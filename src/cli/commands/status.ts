import type { Command } from 'commander';

import { systemClock } from '../../clock.ts';
import { readConfiguration } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { JobRecords, type JobRecord, type RunRecord } from '../job-records.ts';
import { findJob } from '../jobs.ts';
import type { Runner } from '../runner.ts';
import { setting } from '../settings.ts';
import { formatDuration, formatSize, parseDuration } from '../../units.ts';

/** `sealift status NAME` */
export function addStatus(program: Command, run: Runner): void {
  const command = program
    .command('status')
    .description('tell how a job went last; exit code 15 unless it succeeded')
    .argument('<name>', 'a job that run runs')
    .addOption(setting('--max-age <duration>', 'it has to have ended within that time', parseDuration));
  run(command, async ({ settings, directories, terminal }, [operand]) => {
    const name = String(operand);
    findJob(await readConfiguration(settings['config'], directories), name);
    const records = new JobRecords(directories.state);
    const record = await records.find(name);
    const nowMs = systemClock.now();
    const judged = judge(record, nowMs, settings['maxAge'] as number | undefined);
    const verdict = judged.ok && !(await records.isWritable(name)) ? { ...judged, ...UNRECORDED } : judged;
    const exitCode = verdict.ok ? EXIT.done : EXIT.requirement;
    terminal.event('status', { job: name, ...verdict, ...record, exitCode });
    if (!terminal.options.json) for (const line of lines(name, verdict, record, nowMs)) terminal.data(line);
    return exitCode;
  });
}

interface Verdict {
  ok: boolean;
  state: 'never' | 'unfinished' | 'failed' | 'succeeded';
  /** Why it is not as it should be. */
  reason?: string;
}

const UNRECORDED = {
  ok: false,
  reason: 'The state directory cannot be written: there may have been later runs, which are not recorded.',
};

/** Whether the last run is as it should be. Times in milliseconds, `nowMs` since 1970. */
export function judge(record: JobRecord | undefined, nowMs: number, maxAgeMs: number | undefined): Verdict {
  if (record === undefined) return { ok: false, state: 'never', reason: 'It never ran.' };
  const { end, exitCode } = record.last;
  if (end === undefined)
    return { ok: false, state: 'unfinished', reason: 'The last run is still under way, or was killed.' };
  if (exitCode !== EXIT.done)
    return { ok: false, state: 'failed', reason: `The last run failed with exit code ${exitCode}.` };
  // An end that is still to come was told by a clock that was wrong, and nobody knows how old it is.
  if (maxAgeMs !== undefined && Math.abs(nowMs - Date.parse(end)) > maxAgeMs) {
    const reason = `The last run did not end within the last ${formatDuration(maxAgeMs)}.`;
    return { ok: false, state: 'succeeded', reason };
  }
  return { ok: true, state: 'succeeded' };
}

function lines(name: string, verdict: Verdict, record: JobRecord | undefined, nowMs: number): string[] {
  const { ok, state, reason } = verdict;
  return [
    `${name}: ${ok ? 'ok' : `not ok. ${reason ?? ''}`}`,
    ...(record === undefined ? [] : [`last run      ${runLine(record.last, nowMs)}`]),
    ...(record?.lastSuccess === undefined || state === 'succeeded'
      ? []
      : [`last success  ${runLine(record.lastSuccess, nowMs)}`]),
  ];
}

function runLine({ begin, end, exitCode, summary }: RunRecord, nowMs: number): string {
  const ago = formatDuration(Math.max(0, nowMs - Date.parse(end ?? begin)));
  if (end === undefined || exitCode === undefined) return `began ${ago} ago (${begin})`;
  const took = formatDuration(Math.max(0, Date.parse(end) - Date.parse(begin)));
  const { files, bytes } = summary ?? {};
  const moved =
    typeof files === 'number' && typeof bytes === 'number' ? `, ${files} files, ${formatSize(bytes)}` : '';
  return `ended ${ago} ago (${end}) with exit code ${exitCode} after ${took}${moved}`;
}
