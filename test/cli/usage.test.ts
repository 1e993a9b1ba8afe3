import { chmodSync } from 'node:fs';

import { afterAll, describe, expect, test } from 'vitest';
import { loopbackCertificate } from '../support/certificates.ts';
import { CliHome } from '../support/cli.ts';
import { runHere } from './run-here.ts';

const home = new CliHome();
afterAll(() => home.close());

describe('usage errors are exit code 2, and say what is wrong', () => {
  const nowhere = 'sealift://127.0.0.1:1/';
  test.each([
    ['no such command', ['frobnicate'], {}, "unknown command 'frobnicate'"],
    ['no such option', ['ls', nowhere, '--frobnicate'], {}, "unknown option '--frobnicate'"],
    ['no such option of a command below', ['remote', 'add', '--x', 'a', 'b'], {}, "unknown option '--x'"],
    ['an operand is missing', ['stat'], {}, "missing required argument 'place'"],
    ['one operand too many', ['stat', nowhere, nowhere], {}, 'too many arguments'],
    ['a name of a server for a place on it', ['ls', 'box'], {}, 'the root of box is box:'],
    ['standard input without a name, into a directory', ['put', '-', 'box:'], {}, 'Give it one: box:NAME'],
    ['a file to serve', ['serve', '/etc/passwd'], {}, '/etc/passwd is no directory'],
    ['no target', ['put', 'a'], {}, 'A source and a target are needed'],
    [
      'a bad duration',
      ['ls', nowhere, '--timeout', 'soon'],
      {},
      'sealift: ls: usage: --timeout: "soon" is no duration',
    ],
    [
      'a bad duration in the environment',
      ['ls', nowhere],
      { SEALIFT_TIMEOUT: 'x' },
      ' SEALIFT_TIMEOUT: "x" is no',
    ],
    ['a bad pin in the environment', ['ls', nowhere], { SEALIFT_PIN: 'x y' }, ' SEALIFT_PIN: "x" is no pin'],
    [
      'a bad duration although one is set',
      ['ls', nowhere, '--timeout', 'x'],
      { SEALIFT_TIMEOUT: '5s' },
      ' --timeout: "x"',
    ],
    ['no time to wait', ['ls', nowhere, '--timeout', '0'], {}, '--timeout: "0" is too short'],
    ['no time to connect', ['ls', nowhere, '--connect-timeout', '0s'], {}, '--connect-timeout: "0s" is too'],
    ['no time to echo', ['echo', nowhere, '--timeout', '0.1ms'], {}, '--timeout: "0.1ms" is too short'],
    ['no time to discover', ['discover', '--timeout', '0'], {}, '--timeout: "0" is too short'],
    ['a bad rate', ['put', 'a', nowhere, '--bwlimit', 'much'], {}, '--bwlimit: "much" is no size'],
    ['a bad count', ['ls', nowhere, '--retry', '-1'], {}, '--retry: "-1" is no whole number'],
    ['a port out of range', ['ls', 'localhost:', '--port', '70000'], {}, '--port: 70000 is no port'],
    ['a port out of range to serve', ['serve', '--port', '65536'], {}, '--port: 65536 is no port'],
    ['a bad pin', ['ls', nowhere, '--pin', 'abc'], {}, '--pin: "abc" is no pin'],
    ['a bad choice', ['put', 'a', nowhere, '--if-exists', 'x'], {}, 'overwrite, skip, fail, rename'],
    ['a file that an option names', ['ls', nowhere, '--ca', 'none.pem'], {}, 'none.pem cannot be read'],
    ['a local place to look at', ['ls', './a:b'], {}, './a:b is no place on a server'],
    ['remote to remote', ['put', 'a:b', 'c:d'], {}, 'A local file of that name is written ./a:b'],
    ['remote to remote, the other way', ['get', 'a:b', 'c:d'], {}, 'is written ./c:d'],
    ['local to local', ['put', 'a', 'b'], {}, 'b is no place on a server'],
    ['a directory from a server', ['get', `${nowhere}dir/`, '.'], {}, 'is a directory'],
    ['standard input without a name', ['put', '-', nowhere], {}, 'the target has to be a file'],
    ['a path that leads out', ['ls', `${nowhere}../x`], {}, '..'],
    ['the root, removed', ['rm', '-r', nowhere], {}, 'The root itself'],
    ['a move between servers', ['mv', 'a:x', 'b:x'], {}, 'have to be on one server'],
    ['files of two servers', ['get', 'a:x', 'b:x', '.'], {}, 'have to be on one server'],
    ['an unknown shell', ['completion', 'tcsh'], {}, 'only for bash and zsh'],
    ['a remote without a name', ['remote', 'add', '-x-', nowhere], {}, '-x-'],
    [
      'a token in an argument',
      ['remote', 'add', 'a', `${nowhere}?token=t`],
      {},
      'must not stand in an argument',
    ],
    [
      'an unknown parameter',
      ['remote', 'add', 'a', `${nowhere}?frob=t`],
      {},
      '"frob" that is not understood',
    ],
    ['a directory that cannot be made', ['serve', '/dev/null/x'], {}, '/dev/null/x cannot be made'],
    ['a certificate without its key', ['serve', 'd', '--cert', '/dev/null'], {}, 'needs its key'],
  ])('%s', async (_, args, env, message) => {
    const { code, stdout, stderr } = await runHere(home, args, env);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('    at ');
  });
});

test.each([[['--help']], [['help', 'put']], [['put', '--help']], [['--version']]])(
  '%j is no failure',
  async (args) => {
    const { code, stdout, stderr } = await runHere(home, args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).not.toBe('');
  },
);

test('the help of no command is wider than a terminal of 80 columns', async () => {
  const { stdout } = await runHere(home, ['completion', 'bash']);
  const names = [...stdout.matchAll(/^ {4}"([a-z ]+)"\) words=/gm)].map(([, name = '']) => name.split(' '));
  expect(names.length).toBeGreaterThan(30);
  for (const name of [[], ...names]) {
    const { stdout: help } = await runHere(home, [...name, '--help']);
    expect(help.split('\n').filter((line) => line.length > 80)).toEqual([]);
  }
});

test.each([
  ['usage', ['--frobnicate'], {}],
  ['usage', ['--timeout', 'soon'], {}],
  ['bad-configuration', ['--config', '/nonexistent'], {}],
  ['bad-configuration', ['--config', '/nonexistent'], { SEALIFT_JSON: '1' }],
])('--json prints what is %s too: %j', async (code, args, env) => {
  const json = Object.keys(env).length > 0 ? [] : ['--json'];
  const ended = await runHere(home, ['ls', 'sealift://127.0.0.1:1/', ...json, ...args], env);
  expect(ended.code).toBe(2);
  expect(JSON.parse(ended.stdout)).toMatchObject({ type: 'error', code, message: expect.any(String) });
});

test.each<[string[], Record<string, string>]>([
  [['get', 'a:b', '-', '--json', '--frobnicate'], {}],
  [['cat', '--json', 'a:b'], { SEALIFT_RETRY: 'x' }],
])('--json leaves the data alone where %j is refused', async (args, env) => {
  const { code, stdout, stderr } = await runHere(home, args, env);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain('{"type":"error","code":"usage"');
});

test('SEALIFT_JSON holds for what is refused too', async () => {
  const { code, stdout } = await runHere(home, ['put', '--frobnicate'], { SEALIFT_JSON: '1' });
  expect(code).toBe(2);
  expect(JSON.parse(stdout)).toMatchObject({ type: 'error', code: 'usage' });
});

test('help is no error to a program either', async () => {
  const { events } = await runHere(home, ['help', '--json']);
  expect(events).toEqual([]);
});

test.each([
  [['frobnicate'], "sealift: usage: unknown command 'frobnicate'. For help: sealift --help"],
  [['statt'], "sealift: usage: unknown command 'statt'. Did you mean stat? For help: sealift --help"],
  [
    ['ls', 'h:', '--jsn'],
    "sealift: ls: usage: unknown option '--jsn'. Did you mean --json? For help: sealift ls --help",
  ],
  [['cert', 'frob'], "sealift: cert: usage: unknown command 'frob'. For help: sealift cert --help"],
  [['help', 'frobnicate'], "sealift: usage: unknown command 'frobnicate'. For help: sealift --help"],
  [
    ['help', 'cert', 'isue'],
    "sealift: cert: usage: unknown command 'isue'. Did you mean issue? For help: sealift cert --help",
  ],
  [
    ['cert', 'isue', '-h'],
    "sealift: cert: usage: unknown command 'isue'. Did you mean issue? For help: sealift cert --help",
  ],
  [
    ['put', 'a', 'h:', '-P', '1'],
    "sealift: put: usage: unknown option '-P'. A port is given with --port, and progress is shown in any case. For help: sealift put --help",
  ],
  [
    ['get', '-p', 'h:a', '.'],
    "sealift: get: usage: unknown option '-p'. Times are always kept, permission bits and links with -a. For help: sealift get --help",
  ],
  [
    ['sync', '--progress', 'a', 'h:'],
    "sealift: sync: usage: unknown option '--progress'. It is shown on a terminal in any case. For help: sealift sync --help",
  ],
  [
    ['cert', 'issue'],
    "sealift: cert issue: usage: missing required argument 'usage'. For help: sealift cert issue --help",
  ],
])('what no command understands is told like any other failure: %j', async (args, line) => {
  expect(await runHere(home, args)).toMatchObject({ code: 2, stdout: '', stderr: `${line}\n` });
});

test('help COMMAND tells of a command inside another, too', async () => {
  const { code, stdout } = await runHere(home, ['help', 'cert', 'issue']);
  expect(code).toBe(0);
  expect(stdout).toBe((await runHere(home, ['cert', 'issue', '--help'])).stdout);
  expect(stdout).toContain('Usage: sealift cert issue ');
});

describe('a token file', () => {
  test.each<[string, string, number, string]>([
    ['that is not there', '', 0, 'cannot be read'],
    ['that is open to others', 'token', 0o644, 'is open to other users'],
    ['that is empty', '\n', 0o600, 'is empty'],
  ])('%s is refused as what it is', async (name, text, mode, message) => {
    const file = text === '' ? home.at('none') : home.write(name, text);
    if (text !== '') chmodSync(file, mode);
    const { code, stderr } = await runHere(home, ['ls', 'sealift://127.0.0.1:1/', '--token-file', file]);
    expect(code).toBe(2);
    expect(stderr).toContain(`The token file ${file}`);
    expect(stderr).toContain(message);
  });
});

test('a certificate without its key is a usage error too', async () => {
  const cert = home.write('cert.pem', (await loopbackCertificate()).cert);
  const { code, stderr } = await runHere(home, ['serve', home.at('served'), '--cert', cert]);
  expect(code).toBe(2);
  expect(stderr).toContain('give both or neither');
});
