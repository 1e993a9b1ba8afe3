import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { NOTHING_DONE } from '../../src/cli/tally.ts';
import { SealiftError } from '../../src/errors.ts';
import { startHookService } from '../support/hook-service.ts';
import { events } from '../support/running-process.ts';
import { temporaryDirectory } from '../support/test-server.ts';
import { endless, ends, fails, runUnattended, type Work } from './unattended-setting.ts';

let directory: string;
let report: string;

beforeEach(async () => {
  directory = await temporaryDirectory();
  report = join(directory, 'report');
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
});
afterEach(() => vi.restoreAllMocks());

describe('the exit code', () => {
  const strict = { errorOnNoTransfer: true };
  test.each<[string, Record<string, unknown>, Work, number]>([
    ['of the work', {}, ends(0), 0],
    ['of work that failed in part', strict, ends(3, { files: 0 }), 3],
    ['of an error', {}, fails('certificate-untrusted'), 6],
    ['of an error of this side', {}, fails('local-file'), 1],
    ['of nothing, where that is no failure', {}, ends(0, { files: 0 }), 0],
    ['of nothing', strict, ends(0, { files: 0 }), 14],
    ['of nothing, said in full', strict, ends(0, { files: 0, deleted: 0, moved: 0 }), 14],
    ['of a file', strict, ends(0, { files: 1 }), 0],
    ['of a deletion only', strict, ends(0, { files: 0, deleted: 1 }), 0],
    ['of a move only', strict, ends(0, { files: 0, deleted: 0, moved: 1 }), 0],
    ['of a link only', strict, ends(0, { files: 0, links: 1 }), 0],
    ['of permission bits only', strict, ends(0, { files: 0, attributes: 1 }), 0],
    ['of a new directory only', strict, ends(0, { directories: 2, adjustedDirectories: 1 }), 0],
    ['of the time of a directory', strict, ends(0, { directories: 1, adjustedDirectories: 1 }), 14],
    ['of a dry run', { ...strict, dryRun: true }, ends(0, { files: 0 }), 0],
    ['of a log that cannot be opened', { logFile: '/nowhere/log' }, ends(0), 1],
    ['of a log that cannot be written', { logFile: '/dev/full' }, ends(0), 0],
    ['of a report that cannot be opened', { report: '/nowhere/report' }, ends(0), 1],
    ['of a report that cannot be written', { report: '/dev/full' }, ends(0), 1],
    ['of work that failed, and no report', { report: '/dev/full' }, ends(3), 3],
    ['of work within the time', { maxDuration: 60_000 }, ends(0), 0],
    ['of work that took too long', { maxDuration: 1 }, endless, 8],
    ['of no limit', { maxDuration: 0 }, ends(0), 0],
  ])('%s', async (_, settings, work, exitCode) => {
    const { code, told } = await runUnattended(settings, work);
    expect(code).toBe(exitCode);
    // Whatever happened, there is one summary, and it says the same.
    expect(told.filter(({ type }) => type === 'summary')).toMatchObject([{ exitCode }]);
  });

  test('nothing was done before a log or a report that cannot be opened', async () => {
    const work = vi.fn(ends(0));
    await runUnattended({ logFile: '/nowhere/log' }, work);
    const { told } = await runUnattended({ report: '/nowhere/report' }, work);
    expect(work).not.toHaveBeenCalled();
    expect(told).toMatchObject([{ type: 'error', code: 'local-file' }, { type: 'summary' }]);
  });
});

describe('work that takes too long', () => {
  test('ends with an error that says so', async () => {
    const { told } = await runUnattended({ maxDuration: 1 }, endless);
    expect(told[0]).toMatchObject({
      type: 'error',
      code: 'timeout',
      message: 'The run took longer than --max-duration (1ms).',
      retryable: false,
    });
  });

  test.each<[string, Work]>([
    ['fails with another error', async (context) => endless(context).catch(() => fails('stalled')(context))],
    ['ends in good order', async (context) => endless(context).catch(() => ends(3)(context))],
  ])('has failed for that also where it %s', async (_, work) => {
    const { code, told } = await runUnattended({ maxDuration: 1 }, work);
    expect(code).toBe(8);
    expect(told.filter(({ type }) => type === 'error')).toMatchObject([{ code: 'timeout' }]);
    expect(told.filter(({ type }) => type === 'summary')).toMatchObject([{ exitCode: 8 }]);
  });

  test('and is then done after all has not failed', async () => {
    const { code } = await runUnattended({ maxDuration: 1 }, async (context) =>
      endless(context).catch(() => ends(0)(context)),
    );
    expect(code).toBe(0);
  });
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
])('%s is told as an interruption, with everything around', async (signal, exitCode) => {
  const { origin, calls } = await startHookService();
  const stop = new AbortController();
  const work: Work = async (context) => {
    stop.abort(new SealiftError('aborted', 'stop', { details: { signal } }));
    return endless(context);
  };
  const settings = { report, maxDuration: 60_000, onFailure: `${origin}/` };
  expect((await runUnattended(settings, work, { signal: stop.signal })).code).toBe(exitCode);
  expect(events(readFileSync(report, 'utf8'))).toMatchObject([
    { type: 'error', code: 'aborted' },
    { type: 'summary', exitCode },
  ]);
  expect(calls).toMatchObject([{ body: { command: 'put', exitCode } }]);
});

describe('hooks', () => {
  /** The calls of a run with all hooks. */
  async function calls(settings: Record<string, unknown>, work: Work): Promise<unknown[]> {
    const service = await startHookService();
    const [onStart, onSuccess, onFailure] = ['start', 'ok', 'fail'].map(
      (name) => `${service.origin}/${name}`,
    );
    await runUnattended({ onStart, onSuccess, onFailure, ...settings }, work);
    return service.calls.map(({ path, body }) => ({ path, ...(body as object) }));
  }
  const started = { path: '/start', command: 'put' };

  test.each<[string, Record<string, unknown>, Work, unknown]>([
    ['a success', {}, ends(0, { files: 2, bytes: 7 }), { path: '/ok', exitCode: 0, files: 2, bytes: 7 }],
    ['a failure in part', {}, ends(3, { files: 1 }), { path: '/fail', exitCode: 3, files: 1 }],
    ['an error', {}, fails('forbidden'), { path: '/fail', exitCode: 5 }],
    [
      'nothing done',
      { errorOnNoTransfer: true },
      ends(0, { files: 0 }),
      { path: '/fail', exitCode: 14, files: 0 },
    ],
    ['a report that is lost', { report: '/dev/full' }, ends(0), { path: '/fail', exitCode: 1, files: 1 }],
    ['a report that is none', { report: '/nowhere/x' }, ends(0), { path: '/fail', exitCode: 1 }],
  ])('tell of %s', async (_, settings, work, end) => {
    const ended = { command: 'put', ...NOTHING_DONE, seconds: expect.any(Number), ...(end as object) };
    expect(await calls(settings, work)).toEqual([started, ended]);
  });

  test('are not waited for at the beginning when the run is interrupted', async () => {
    const stop = new AbortController();
    const reason = new SealiftError('aborted', 'stop', { details: { signal: 'SIGINT' } });
    const { origin } = await startHookService(() => {
      stop.abort(reason);
      return 'nothing';
    });
    const { code, told } = await runUnattended({ onStart: origin }, endless, { signal: stop.signal });
    expect(code).toBe(130);
    expect(told.map(({ type }) => type)).toEqual(['error', 'summary']);
  });

  test('that fail are a warning, which the log has, and change nothing', async () => {
    const { origin } = await startHookService(() => 400);
    const log = join(directory, 'log');
    const urls = { onStart: `${origin}/secret`, onSuccess: `${origin}/secret` };
    const { code, told } = await runUnattended({ ...urls, logFile: log }, ends(0));
    expect(code).toBe(0);
    const warnings = told.filter(({ type }) => type === 'warning');
    expect(warnings).toMatchObject([
      { message: expect.stringContaining(`--on-start: ${origin} answered 400.`) },
      { message: expect.stringContaining('--on-success: ') },
    ]);
    const logged = readFileSync(log, 'utf8');
    expect(events(logged).filter(({ type }) => type === 'warning')).toHaveLength(2);
    expect(logged).not.toContain('secret');
  });
});
