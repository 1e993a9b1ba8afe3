import fs, {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

import { AuditFile } from '../../src/cli/audit-file.ts';
import { silentLogger, type Logger } from '../../src/logger.ts';
import type { AuditEntry } from '../../src/server/audit.ts';
import { failureOf } from '../support/failure.ts';
import { temporaryDirectory } from '../support/test-server.ts';

/** How often `file` is open in this process. */
function openings(file: string): number {
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  });
  return targets.filter((target) => target === file).length;
}

/** Lets the next call fail, which no file that a test can make does. */
function failOnce(name: 'closeSync' | 'readSync'): void {
  const real = { [name]: fs[name] };
  const put = (calls: object) => {
    Object.assign(fs, calls);
    syncBuiltinESMExports();
  };
  onTestFinished(() => put(real));
  put({
    [name]: () => {
      put(real);
      throw Object.assign(new Error('EIO'), { code: 'EIO' });
    },
  });
}

const entry = (path: string): AuditEntry => ({ time: 'now', event: 'change', path, result: 'ok' });
const line = (path: string) => `{"time":"now","event":"change","path":"${path}","result":"ok"}\n`;

async function start(path?: string) {
  const file = path ?? join(await temporaryDirectory(), 'audit.log');
  const told: [Record<string, unknown>, string][] = [];
  const tell = (...said: Parameters<Logger['warn']>) => void told.push(said);
  const audit = AuditFile.open(file, { ...silentLogger, warn: tell, error: tell });
  onTestFinished(() => audit.close());
  return { file, audit, told };
}

test('each entry is a line, appended and there at once, in a file for its owner alone', async () => {
  const { file, audit } = await start();
  audit.record(entry('a'));
  expect(readFileSync(file, 'utf8')).toBe(line('a'));
  const again = await start(file);
  again.audit.record(entry('b'));
  audit.record(entry('c'));
  expect(readFileSync(file, 'utf8')).toBe(line('a') + line('b') + line('c'));
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test('no name can forge a line, or what a terminal shows', async () => {
  const { file, audit } = await start();
  audit.record(entry('a"\n\u001b[31m\u009b\u202e'));
  const text = readFileSync(file, 'utf8');
  expect(text.trimEnd()).toMatch(/^[\x20-\x7e]+$/);
  expect(JSON.parse(text)).toMatchObject({ path: 'a"\n\u001b[31m\u009b\u202e' });
});

test('after a rename it goes on in the old file until it is reopened', async () => {
  const { file, audit } = await start();
  audit.record(entry('a'));
  renameSync(file, `${file}.1`);
  audit.record(entry('b'));
  audit.reopen();
  audit.record(entry('c'));
  expect(readFileSync(`${file}.1`, 'utf8')).toBe(line('a') + line('b'));
  expect(readFileSync(file, 'utf8')).toBe(line('c'));
});

test('one that cannot be reopened goes on where it was, and that is told', async () => {
  const { file, audit, told } = await start();
  renameSync(file, `${file}.1`);
  mkdirSync(file);
  audit.reopen();
  audit.record(entry('a'));
  expect(readFileSync(`${file}.1`, 'utf8')).toBe(line('a'));
  expect(told).toEqual([[{ file, reason: 'EISDIR' }, 'the audit log was not reopened']]);
});

test('a full disk is told once, ends nothing, and how many lines are missing is told when there is room', async () => {
  const directory = await temporaryDirectory();
  const file = join(directory, 'audit.log');
  // Every write to it fails with ENOSPC.
  symlinkSync('/dev/full', file);
  const { audit, told } = await start(file);
  for (const path of ['a', 'b', 'c']) audit.record(entry(path));
  expect(told).toEqual([
    [{ file, reason: 'ENOSPC' }, 'the audit log cannot be written; entries are missing'],
  ]);
  unlinkSync(file);
  audit.reopen();
  audit.record(entry('d'));
  expect(readFileSync(file, 'utf8')).toBe(line('d'));
  expect(told.slice(1)).toEqual([[{ file, missing: 3 }, 'the audit log is written again']]);
});

test('what is left of half a line stays a line of its own', async () => {
  const { file, audit } = await start();
  audit.record(entry('a'));
  appendFileSync(file, '{"time":');
  const again = await start(file);
  again.audit.record(entry('b'));
  again.audit.record(entry('c'));
  expect(readFileSync(file, 'utf8')).toBe(`${line('a')}{"time":\n${line('b')}${line('c')}`);
});

test('a file that cannot be had is refused at once', async () => {
  const directory = await temporaryDirectory();
  writeFileSync(join(directory, 'file'), '');
  const open = async () => AuditFile.open(join(directory, 'file', 'audit.log'), silentLogger);
  expect(await failureOf(open())).toMatchObject({ code: 'bad-configuration' });
});

test.skipIf(process.platform !== 'linux')('one whose end cannot be read is not kept open', async () => {
  const file = join(await temporaryDirectory(), 'audit.log');
  writeFileSync(file, line('a'));
  failOnce('readSync');
  expect(() => AuditFile.open(file, silentLogger)).toThrow('EIO');
  expect(openings(file)).toBe(0);
  const { audit, told } = await start(file);
  failOnce('readSync');
  audit.reopen();
  expect(openings(file)).toBe(1);
  expect(told).toEqual([[{ file, reason: 'EIO' }, 'the audit log was not reopened']]);
  audit.record(entry('b'));
  expect(readFileSync(file, 'utf8')).toBe(line('a') + line('b'));
});

test.skipIf(process.platform !== 'linux')(
  'it goes on in the new file although the old one cannot be closed',
  async () => {
    const { file, audit, told } = await start();
    renameSync(file, `${file}.1`);
    failOnce('closeSync');
    audit.reopen();
    audit.record(entry('a'));
    expect(readFileSync(file, 'utf8')).toBe(line('a'));
    expect(openings(file)).toBe(1);
    expect(told).toMatchObject([[{ file, reason: 'EIO' }, expect.stringContaining('could not be closed')]]);
  },
);
