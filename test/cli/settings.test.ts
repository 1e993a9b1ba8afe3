import { Command } from 'commander';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { parseMoment } from '../../src/cli/moment.ts';
import { setting, settingsOf } from '../../src/cli/settings.ts';
import { systemClock } from '../../src/clock.ts';
import { CliHome } from '../support/cli.ts';
import { REFUSING_PORT } from '../support/refusing-port.ts';
import { runHere } from './run-here.ts';

const home = new CliHome();

beforeEach(() => configure(''));
afterAll(async () => {
  await home.close();
});

function configure(text: string): void {
  home.write('config/sealift/config.toml', text);
}

/** How often a command tries again: what `retry` ended up as. */
async function retries(flags: readonly string[], env: Record<string, string> = {}): Promise<number> {
  const command = ['ls', `sealift://127.0.0.1:${REFUSING_PORT}/`, '--retry-delay', '1ms', ...flags];
  const { code, events } = await runHere(home, [...command, '--json'], env);
  expect(code).toBe(7);
  return events.filter(({ type }) => type === 'retry').length;
}

describe('a setting comes from', () => {
  test('the flag, before all others', async () => {
    configure('retry = 3\n[ls]\nretry = 4\n');
    expect(await retries(['--retry', '1'], { SEALIFT_RETRY: '2' })).toBe(1);
  });

  test('the environment, before the file', async () => {
    configure('retry = 3\n[ls]\nretry = 4\n');
    expect(await retries([], { SEALIFT_RETRY: '2' })).toBe(2);
  });

  test('the table of the command in the file, before what holds for all', async () => {
    configure('retry = 3\n[ls]\nretry = 4\n[rm]\nretry = 5\n');
    expect(await retries([])).toBe(4);
  });

  test('the file', async () => {
    configure('retry = 3\n');
    expect(await retries([])).toBe(3);
  });

  test('another file that --config or SEALIFT_CONFIG names, instead', async () => {
    configure('retry = 3\n');
    const other = home.write('other.toml', 'retry = 6\n');
    expect(await retries(['--config', other])).toBe(6);
    expect(await retries([], { SEALIFT_CONFIG: other })).toBe(6);
  });

  test('what stands behind the environment, where that is empty', async () => {
    configure('retry = 3\n');
    const nothing = { SEALIFT_RETRY: '', SEALIFT_CONFIG: '', SEALIFT_TOKEN_FILE: '', SEALIFT_PIN: '' };
    expect(await retries([], { ...nothing, SEALIFT_BALANCE: '', SEALIFT_CA: '' })).toBe(3);
  });

  test('the default, last', async () => {
    expect(await retries([])).toBe(8);
  });
});

describe('the configuration file', () => {
  test('may hold options that only other commands have', async () => {
    configure('bwlimit = "10M"\nif-exists = "skip"\n');
    expect(await runHere(home, ['remote', 'list'])).toMatchObject({ code: 0, stderr: '' });
    expect(await runHere(home, ['completion', 'bash'])).toMatchObject({ code: 0, stderr: '' });
  });

  test('says yes and no with true and false', async () => {
    configure('json = true\n');
    const { stdout } = await runHere(home, ['clean', home.at('nowhere')]);
    expect(JSON.parse(stdout)).toMatchObject({ type: 'error', code: 'local-not-found' });
  });

  test.each([
    ['an unknown option', 'frobnicate = 1', 'there is no option "frobnicate"'],
    ['an option that the command lacks', '[clean]\nbwlimit = 1', 'clean has no option "bwlimit"'],
    ['an unknown command', '[claen]\ndry-run = true', 'there is no command "claen"'],
    ['a bad value', 'older-than = "soon"', 'config.toml: older-than: "soon" is no duration'],
    ['a list for one value', 'older-than = ["1d", "2d"]', 'config.toml: older-than takes one value'],
    ['nothing for one value', '[clean]\nolder-than = []', 'config.toml: older-than takes one value'],
    ['a bad truth', 'dry-run = "yes"', 'dry-run is neither true nor false'],
    ['no TOML', 'retry =', 'config.toml, line 1'],
  ])('with %s is refused', async (_, text, message) => {
    configure(text);
    const { code, stdout, stderr } = await runHere(home, ['clean']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('sealift: clean: ');
    expect(stderr).toContain(message);
  });

  test('that is named and not there is refused', async () => {
    const { code, stderr } = await runHere(home, ['clean', '--config', home.at('none.toml')]);
    expect(code).toBe(2);
    expect(stderr).toContain('none.toml cannot be read (ENOENT)');
  });
});

test.each(['2026-01-31', '2026-01-31T12:30:00', '2026-01-31T12:30:00+02:00'])(
  'the date %s in the file is what it is on the command line',
  async (date) => {
    configure(`[sync]\nnewer-than = ${date}\n`);
    const command = new Command('sync').addOption(
      setting('--newer-than <when>', '', (text) => parseMoment(text, systemClock)),
    );
    const directories = { config: home.at('config/sealift'), state: '' };
    const settings = await settingsOf(command.parse([], { from: 'user' }), directories);
    expect(settings).toEqual({ newerThan: parseMoment(date, systemClock) });
  },
);

test('no-progress = true in the file is what the flag says, and so is no-clobber', async () => {
  const settings = (text: string) => {
    configure(text);
    const command = new Command('mv')
      .addOption(setting('--no-clobber', ''))
      .addOption(setting('--no-progress', ''));
    return settingsOf(command.parse([], { from: 'user' }), { config: home.at('config/sealift'), state: '' });
  };
  expect(await settings('')).toEqual({ clobber: true, progress: true });
  expect(await settings('no-progress = true\nno-clobber = true')).toEqual({
    clobber: false,
    progress: false,
  });
  expect(await settings('no-progress = false')).toEqual({ clobber: true, progress: true });
});
