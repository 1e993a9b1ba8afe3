import { readFileSync, statSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CliHome, SEALIFT } from '../support/cli.ts';
import type { RunningProcess } from '../support/running-process.ts';

// A server's home and two clients', all of them new; the tests are one story and run in its order.
const [operator, client, other] = [new CliHome(), new CliHome(), new CliHome()];
const homes = [operator, client, other];
let server: RunningProcess;
let listening: { port: number; pin: string };
let line: string;
let token: string;

async function serve(port: number): Promise<RunningProcess> {
  const started = operator.start(['serve', '--json', '--host', '127.0.0.1', '--port', `${port}`]);
  listening = (await started.event('listening')) as unknown as typeof listening;
  return started;
}

/** Runs a printed line as a shell does, with the program under its name. */
function shell(home: CliHome, command: string) {
  const script = `sealift() { "${SEALIFT[0]}" "${SEALIFT[1]}" "$@"; }\n${command}`;
  return home.startCommand(['bash', '-c', script]).ended;
}

beforeAll(async () => {
  server = await serve(0);
  line = (await server.event('join'))['command'] as string;
});
afterAll(() => Promise.all(homes.map((home) => home.close())));

test('a first start prints where it listens, its pin, and the line to run', () => {
  expect(listening).toMatchObject({ host: '127.0.0.1', pin: expect.stringMatching(/^sha256\/\/.{44}$/) });
  expect(line).toBe(
    `sealift remote add NAME 'sealift://127.0.0.1:${listening.port}?pin=${listening.pin}&join=${line.split('join=')[1]}`,
  );
});

test('whoever has not joined is refused, with exit code 5', async () => {
  const place = `sealift://127.0.0.1:${listening.port}/`;
  const { code, stderr } = await client.run(['ls', '--pin', listening.pin, place]);
  expect(code).toBe(5);
  expect(stderr).toContain('sealift: ls: unauthenticated: ');
});

test('the line, run on a client, is all that put needs', async () => {
  const added = await shell(client, line.replace('NAME', 'box'));
  expect(added).toMatchObject({ code: 0, stdout: '' });
  client.write('work/f', 'content');
  expect(await client.run(['put', 'f', 'box:dir/'])).toMatchObject({ code: 0 });
  expect(operator.read('work/sealift-data/dir/f').toString()).toBe('content');
});

test('what is kept can be read by its owner alone', () => {
  const paths = [
    client.at('config/sealift/remotes.toml'),
    ...['users.toml', 'identity/key.pem'].map((name) => operator.at('work/sealift-data/.sealift', name)),
  ];
  for (const path of paths) expect([path, statSync(path).mode & 0o777]).toEqual([path, 0o600]);
  const saved = readFileSync(client.at('config/sealift/remotes.toml'), 'utf8');
  token = /token = "(.*)"/.exec(saved)?.[1] ?? '';
  expect(token.length).toBeGreaterThan(30);
  // The server keeps a hash of it, and neither side has said it aloud.
  expect(readFileSync(operator.at('work/sealift-data/.sealift/users.toml'), 'utf8')).not.toContain(token);
  expect(JSON.stringify(server.said)).not.toContain(token);
});

test('the same code, used again, is refused', async () => {
  const { code, stderr } = await shell(other, line.replace('NAME', 'box'));
  expect(code).toBe(5);
  expect(stderr).toContain('sealift: remote add: unauthenticated: ');
  expect(stderr).toContain('sealift token add NAME DIR --join');
  expect((await other.run(['remote', 'list'])).stdout).toBe('');
});

test('a server that starts again has the same pin and users, and prints no line', async () => {
  const before = listening;
  expect(await server.kill('SIGTERM')).toMatchObject({ code: 0, signal: null });
  server = await serve(before.port);
  expect(listening).toEqual(before);
  expect(await client.run(['ls', 'box:'])).toMatchObject({ code: 0, stdout: 'dir/\n' });
  // Whatever it prints after listening has come by the time that it has ended.
  expect((await server.kill('SIGTERM')).stdout).not.toContain('"join"');
});

test('remotes are listed without their tokens, and forgotten', async () => {
  const listed = await client.run(['remote', 'list']);
  expect(listed.stdout).toBe(`box\t127.0.0.1:${listening.port}\ttoken\t${listening.pin}\n`);
  expect((await client.runJson(['remote', 'list'])).events).toMatchObject([
    { type: 'remote', name: 'box', login: 'token', pins: [listening.pin] },
  ]);
  expect(await client.run(['remote', 'rm', 'box'])).toMatchObject({ code: 0, stdout: '' });
  expect((await client.run(['remote', 'rm', 'box'])).code).toBe(4);
});

test('a URL that holds a token is read from standard input, and shown nowhere', async () => {
  server = await serve(listening.port);
  const { port, pin } = listening;
  const url = `sealift://127.0.0.1:${port}?pin=${pin}&token=${token}`;
  const added = await other.run(['remote', 'add', 'piped', '-'], { input: `${url}\n` });
  expect(added).toMatchObject({ code: 0, stdout: '' });
  expect(added.stderr).not.toContain(token);
  expect(await other.run(['ls', 'piped:'])).toMatchObject({ code: 0, stdout: 'dir/\n' });
  const wrong = await other.run(['remote', 'add', 'wrong', '-'], {
    input: url.replace('&token=', '&token=x'),
  });
  expect(wrong.code).toBe(5);
  expect((await other.run(['remote', 'list'])).stdout).not.toContain('wrong');
});

test('for people the pin and the line stand in plain text', async () => {
  const home = new CliHome();
  homes.push(home);
  const started = home.start(['serve', home.at('fresh'), '--host', '127.0.0.1', '--port', '0']);
  const told = await started.line((text) => text.includes('sealift remote add'));
  expect(told).toMatch(
    /^ {2}sealift remote add NAME 'sealift:\/\/127\.0\.0\.1:\d+\?pin=sha256\/\/\S+&join=\S+'$/,
  );
  expect(started.said.stdout).toMatch(
    /^sealift: serving \S+ on 127\.0\.0\.1:\d+ with the pin sha256\/\/\S+\n/,
  );
});

test('a Unix socket is served, joined and used', async () => {
  const home = new CliHome();
  homes.push(home);
  const socket = home.at('s.sock');
  const started = home.start(['serve', home.at('data'), '--json', '--socket', socket]);
  expect(await started.event('listening')).toMatchObject({ path: socket });
  const command = (await started.event('join'))['command'] as string;
  expect((await shell(home, command.replace('NAME', 'local'))).code).toBe(0);
  expect((await home.run(['mkdir', 'local:made'])).code).toBe(0);
  const { pin } = (await started.event('listening')) as unknown as { pin: string };
  const byPath = await home.run(['trust', `unix:${socket}`, '--pin', pin]);
  expect(byPath.code).toBe(0);
  expect(await home.run(['ls', `unix:${socket}:`])).toMatchObject({ code: 5 });
  expect(await home.run(['ls', 'local:'])).toMatchObject({ code: 0, stdout: 'made/\n' });
});
