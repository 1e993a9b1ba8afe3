import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { judge } from '../../src/cli/commands/status.ts';
import { JobRecords, type JobRecord } from '../../src/cli/job-records.ts';
import type { SealiftError } from '../../src/errors.ts';
import { failureOf } from '../client/setting.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { temporaryDirectory } from '../support/test-server.ts';

const HOUR_MS = 3_600_000;
let clock: FakeClock;
let records: JobRecords;
let directory: string;

beforeEach(async () => {
  directory = await temporaryDirectory();
  clock = new FakeClock(Date.UTC(2030, 0, 1));
  records = new JobRecords(directory, clock);
});

/** Of beginnings that have to be recorded. */
function unexpected(error: SealiftError): never {
  throw error;
}

/** A run of an hour. */
async function hour(exitCode: number, summary = {}): Promise<void> {
  const end = await records.begin('nightly', unexpected);
  clock.advance(HOUR_MS);
  await end(exitCode, summary);
}

test('a job that never ran has no record', async () => {
  expect(await records.find('nightly')).toBeUndefined();
});

test('a run is recorded when it begins, and when it ends', async () => {
  const end = await records.begin('nightly', unexpected);
  expect(await records.find('nightly')).toEqual({ last: { begin: '2030-01-01T00:00:00.000Z' } });
  clock.advance(1_000);
  await end(0, { files: 3 });
  const run = {
    begin: '2030-01-01T00:00:00.000Z',
    end: '2030-01-01T00:00:01.000Z',
    exitCode: 0,
    summary: { files: 3 },
  };
  expect(await records.find('nightly')).toEqual({ last: run, lastSuccess: run });
  expect(await records.find('weekly')).toBeUndefined();
});

test('the last success is kept beside what came after', async () => {
  await hour(0, { files: 1 });
  await hour(3, { files: 2 });
  await records.begin('nightly', unexpected);
  expect(await records.find('nightly')).toEqual({
    last: { begin: '2030-01-01T02:00:00.000Z' },
    lastSuccess: expect.objectContaining({ end: '2030-01-01T01:00:00.000Z', summary: { files: 1 } }),
  });
});

test('records are private, and nothing else is left', async () => {
  await hour(0);
  expect(readdirSync(join(directory, 'jobs'))).toEqual(['nightly.json']);
  expect(statSync(join(directory, 'jobs/nightly.json')).mode & 0o777).toBe(0o600);
});

test.each([
  ['no JSON', '{"last":'],
  ['nothing', ''],
  ['no text', Buffer.from([0xff, 0xfe, 0x80])],
  ['another JSON', '[]'],
  ['no time', '{"last":{"begin":"yesterday"}}'],
  ['an end without a code', '{"last":{"begin":"2030-01-01T00:00:00Z","end":"2030-01-01T00:00:00Z"}}'],
])('a record that is damaged (%s) is said to be, and written anew by the next run', async (_, content) => {
  await hour(0);
  writeFileSync(join(directory, 'jobs/nightly.json'), content);
  expect(await failureOf(records.find('nightly'))).toMatchObject({ code: 'bad-configuration' });
  await hour(3);
  expect(await records.find('nightly')).toMatchObject({ last: { exitCode: 3 } });
});

test('where nothing can be recorded at all that is told, and a run begins', async () => {
  writeFileSync(join(directory, 'jobs'), 'in the way');
  const told: string[] = [];
  const end = await records.begin('nightly', ({ code }) => told.push(code));
  expect(told).toEqual(['local-file']);
  expect(await failureOf(end(0, {}))).toMatchObject({ code: 'local-file' });
});

describe('the verdict', () => {
  const begin = '2030-01-01T00:00:00Z';
  const end = '2030-01-01T01:00:00Z';
  const atMs = (hours: number) => Date.UTC(2030, 0, 1, hours);
  const success: JobRecord = { last: { begin, end, exitCode: 0 } };

  test.each<[string, JobRecord | undefined, number, number | undefined, string | undefined]>([
    ['no run', undefined, 2, undefined, 'It never ran.'],
    ['a run without an end', { last: { begin }, lastSuccess: success.last }, 2, 30, 'still under way'],
    ['a failure', { last: { begin, end, exitCode: 3 }, lastSuccess: success.last }, 2, 30, 'exit code 3'],
    ['an interruption', { last: { begin, end, exitCode: 130 } }, 2, undefined, 'exit code 130'],
    ['a success long ago', success, 1_000, undefined, undefined],
    ['a success of the right age', success, 27, 26, undefined],
    ['a success that is too old', success, 28, 26, 'within the last 26h00m'],
    ['a success that is still to come', success, -26, 26, 'within the last 26h00m'],
  ])('on %s', (_, record, nowHours, maxAgeHours, reason) => {
    const maxAgeMs = maxAgeHours === undefined ? undefined : maxAgeHours * HOUR_MS;
    const verdict = judge(record, atMs(nowHours), maxAgeMs);
    expect(verdict.ok).toBe(reason === undefined);
    if (reason === undefined) expect(verdict).not.toHaveProperty('reason');
    else expect(verdict.reason).toContain(reason);
  });
});
