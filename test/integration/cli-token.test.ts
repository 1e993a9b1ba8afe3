import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { inThisProcess } from '../cli/run-here.ts';
import { CliHome, SEALIFT } from '../support/cli.ts';
import { plantTree } from '../support/planted-tree.ts';
import { events, type RunningProcess } from '../support/running-process.ts';

const [operator, client] = [new CliHome(), new CliHome()];
/** For what needs no process. */
const [operatorHere, clientHere] = [inThisProcess(operator), inThisProcess(client)];
const USERS = 'work/sealift-data/.sealift/users.toml';
let server: RunningProcess;
let pin: string;
let url: string;

beforeAll(async () => {
  await operator.run(['cert', 'init']);
  await serve();
});
afterAll(() => Promise.all([operator.close(), client.close()]));

async function serve(): Promise<void> {
  const [ca, key] = ['ca.pem', 'ca.key'].map((name) => operator.at('config/sealift/certs', name));
  const certificates = ['--client-ca', String(ca), '--client-ca-key', String(key)];
  server = operator.start(['serve', '--json', '--host', '127.0.0.1', '--port', '0', ...certificates]);
  const listening = await server.event('listening');
  pin = String(listening['pin']);
  url = `sealift://127.0.0.1:${String(listening['port'])}/`;
  client.trust(`127.0.0.1:${String(listening['port'])}`, pin);
}

/** Runs a printed line on the client as a shell does, with the program under its name. */
function shell(line: string) {
  const script = `sealift() { "${SEALIFT[0]}" "${SEALIFT[1]}" "$@"; }\n${line}`;
  return client.startCommand(['bash', '-c', script]).ended;
}

function users(): string {
  return readFileSync(operator.at(USERS), 'utf8');
}

/** Adds a principal, and keeps its token where the client finds it. */
async function add(name: string, ...options: string[]): Promise<string[]> {
  const { code, stdout, stderr } = await operatorHere.run(['token', 'add', name, ...options]);
  expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.not.stringContaining(stdout.trim()) });
  expect(stdout).toMatch(/^sealift_\S{43}\n$/);
  return ['--token-file', client.write(`${name}.token`, stdout)];
}

/** Resolves when the server has read its files again. */
async function reloaded(change: () => Promise<unknown>): Promise<void> {
  const count = () => server.said.stderr.split('reloaded').length;
  const before = count();
  await change();
  // It would see the change by itself, but not before two looks at its files.
  server.child.kill('SIGHUP');
  await server.line(() => count() > before);
}

describe('a token', () => {
  test('is printed once, and lets in as far as it says', async () => {
    let token: string[] = [];
    const grant = ['--permissions', 'read,write,list', '--prefix', 'my photos', '--max-file-size', '1K'];
    await reloaded(async () => (token = await add('alice', ...grant)));
    expect(users()).not.toContain(client.read('alice.token').toString().trim());
    expect(statSync(operator.at(USERS)).mode & 0o777).toBe(0o600);
    const small = client.write('small', 'x');
    expect(await client.run(['put', ...token, small, `${url}my photos/a`])).toMatchObject({ code: 0 });
    expect((await client.run(['put', ...token, small, `${url}else/a`])).code).toBe(5);
    expect((await client.run(['rm', ...token, `${url}my photos/a`])).code).toBe(5);
    const large = client.write('large', 'x'.repeat(1_025));
    const refused = await client.run(['put', ...token, large, `${url}my photos/b`]);
    expect(refused).toMatchObject({
      code: 11,
      stderr: expect.stringContaining(`too-large: ${large}: A file`),
    });
  });

  test('of a name that there is needs --another, and then both are good', async () => {
    const taken = await operatorHere.run(['token', 'add', 'alice']);
    expect(taken).toMatchObject({ code: 10, stdout: '' });
    expect(taken.stderr).toContain('sealift token add alice --another');
    const old = ['--token-file', client.at('alice.token')];
    let next: string[] = [];
    await reloaded(async () => {
      const { events } = await operatorHere.runJson(['token', 'add', 'alice', '--another']);
      expect(events).toEqual([{ type: 'token', name: 'alice', token: expect.stringMatching(/^sealift_/) }]);
      next = ['--token-file', client.write('next.token', String(events[0]?.['token']))];
    });
    const ls = (token: string[]) => clientHere.run(['ls', ...token, `${url}my photos`]);
    expect([(await ls(old)).code, (await ls(next)).code]).toEqual([0, 0]);
    await reloaded(() => operatorHere.run(['token', 'revoke', 'alice', '--except-newest']));
    expect([(await ls(old)).code, (await ls(next)).code]).toEqual([5, 0]);
  });

  test('is listed with what it may do, and without itself', async () => {
    const { stdout } = await operatorHere.run(['token', 'list']);
    // The first start of the server has let somebody wait, too.
    const [head, waiting, alice] = stdout.split('\n');
    expect(head).toBe('NAME      PERMISSIONS             PATHS      EXPIRES  LOGS IN WITH');
    expect(waiting).toMatch(/^client-1 {2}read,write,list,delete {2}all {8}never {4}join code until \S+Z$/);
    expect(alice).toBe('alice     read,write,list         my photos  never    token');
    const { events } = await operatorHere.runJson(['token', 'list']);
    expect(events).toMatchObject([
      { name: 'client-1', tokens: 0, joinExpires: expect.stringMatching(/Z$/) },
      { type: 'principal', name: 'alice', prefixes: ['my photos'], maxFileBytes: 1_024, tokens: 1 },
    ]);
    expect(JSON.stringify(events)).not.toContain('sha256:');
  });

  test('that is revoked cuts the transfer under way, and lets nobody in', async () => {
    let token: string[] = [];
    await reloaded(async () => (token = await add('bob', '--expires', '90d')));
    const large = client.write('slow', Buffer.alloc(32 << 20));
    const slow = ['put', '--json', '--retry', '1', '--retry-delay', '1ms', '--bwlimit', '1M', ...token];
    const put = client.start([...slow, large, `${url}slow`]);
    await put.event('progress');
    await reloaded(() => operatorHere.run(['token', 'revoke', 'bob']));
    expect(await put.ended).toMatchObject({ code: 5, stdout: expect.stringContaining('unauthenticated') });
    expect((await clientHere.run(['ls', ...token, url])).code).toBe(5);
    expect(users()).not.toContain('bob');
  });
});

describe('a token that is revoked in the middle of a tree', () => {
  test('is the reason also of what was sent and not synced, and of the end: 5', async () => {
    let token: string[] = [];
    await reloaded(async () => (token = await add('dora')));
    const tree = await plantTree(client.at('tree'), { a: 'x' });
    const sync = ['sync', '--json', '--retry', '1', '--retry-delay', '1ms', ...token];
    expect((await clientHere.run([...sync, `${tree}/`, `${url}tree`])).code).toBe(0);
    const more = Array.from({ length: 300 }, (_, index) => [`f${index}`, 'x'.repeat(65_536)]);
    await plantTree(tree, Object.fromEntries(more) as Record<string, string>);
    const run = client.start([...sync, '--bwlimit', '1M', `${tree}/`, `${url}tree`]);
    await run.event('progress');
    await reloaded(() => operatorHere.run(['token', 'revoke', 'dora']));
    const { code, stdout } = await run.ended;
    const errors = events(stdout).filter(({ type }) => type === 'error');
    expect(new Set(errors.map((error) => error['code']))).toEqual(new Set(['unauthenticated']));
    // What was unchanged is done, and the rest is not.
    expect([code, events(stdout).at(-1)]).toMatchObject([5, { unchanged: 1, exitCode: 5 }]);
  });
});

describe('a join line', () => {
  // What was refused above would make whoever comes now wait.
  beforeAll(async () => {
    await server.kill('SIGTERM');
    await serve();
  });

  test('is one line, works at once, and once', async () => {
    const { code, stdout, stderr } = await operator.run(['token', 'add', 'carol', '--join', '--prefix', 'c']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^sealift remote add NAME 'sealift:\/\/127\.0\.0\.1:\d+\?pin=\S+&join=\S{26}'\n$/);
    expect(stderr).toContain('within 15m; it works once');
    expect((await operator.run(['token', 'list'])).stdout).toMatch(/^carol .* join code until \S+Z$/m);
    expect(await shell(stdout.replace('NAME', 'c'))).toMatchObject({ code: 0, stdout: '' });
    expect(await client.run(['mkdir', 'c:c/made'])).toMatchObject({ code: 0 });
    expect(await shell(stdout.replace('NAME', 'again'))).toMatchObject({ code: 5 });
    expect((await operator.run(['token', 'list'])).stdout).toMatch(/^carol .* token$/m);
  });

  test('for a name that is taken is had by the command that is advised', async () => {
    await operator.run(['token', 'add', 'fred', '--join']);
    const { code, events } = await operator.runJson(['token', 'add', 'fred', '--join']);
    const [, advice = ''] = /: sealift (.*)$/.exec(String(events.at(-1)?.['hint'])) ?? [];
    expect(code).toBe(10);
    const { code: again, stdout } = await operator.run(advice.split(' '));
    expect({ again, stdout }).toMatchObject({ again: 0, stdout: expect.stringContaining('&join=') });
    await operator.run(['token', 'revoke', 'fred']);
  });

  test('of a code that has expired is refused, and the next change forgets it', async () => {
    const { stdout } = await operator.run(['token', 'add', 'dave', '--join', '--join-expires', '0']);
    expect(await shell(stdout.replace('NAME', 'd'))).toMatchObject({
      code: 5,
      stderr: expect.stringContaining('has expired'),
    });
    expect(await operator.run(['token', 'add', 'dave', '--join'])).toMatchObject({ code: 0 });
    await operator.run(['token', 'revoke', 'dave']);
  });

  test('with --certificate brings one, whose key stays with the client', async () => {
    const { stdout } = await operator.run(['token', 'add', 'erin', '--join', '--certificate']);
    expect(stdout).toMatch(/&certificate'\n$/);
    expect(await shell(stdout.replace('NAME', 'e'))).toMatchObject({ code: 0 });
    const [cert, key] = ['e.pem', 'e.key'].map((name) => client.at('config/sealift/remotes', name)) as [
      string,
      string,
    ];
    expect([statSync(cert).mode & 0o777, statSync(key).mode & 0o777]).toEqual([0o600, 0o600]);
    expect(await client.run(['ls', 'e:'])).toMatchObject({ code: 0 });
    expect(await client.run(['ls', '--cert', cert, '--key', key, url])).toMatchObject({ code: 0 });
    expect((await operator.run(['token', 'list'])).stdout).toMatch(/^erin .* token, issued certificate$/m);
    await client.run(['remote', 'rm', 'e']);
    expect(() => statSync(key)).toThrow();
  });

  test('brings a token that is kept also where its certificate cannot be, in the place of an earlier remote', async () => {
    const certificate = ['--join', '--certificate'];
    const first = await operator.run(['token', 'add', 'frank', ...certificate]);
    expect(await shell(first.stdout.replace('NAME', 'f'))).toMatchObject({ code: 0 });
    const cert = client.at('config/sealift/remotes/f.pem');
    rmSync(cert);
    client.write('config/sealift/remotes/f.pem/in/the/way', '');
    const again = await operator.run(['token', 'add', 'frank', '--another', ...certificate]);
    const joined = await shell(again.stdout.replace('NAME', 'f'));
    expect(joined.code).toBe(1);
    expect(joined.stderr).toContain('f is saved with its token alone');
    await reloaded(() => operatorHere.run(['token', 'revoke', 'frank', '--except-newest']));
    expect(await client.run(['ls', 'f:'])).toMatchObject({ code: 0 });
  });

  test('needs to know where the server is and what it shows', async () => {
    const fresh = operator.at('fresh');
    writeFileSync(operator.write('fresh/file', ''), '');
    expect(await operator.run(['token', 'add', 'x', fresh, '--join'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--url HOST:PORT'),
    });
    const elsewhere = ['token', 'add', 'x', fresh, '--join', '--url', 'box.example'];
    expect(await operator.run(elsewhere)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--cert FILE'),
    });
    const cert = operator.at('work/sealift-data/.sealift/identity/cert.pem');
    const { code, stdout } = await operator.run([...elsewhere, '--cert', cert]);
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`'sealift://box.example:7433?pin=${pin}&join=`),
    });
  });
});

describe('usage', () => {
  test.each([
    ['a permission that is none', ['--permissions', 'read,wipe']],
    ['an end that is over', ['--expires', '2020-01-01']],
    ['a path that leaves', ['--prefix', 'a/../..']],
    ['a network that is none', ['--address', '10.0.0.0/33']],
    ['a size that is none', ['--quota', 'much']],
    ['a pin that is none', ['--pin', 'sha256//x']],
    ['a certificate without joining', ['--certificate']],
    ['joining with a certificate', ['--join', '--pin', `sha256//${'A'.repeat(43)}=`]],
    ['other rights for one more token', ['--another', '--permissions', 'read']],
  ])('%s is refused', async (_, options) => {
    const before = users();
    expect(await operatorHere.run(['token', 'add', 'x', ...options])).toMatchObject({ code: 2, stdout: '' });
    expect(users()).toBe(before);
  });

  test('a directory that is not there is no new one', async () => {
    expect(await operatorHere.run(['token', 'add', 'x', operator.at('typo')])).toMatchObject({ code: 4 });
    expect(await operatorHere.run(['token', 'revoke', 'nobody'])).toMatchObject({ code: 4 });
  });

  test('a client certificate is let in by its pin or name, without a token', async () => {
    const file = operator.at('own.toml');
    const own = ['--pin', `sha256//${'A'.repeat(43)}=`, '--certificate-name', 'box.example'];
    own.push('--address', '10.0.0.0/8', '--address', '::1');
    const added = await operatorHere.run(['token', 'add', 'box', '--users', file, ...own]);
    expect(added).toMatchObject({ code: 0, stdout: '' });
    const { events } = await operatorHere.runJson(['token', 'list', '--users', file]);
    expect(events).toMatchObject([{ name: 'box', names: ['box.example'], addresses: ['10.0.0.0/8', '::1'] }]);
    expect((await operatorHere.run(['token', 'list', '--users', file])).stdout).toMatch(
      /pin, certificate box\.example$/m,
    );
  });
});
