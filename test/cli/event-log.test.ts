import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { logEvents, reportEvents, type EventFile } from '../../src/cli/event-log.ts';
import { Terminal } from '../../src/cli/terminal.ts';
import { SealiftError } from '../../src/errors.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { events } from '../support/running-process.ts';
import { temporaryDirectory } from '../support/test-server.ts';
import { thrownBy } from '../thrown.ts';

const SILENT = { json: false, quiet: true, verbose: false, progress: false, dataOnStdout: false };
let path: string;
let terminal: Terminal;

beforeEach(async () => {
  path = join(await temporaryDirectory(), 'file');
  terminal = new Terminal(SILENT);
});

/** One event of each kind. */
function sayAll(): void {
  terminal.event('start', { command: 'put' });
  terminal.event('progress', { doneBytes: 1 });
  terminal.event('retry', { code: 'stalled' });
  terminal.event('file', { path: 'a', digest: 'sha256:00', durability: 'disk' });
  terminal.event('error', { code: 'not-found', path: 'b' });
  terminal.event('summary', { files: 1, exitCode: 3 });
}

/** What goes to standard error while `action` runs. */
function warnings(action: () => void): string[] {
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    action();
    return write.mock.calls.map(([text]) => String(text));
  } finally {
    write.mockRestore();
  }
}

test('the log has every event but progress, with the time and the run first, behind what it had', () => {
  writeFileSync(path, '{"type":"before"}\n');
  const clock = new FakeClock(Date.UTC(2030, 0, 2, 3, 4, 5, 678));
  for (const byte of [1, 2]) {
    terminal = new Terminal(SILENT);
    const random = { bytes: (length: number) => Buffer.alloc(length, byte), fraction: () => 0 };
    const log = logEvents(terminal, path, { clock, random });
    sayAll();
    log.close();
    clock.advance(1_000);
  }
  const [before, ...lines] = events(readFileSync(path, 'utf8'));
  expect(before).toEqual({ type: 'before' });
  const types = ['start', 'retry', 'file', 'error', 'summary'];
  expect(lines.map(({ type }) => type)).toEqual([...types, ...types]);
  expect(JSON.stringify(lines[0])).toBe(
    '{"time":"2030-01-02T03:04:05.678Z","run":"01010101","type":"start","command":"put"}',
  );
  expect(lines[5]).toMatchObject({ time: '2030-01-02T03:04:06.678Z', run: '02020202' });
});

test('the report has files, errors and the summary, in the place of what was there, as they come', () => {
  writeFileSync(path, 'old\n');
  const report = reportEvents(terminal, path);
  expect(readFileSync(path, 'utf8')).toBe('');
  sayAll();
  const lines = readFileSync(path, 'utf8');
  expect(events(lines)).toEqual([
    { type: 'file', path: 'a', digest: 'sha256:00', durability: 'disk' },
    { type: 'error', code: 'not-found', path: 'b' },
    { type: 'summary', files: 1, exitCode: 3 },
  ]);
  report.close();
  report.close();
  sayAll();
  expect(readFileSync(path, 'utf8')).toBe(lines);
  expect(report.hasFailed).toBe(false);
});

test('of two runs that write one report at once every line stays whole', () => {
  const terminals = [new Terminal(SILENT), new Terminal(SILENT)];
  const reports: EventFile[] = [];
  for (const each of terminals) {
    reports.push(reportEvents(each, path));
    each.event('file', { path: 'a name of some length' });
    terminals[0]?.event('file', { path: 'a' });
  }
  for (const each of reports) each.close();
  expect(events(readFileSync(path, 'utf8'))).toMatchObject([
    { path: 'a name of some length' },
    { path: 'a' },
  ]);
});

describe('the report of a run that another one may keep out', () => {
  const locked = { type: 'error', code: 'locked', path: 'a' };
  let report: EventFile;
  beforeEach(() => {
    writeFileSync(path, 'of the other\n');
    report = reportEvents(terminal, path, { mayBeKeptOut: true });
  });

  test('is left to that', () => {
    terminal.event('start', { command: 'get' });
    terminal.event('error', locked);
    terminal.event('summary', { exitCode: 12 });
    report.close();
    expect(readFileSync(path, 'utf8')).toBe('of the other\n');
  });

  test('has all that failed where something else is done', () => {
    terminal.event('error', locked);
    sayAll();
    expect(events(readFileSync(path, 'utf8'))).toMatchObject([
      locked,
      { type: 'file' },
      { type: 'error', code: 'not-found' },
      { type: 'summary', exitCode: 3 },
    ]);
  });

  test('is begun with the first that is moved', () => {
    terminal.event('progress', { doneBytes: 1 });
    expect(readFileSync(path, 'utf8')).toBe('');
    terminal.event('error', locked);
    expect(events(readFileSync(path, 'utf8'))).toEqual([locked]);
  });
});

test('what an earlier run could not finish stays a line of its own', () => {
  writeFileSync(path, '{"type":"start"}\n{"type":"fi');
  for (const command of ['put', 'get']) {
    terminal = new Terminal(SILENT);
    const log = logEvents(terminal, path);
    terminal.event('start', { command });
    terminal.event('summary', { exitCode: 0 });
    log.close();
  }
  const lines = readFileSync(path, 'utf8').split('\n');
  expect(lines.splice(1, 1)).toEqual(['{"type":"fi']);
  expect(events(lines.join('\n')).slice(1)).toMatchObject([
    { type: 'start', command: 'put' },
    { type: 'summary' },
    { type: 'start', command: 'get' },
    { type: 'summary' },
  ]);
});

test('a warning is an event, and so is a failure, whatever is shown of them', () => {
  const log = logEvents(terminal, path);
  warnings(() => {
    terminal.warn('beware');
    terminal.failure('put', new SealiftError('not-found', 'gone', { hint: 'look' }), 'a');
  });
  log.close();
  expect(events(readFileSync(path, 'utf8'))).toMatchObject([
    { type: 'warning', message: 'beware' },
    { type: 'error', code: 'not-found', message: 'gone', hint: 'look', path: 'a', retryable: false },
  ]);
});

test('control characters of names are escaped, and what is read is the name', () => {
  const log = logEvents(terminal, path);
  const name = 'a\u001b[2J\u009b\u007f\u202e\n"\\';
  terminal.event('file', { path: name });
  log.close();
  const text = readFileSync(path, 'utf8');
  expect(text.slice(0, -1)).not.toMatch(/[\p{Cc}\u202e]/u);
  expect(events(text)).toMatchObject([{ path: name }]);
});

describe.each([
  ['the log', logEvents],
  ['the report', reportEvents],
])('%s', (_, open) => {
  test.each([
    ['a directory that is not there', '/nowhere/file', 'Cannot write /nowhere/file (ENOENT).'],
    ['a directory', '/tmp', 'Cannot write /tmp (EISDIR).'],
  ])('in the place of %s is refused', (__, at, message) => {
    expect(thrownBy(() => open(terminal, at))).toMatchObject({ code: 'local-file', message });
  });

  test('that cannot be written any more is told once', () => {
    const file = open(terminal, '/dev/full');
    const said = warnings(() => {
      sayAll();
      file.close();
    });
    expect(said).toEqual(['sealift: Cannot write /dev/full (ENOSPC).\n']);
    expect(file.hasFailed).toBe(true);
  });

  test('can be something that cannot be synced', () => {
    const file = open(terminal, '/dev/null');
    expect(warnings(() => file.close())).toEqual([]);
  });

  test('is open to others as the umask says', () => {
    open(terminal, path).close();
    expect(statSync(path).mode & 0o777).toBe(0o666 & ~process.umask());
  });
});
