import { existsSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { hashToken } from '../../src/trust/tokens.ts';
import { inThisProcess } from '../cli/run-here.ts';
import { CliHome, type ServeProcess } from '../support/cli.ts';

const MEBIBYTE = 1_048_576;
const home = new CliHome();
/** For what needs no process. */
const here = inThisProcess(home);
let server: ServeProcess;
let auditLog: string;

/** Starts a server whose audit log is `audit.log`, with a quota of 3 MiB for whoever has the token. */
async function serve(root: string, args: readonly string[] = []): Promise<ServeProcess> {
  const users = home.write(
    'users.toml',
    `[principals.backup]\npermissions = ["read", "write", "list", "delete"]\n` +
      `tokens = ["${hashToken('secret token')}"]\nquota = "3M"\nmax-file-size = "2.5M"\n`,
  );
  return home.serve(['--users', users, '--audit-log', auditLog, ...args], home.at(root));
}

beforeAll(async () => {
  auditLog = home.at('audit.log');
  home.write('token', 'secret token');
  home.env['SEALIFT_TOKEN_FILE'] = home.at('token');
  for (const [name, size] of [
    ['two', 2 * MEBIBYTE],
    ['small', 10],
    ['huge', 3 * MEBIBYTE],
  ] as const)
    home.write(`work/${name}`, Buffer.alloc(size, name));
  server = await serve('root');
});
afterAll(() => home.close());

const audited = (file = auditLog) =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('a file within the quota is sent, and one beyond it is refused before its data, with exit code 11', async () => {
  expect(await home.run(['put', 'two', server.place('a')])).toMatchObject({ code: 0 });
  const { code, stderr } = await home.run(['put', 'two', server.place('b')]);
  expect(code).toBe(11);
  expect(stderr).toMatch(/^sealift: put: quota-exceeded: .*3\.0M/m);
  const { events } = await home.runJson(['put', 'two', server.place('b')]);
  expect(events.find(({ type }) => type === 'error')).toMatchObject({
    code: 'quota-exceeded',
    retryable: false,
  });
  expect(events.find(({ type }) => type === 'summary')).toMatchObject({ exitCode: 11 });
  expect(readdirSync(`${server.root}/.sealift/uploads`)).toEqual([]);
});

test('a file that is too large is refused, with exit code 11', async () => {
  const { code, stderr } = await here.run(['put', 'huge', server.place('b')]);
  expect(code).toBe(11);
  expect(stderr).toMatch(/^sealift: put: too-large: .*2\.5M/m);
});

test('standard input ends where the quota does, and nothing is published', async () => {
  const put = await home.run(['put', '-', server.place('stream')], {
    input: Buffer.alloc(2 * MEBIBYTE, 's'),
  });
  expect(put.code).toBe(11);
  expect(put.stderr).toMatch(/^sealift: put: quota-exceeded: /m);
  expect(existsSync(`${server.root}/stream`)).toBe(false);
  // A stream cannot be sent again from where it broke off: nothing of it takes room.
  expect(readdirSync(`${server.root}/.sealift/uploads`)).toEqual([]);
  expect((await home.run(['put', 'small', server.place('d')])).code).toBe(0);
  expect((await home.run(['rm', server.place('d')])).code).toBe(0);
  expect((await home.run(['get', server.place('a'), 'back'])).code).toBe(0);
  expect((await home.run(['rm', server.place('a')])).code).toBe(0);
  expect((await home.run(['put', 'small', server.place('c')])).code).toBe(0);
});

test('all of it stands in the audit log, for its owner alone', () => {
  expect(statSync(auditLog).mode & 0o777).toBe(0o600);
  const lines = audited();
  expect(lines.map(({ event }) => event)).toEqual(
    expect.arrayContaining(['login', 'transfer', 'change', 'refusal']),
  );
  expect(lines.find(({ action, path }) => action === 'commit' && path === 'a')).toMatchObject({
    event: 'transfer',
    principal: 'backup',
    address: '127.0.0.1',
    bytes: 2 * MEBIBYTE,
    digest: expect.stringMatching(/^(sha256|blake3)-1m:[0-9a-f]{64}$/) as string,
    result: 'ok',
  });
  expect(lines.filter(({ event }) => event === 'refusal').map(({ path, result }) => [path, result])).toEqual([
    ['b', 'quota-exceeded'],
    ['b', 'quota-exceeded'],
    ['b', 'too-large'],
    ['stream', 'quota-exceeded'],
  ]);
  expect(readFileSync(auditLog, 'utf8')).not.toContain('secret token');
});

test('renamed and told by SIGHUP, it loses no line', async () => {
  const rotated = `${auditLog}.1`;
  renameSync(auditLog, rotated);
  expect((await here.run(['put', 'small', server.place('before')])).code).toBe(0);
  server.process.child.kill('SIGHUP');
  await server.process.line((line) => line.includes('"reloaded"'));
  expect((await here.run(['put', 'small', server.place('after')])).code).toBe(0);
  expect(audited(rotated).at(-1)).toMatchObject({ action: 'put', path: 'before', result: 'ok' });
  expect(audited()[0]).toMatchObject({ event: 'reload', result: 'ok' });
  expect(audited().at(-1)).toMatchObject({ action: 'put', path: 'after', result: 'ok' });
});

test('what was done before a kill stands in it', async () => {
  expect((await here.run(['put', 'small', server.place('last')])).code).toBe(0);
  await server.process.kill('SIGKILL');
  expect(audited().at(-1)).toMatchObject({ path: 'last', result: 'ok' });
});

test('a log that cannot be written keeps a server from starting', async () => {
  const ended = await home.run([
    'serve',
    home.at('other'),
    '--port',
    '0',
    '--audit-log',
    home.at('no', 'audit.log'),
  ]);
  expect(ended.code).toBe(2);
  expect(ended.stderr).toMatch(/^sealift: serve: bad-configuration: The audit log .* \(ENOENT\)/m);
});

test('with --read-only everything can be read and nothing changed', async () => {
  server = await serve('root', ['--read-only']);
  expect(await here.run(['ls', server.place()])).toMatchObject({
    code: 0,
    stdout: 'after\nbefore\nc\nlast\n',
  });
  expect((await here.run(['get', server.place('c'), 'read back'])).code).toBe(0);
  for (const args of [
    ['put', 'small', server.place('new')],
    ['rm', server.place('c')],
    ['mkdir', server.place('new')],
    ['mv', server.place('c'), server.place('new')],
  ]) {
    const { code, events } = await here.runJson(args);
    expect([args[0], code]).toEqual([args[0], 5]);
    expect(events.find(({ type }) => type === 'error')).toMatchObject({ code: 'forbidden' });
  }
  expect((await here.run(['ls', server.place()])).stdout).toBe('after\nbefore\nc\nlast\n');
});
