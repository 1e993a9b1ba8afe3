import { afterEach, describe, expect, test, vi } from 'vitest';
import { RunContext } from '../../src/cli/run-context.ts';
import { Tally, type TransferCommand } from '../../src/cli/tally.ts';
import { Terminal } from '../../src/cli/terminal.ts';
import { Connector } from '../../src/client/connector.ts';
import { SealiftError, type ErrorCode } from '../../src/errors.ts';
import type { Event } from '../support/running-process.ts';

const OUTCOME = {
  path: 'a',
  size: 2_048,
  digest: 'sha256-1m:00',
  movedBytes: 1_024,
  resumedBytes: 1_024,
  retries: 1,
};

/** A tally, the events that it tells, and the lines that a person reads. */
function setting(command: TransferCommand = 'put', { json = false } = {}) {
  const told: Event[] = [];
  let lines = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => (lines += String(text)) !== '');
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  const terminal = new Terminal({ json, quiet: false, verbose: false, progress: false, dataOnStdout: false });
  terminal.addListener((type, fields) => told.push({ type, ...fields }));
  const { signal } = new AbortController();
  const directories = { config: '/nowhere', state: '/nowhere' };
  const context = new RunContext({ settings: {}, terminal, directories, signal });
  const connector = new Connector({ address: { host: '127.0.0.1', port: 1 } });
  const tally = new Tally(context, command, { connector, isSending: command !== 'get' });
  return { tally, told, lines: () => lines };
}

const fail = (tally: Tally, codes: readonly ErrorCode[]) =>
  codes.forEach((code, index) => tally.fail(new SealiftError(code, 'No.'), `f${index}`));

afterEach(() => void vi.restoreAllMocks());

describe('the exit code', () => {
  test.each([
    ['nothing at all', {}, [], 0, 0],
    ['files', { files: 2 }, [], 2, 0],
    ['one failure of one', {}, ['local-not-found'], 1, 4],
    ['one failure among others', { files: 1 }, ['local-not-found'], 2, 3],
    ['one failure beside what is unchanged', { unchanged: 1 }, ['local-file'], 2, 3],
    ['one failure in a directory that was made', { directories: 1 }, ['local-no-space'], 1, 11],
    [
      'one failure among files in a directory that was made',
      { directories: 1, files: 1 },
      ['no-space'],
      2,
      3,
    ],
    ['one failure beside a directory, where no file was to be sent', { directories: 1 }, ['forbidden'], 0, 3],
    ['several for one reason', {}, ['exists', 'exists'], 2, 10],
    ['several for several reasons', {}, ['exists', 'local-file'], 2, 3],
    ['a server that is lost after the first', {}, ['connection-lost'], 5, 8],
    [
      'a login that ended what was under way, which failed later',
      { files: 1 },
      ['unauthenticated', 'local-file'],
      5,
      5,
    ],
    ['a changed source alone', {}, ['source-changed'], 1, 16],
  ] as const)('of %s', (_, counts, codes, planned, exitCode) => {
    const { tally, told } = setting();
    Object.assign(tally, counts);
    fail(tally, codes);
    expect(tally.summarize(planned)).toBe(exitCode);
    expect(told.at(-1)).toMatchObject({ type: 'summary', ...counts, exitCode });
  });

  test.each([
    ['link', 5],
    ['special', 5],
    ['exists', 3],
    ['newer', 3],
  ] as const)('of failures for one reason beside what was skipped as %s', (reason, exitCode) => {
    const { tally } = setting();
    tally.skip('a', reason);
    fail(tally, ['forbidden', 'forbidden']);
    expect(tally.summarize(3)).toBe(exitCode);
  });

  test('of one failure in a directory that stood, and took over a time', () => {
    const { tally } = setting();
    Object.assign(tally, { directories: 1, adjustedDirectories: 1 });
    fail(tally, ['local-no-space']);
    expect(tally.summarize(1)).toBe(11);
  });

  test('counts what was not tried any more as failed, and what a caller makes of it is told', () => {
    const { tally, told } = setting();
    fail(tally, ['connection-lost']);
    expect(tally.summarize(5, (code) => code + 1)).toBe(9);
    expect(told.at(-1)).toMatchObject({ failed: 5, exitCode: 9 });
  });

  test.each([
    ['connection-lost', true],
    ['local-file', false],
  ] as const)('is judged with whether the run was hopeless: %s, %s', (code, expected) => {
    const { tally } = setting();
    const judge = vi.fn((exitCode: number, _isHopeless: boolean) => exitCode);
    fail(tally, [code]);
    tally.summarize(1, judge);
    expect(judge).toHaveBeenCalledWith(expect.any(Number), expected);
  });
});

test.each([
  ['connection-refused', true],
  ['unauthenticated', true],
  ['pin-mismatch', true],
  ['stalled', true],
  ['forbidden', false],
  ['local-file', false],
  ['not-found', false],
  ['digest-mismatch', false],
] as const)('after %s the others are hopeless: %s', async (code, expected) => {
  const { tally } = setting();
  expect(await tally.isHopeless()).toBe(false);
  fail(tally, [code]);
  expect(await tally.isHopeless()).toBe(expected);
  expect(tally.isHopelessError(new SealiftError(code, 'No.'))).toBe(expected);
});

describe('the last line', () => {
  test.each([
    ['put', { files: 3 }, 3, '3 of 3 files, 0B in '],
    ['put', { files: 1 }, 3, '1 of 3 files, 0B in '],
    ['get', { unchanged: 4 }, 0, 'nothing fetched in '],
    ['sync', { unchanged: 4, links: 1, deleted: 2, skipped: 1, moved: 1 }, 0, 'nothing sent in '],
    ['check', { unchanged: 6 }, 0, 'compared in '],
  ] as const)('of %s with %j', (command, counts, planned, start) => {
    const { tally, lines } = setting(command);
    Object.assign(tally, counts);
    tally.summarize(planned);
    const { files: _files, ...others } = { files: 0, ...counts };
    const names: Record<string, string> = {
      unchanged: command === 'check' ? 'the same' : 'unchanged',
      links: 'link',
    };
    const parts = Object.entries(others).map(([name, count]) => `, ${count} ${names[name] ?? name}`);
    const [line = '', ...rest] = lines().split('\n');
    expect(rest).toEqual(['']);
    expect(line.startsWith(start)).toBe(true);
    for (const part of parts) expect(line).toContain(part);
  });

  test('is not needed for one file', () => {
    const { tally, lines } = setting();
    tally.add('a', OUTCOME, 2);
    tally.summarize(1);
    expect(lines()).toBe('a: 2.0K in 2.0s, 512B/s (1.0K in place already, 1 retry)\n');
  });
});

test('a file is told with its receipt, and its bytes by the way they went', () => {
  for (const [command, moved] of [
    ['put', 'sentBytes'],
    ['get', 'receivedBytes'],
  ] as const) {
    const { tally, told } = setting(command, { json: true });
    tally.add('a', { ...OUTCOME, durability: 'disk', etag: 'e' }, 0.123_456);
    expect(told).toEqual([
      {
        type: 'file',
        ...{ path: 'a', size: 2_048, digest: 'sha256-1m:00', durability: 'disk', etag: 'e' },
        ...{ seconds: 0.123, [moved]: 1_024, resumedBytes: 1_024, retries: 1 },
      },
    ]);
  }
});

test('retries are counted also for what failed in the end', () => {
  const { tally, told } = setting();
  tally.retry('a', { error: new SealiftError('connection-lost', 'Gone.'), retry: 1, delayMs: 1 });
  tally.retry('a', { error: new SealiftError('connection-lost', 'Gone.'), retry: 2, delayMs: 1 });
  fail(tally, ['retries-exhausted']);
  tally.summarize(1);
  expect(told.at(-1)).toMatchObject({ type: 'summary', retries: 2 });
});

test('failures are recalled in the end: to programs with all that fits, to a person a screenful', () => {
  const { tally, told, lines } = setting();
  fail(tally, new Array<ErrorCode>(1_001).fill('local-file'));
  tally.summarize(1_001);
  const { failures, failed } = told.at(-1) as unknown as { failures: unknown[]; failed: number };
  expect(failed).toBe(1_001);
  expect(failures).toHaveLength(1_000);
  expect(failures[999]).toEqual({ path: 'f999', code: 'local-file', message: 'No.' });
  const recalled = lines()
    .split('\n')
    .filter((line) => line.startsWith('sealift: failed: '));
  expect([recalled.length, recalled[0], recalled.at(-1)]).toEqual([
    ...[21, 'sealift: failed: f0 (local-file)', 'sealift: failed: 981 more'],
  ]);
});

test('failures that name their file each are told for the first twenty of one reason', () => {
  const { tally, lines } = setting();
  for (let index = 0; index < 30; index += 1)
    tally.fail(new SealiftError('is-directory', `"a/f${index}" is a directory.`), `a/f${index}`);
  for (let index = 0; index < 30; index += 1)
    tally.fail(new SealiftError('local-file', `/here/g${index} cannot be read.`), `a/g${index}`);
  tally.tellUntold();
  const told = lines().split('\n');
  for (const code of ['is-directory', 'local-file']) {
    const ofCode = told.filter((line) => line.includes(`: ${code}: `));
    expect(ofCode).toHaveLength(21);
    expect(ofCode.at(-1)).toContain('10 more (each with --verbose)');
  }
});
