import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { CliHome, SEALIFT } from '../support/cli.ts';
import { runHere } from './run-here.ts';

const home = new CliHome();
beforeEach(() => configure(''));
afterAll(() => home.close());

function configure(text: string): string {
  return home.write('config/sealift/config.toml', text);
}

/** What is shown of the setting `name`: value and origin; undefined if it is not shown. */
async function shown(name: string, env: Record<string, string> = {}): Promise<unknown> {
  const { code, events } = await runHere(home, ['config', 'show', '--json'], env);
  expect(code).toBe(0);
  const found = events.filter((event) => event['name'] === name);
  expect(found.length).toBeLessThan(2);
  return found[0] === undefined ? undefined : [found[0]['value'], found[0]['from']];
}

describe('config path', () => {
  test('prints the file, whether or not it is there', async () => {
    const file = configure('');
    expect(await runHere(home, ['config', 'path'])).toMatchObject({
      code: 0,
      stdout: `${file}\n`,
      stderr: '',
    });
    const env = { XDG_CONFIG_HOME: home.at('none') };
    const { stdout } = await runHere(home, ['config', 'path'], env);
    expect(stdout).toBe(`${home.at('none/sealift/config.toml')}\n`);
  });

  const theirs = join(userInfo().homedir, '.config/sealift/config.toml');
  test.each([
    ['an empty home', { HOME: '', XDG_CONFIG_HOME: '' }, theirs],
    ['a relative home', { HOME: '.', XDG_CONFIG_HOME: '' }, theirs],
    ['a relative directory', { XDG_CONFIG_HOME: '.config' }, home.at('home/.config/sealift/config.toml')],
  ])('prints none of the current directory, where anybody may have put one: %s', async (_, env, file) => {
    home.write('work/.config/sealift/config.toml', 'timeout = "1s"');
    expect(await runHere(home, ['config', 'path'], env)).toMatchObject({ code: 0, stdout: `${file}\n` });
  });

  // Root alone can be a user whom the system does not know.
  test.runIf(process.getuid?.() === 0)('says so where no home is known', async () => {
    const nobody = ['setpriv', '--reuid=54321', '--regid=54321', '--clear-groups'];
    const command = [...nobody, ...SEALIFT, 'config', 'path'] as unknown as [string, ...string[]];
    const env = { HOME: 'work', XDG_CONFIG_HOME: '' };
    expect(await home.startCommand(command, { env }).ended).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(
        /^sealift: config path: bad-configuration: .* Set HOME to an absolute path\.\n$/,
      ),
    });
  });

  test('prints the file that --config names', async () => {
    const other = home.write('other.toml', '');
    const { events } = await runHere(home, ['config', 'path', '--json', '--config', other]);
    expect(events).toEqual([{ type: 'configuration', file: other }]);
  });
});

describe('config show', () => {
  test.each<[string, string, string, Record<string, string>, unknown]>([
    ['a default', 'retry', '', {}, ['8', 'default']],
    ['a default as it is written', 'timeout', '', {}, ['60s', 'default']],
    ['what the file says', 'timeout', 'timeout = "2m"', {}, ['2m', 'file']],
    [
      'what the environment says',
      'timeout',
      'timeout = "2m"',
      { SEALIFT_TIMEOUT: '3m' },
      ['3m', 'environment'],
    ],
    ['what one command has alone', 'min-tls', '', {}, ['1.3', 'default']],
    ['a table of a command', 'put.retry', '[put]\nretry = 3', {}, ['3', 'file']],
    ['the others beside it', 'retry', '[put]\nretry = 3', {}, ['8', 'default']],
    ['what a command has for itself', 'serve.port', '', {}, ['7433', 'default']],
    ['not what is not set', 'port', '', {}, undefined],
    ['not what one command lacks', 'bwlimit', '', {}, undefined],
    ['a list', 'pin', `pin = ["${pin('A')}", "${pin('Q')}"]`, {}, [`${pin('A')} ${pin('Q')}`, 'file']],
    ['a date', 'newer-than', 'newer-than = 2026-01-31', {}, ['2026-01-31', 'file']],
    ['a flag', 'quiet', 'quiet = true', {}, ['true', 'file']],
    ['a flag that is taken back', 'quiet', 'quiet = true', { SEALIFT_QUIET: 'no' }, ['false', 'environment']],
    ['a flag that is not said', 'quiet', 'quiet = true', { SEALIFT_QUIET: '' }, ['true', 'file']],
    ['a flag of no', 'no-progress', '', { SEALIFT_NO_PROGRESS: '1' }, ['true', 'environment']],
    ['a token', 'token', '', { SEALIFT_TOKEN: 'secret' }, ['***', 'environment']],
    ['no token', 'token', '', {}, undefined],
    ['an empty token as none', 'token', '', { SEALIFT_TOKEN: '' }, undefined],
  ])('tells %s', async (_, name, text, env, expected) => {
    configure(text);
    expect(await shown(name, env)).toEqual(expected);
  });

  test('tells jobs', async () => {
    configure(`[job.nightly]\nsource = ["a", "b"]\ntarget = "h:t"\n[job.nightly.options]\nretry = 3\n`);
    expect(await shown('job.nightly.command')).toEqual(['sync', 'file']);
    expect(await shown('job.nightly.source')).toEqual(['a b', 'file']);
    expect(await shown('job.nightly.target')).toEqual(['h:t', 'file']);
    expect(await shown('job.nightly.options.retry')).toEqual(['3', 'file']);
  });

  test.each([
    ['a table', '[job.a.options]\non-start = "https://hc/secret"\n'],
    ['a list', 'options = ["--on-start", "https://hc/secret", "--on-failure=https://hc/secret", "-a"]\n'],
  ])('shows no secret in %s of a job', async (_, options) => {
    configure(`[job.a]\nsource = "a"\ntarget = "h:t"\n${options}`);
    const { stdout } = await runHere(home, ['config', 'show']);
    expect(stdout).not.toContain('secret');
    expect(stdout).toMatch(
      /^job\.a\.options(\.on-start\t\*{3}|\t--on-start \*{3} --on-failure=\*{3} -a)\tfile$/m,
    );
  });

  test('for a person: name, value and origin between tabs, sorted', async () => {
    configure('retry = 3\n');
    const { stdout, stderr } = await runHere(home, ['config', 'show']);
    expect(stderr).toBe('');
    const lines = stdout.split('\n').slice(0, -1);
    expect(lines).toContain('retry\t3\tfile');
    expect(lines).toEqual(lines.toSorted());
  });

  test.each([
    ['a value of another command', 'older-than = "soon"', '"soon" is no duration'],
    ['a choice of another command', '[put]\nif-exists = "x"', 'if-exists is none of overwrite'],
    ['a job that makes no sense', '[job.a]\nsource = 1', 'job.a.source is no text'],
  ])('refuses %s', async (_, text, message) => {
    configure(text);
    const { code, stderr } = await runHere(home, ['config', 'show']);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});

test('a flag that the environment takes back stays so, whatever the file says', async () => {
  configure('json = true\n');
  const { stdout } = await runHere(home, ['config', 'path'], { SEALIFT_JSON: 'false' });
  expect(stdout).toBe(`${home.at('config/sealift/config.toml')}\n`);
});

function pin(letter: string): string {
  return `sha256//${letter.repeat(43)}=`;
}
