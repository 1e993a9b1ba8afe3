import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CliHome } from '../support/cli.ts';
import { REFUSING_PORT } from '../support/refusing-port.ts';
import { runHere } from './run-here.ts';

const home = new CliHome();
/** A job that fails, at a server that nobody can reach. */
let nightly: string;

beforeAll(async () => {
  const source = `sealift://127.0.0.1:${REFUSING_PORT}/file`;
  nightly = `[job.nightly]\ncommand = "get"\nsource = "${source}"\ntarget = "${home.at('file')}"\n`;
});
beforeEach(() => configure(nightly));
afterAll(async () => {
  await home.close();
});

function configure(text: string): void {
  home.write('config/sealift/config.toml', text);
}

/** What stands in the record of a job. */
function record(job = 'nightly'): unknown {
  return JSON.parse(home.read(`state/sealift/jobs/${job}.json`).toString());
}

describe('an option of a job', () => {
  /** How often the job tries again: what `retry` ended up as. */
  async function retries(args: readonly string[] = [], env: Record<string, string> = {}): Promise<number> {
    const { code, events } = await runHere(home, ['run', 'nightly', '--json', ...args], {
      SEALIFT_RETRY_DELAY: '1ms',
      ...env,
    });
    expect(code).toBe(7);
    return events.filter(({ type }) => type === 'retry').length;
  }
  const others = '[get]\nretry = 4\n';

  test.each([
    ['in its table goes before the table of the command', '[job.nightly.options]\nretry = 1\n', [], {}, 1],
    ['goes behind the environment', '[job.nightly.options]\nretry = 1\n', [], { SEALIFT_RETRY: '2' }, 2],
    ['goes behind what is typed', '[job.nightly.options]\nretry = 1\n', ['--retry=3'], {}, 3],
    ['goes behind what is typed apart', '[job.nightly.options]\nretry = 1\n', ['--retry', '3'], {}, 3],
    ['in its list goes before the environment', 'options = ["--retry=1"]\n', [], { SEALIFT_RETRY: '2' }, 1],
    ['in its list goes behind what is typed', 'options = ["--retry", "1"]\n', ['--retry=3'], {}, 3],
    ['that is not given is that of the command', '', [], {}, 4],
  ])('%s', async (_, text, args, env, count) => {
    configure(`${nightly}${text}${others}`);
    expect(await retries(args, env)).toBe(count);
  });

  test('goes before what holds for all', async () => {
    configure(`retry = 5\n${nightly}`);
    expect(await retries()).toBe(5);
    configure(`retry = 5\n${nightly}[job.nightly.options]\nretry = 1\n`);
    expect(await retries()).toBe(1);
  });

  test('that every command has can stand before the name too', async () => {
    const other = home.write('other.toml', `${nightly.replace('nightly', 'other')}options = ["--retry=0"]\n`);
    const { code, events } = await runHere(home, ['run', '--json', '--config', other, 'other']);
    expect(code).toBe(7);
    expect(events.map(({ type }) => type)).toContain('error');
  });
});

const PLACES = 'source = "a"\ntarget = "h:a"\n';
const SOME = `[job.nightly]\n${PLACES}`;

describe('a job that makes no sense is refused: 2', () => {
  const table = (lines: string) => `[job.nightly]\n${lines}`;
  test.each([
    ['its name is unknown', SOME, ['other'], 'There is no job "other" in '],
    ['its name is unknown: those there are', SOME, ['other'], 'There is: nightly.'],
    ['there are none', '', ['nightly'], 'A job is a table [job.NAME]'],
    ['job is no table', 'job = 1', ['nightly'], 'there is no option "job"'],
    ['it is no table', '[job]\nnightly = 1', ['nightly'], 'job.nightly is no table'],
    ['its name can be no file', `[job."../x"]\n${PLACES}`, ['../x'], 'job.../x is no name for a job'],
    [
      'a key is unknown',
      table(`${PLACES}delete = true`),
      ['nightly'],
      'job.nightly.delete is not understood',
    ],
    ['a command is none', table(`${PLACES}command = "rm"`), ['nightly'], 'command is none of sync, put'],
    ['no source', table('target = "h:a"'), ['nightly'], 'job.nightly.source is no text'],
    ['no sources', table('source = []\ntarget = "h:a"'), ['nightly'], 'job.nightly.source is no text'],
    ['no target', table('source = "a"'), ['nightly'], 'job.nightly.target is no text'],
    ['odd options', table(`${PLACES}options = "-r"`), ['nightly'], 'options is neither a table nor a list'],
    ['no name', SOME, [], "missing required argument 'name'"],
    ['the name comes later', SOME, ['--retry', '1', 'nightly'], 'The name of the job comes first'],
  ])('%s', async (_, text, args, message) => {
    configure(text);
    const { code, stdout, stderr } = await runHere(home, ['run', ...args]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('    at ');
  });

  test.each([
    [
      'an option that the command lacks',
      '[job.nightly.options]\nolder-than = 1\n',
      [],
      'has no option "older-than"',
    ],
    [
      'a bad value',
      '[job.nightly.options]\nretry = "often"\n',
      [],
      'job.nightly.options: retry: "often" is no whole number',
    ],
    ['a bad value in the list', 'options = ["--retry=often"]\n', [], '--retry: "often" is no whole number'],
    ['an unknown option in the list', 'options = ["--frob"]\n', [], "unknown option '--frob'"],
    ['an unknown option that is typed', '', ['--frob'], "unknown option '--frob'"],
    ['an operand that is typed', '', ['file'], 'takes options only, and "file" is none'],
    ['an operand in the list', 'options = ["file"]\n', [], 'takes options only, and "file" is none'],
  ])('with %s, and that is recorded as a failure', async (_, text, args, message) => {
    configure(`${nightly}${text}`);
    const { code, stderr } = await runHere(home, ['run', 'nightly', ...args]);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
    expect(record()).toMatchObject({ last: { end: expect.any(String), exitCode: 2 } });
  });
});

test('what is only tried out leaves no record', async () => {
  const tried = nightly.replace('nightly', 'tried');
  configure(`${tried}options = ["--frob"]\n`);
  for (const flag of ['-n', '-qn', '--dry-run'])
    expect((await runHere(home, ['run', 'tried', flag])).code).toBe(2);
  expect(() => record('tried')).toThrow('ENOENT');
});

test('a state directory that cannot be written to is told, and keeps nothing from being done', async () => {
  const env = { XDG_STATE_HOME: home.write('no-directory', '') };
  const { code, stderr } = await runHere(home, ['run', 'nightly', '--retry', '0'], env);
  expect(code).toBe(7);
  expect(stderr).toMatch(/^sealift: That the run began is not recorded\. Cannot read .*\n/);
  expect(stderr).toContain('refused');
});

test('what is wrong with the options is the reason also where the state directory cannot be written to', async () => {
  configure(nightly);
  const env = { XDG_STATE_HOME: home.write('no-directory', '') };
  const { code, stderr } = await runHere(home, ['run', 'nightly', '--frob'], env);
  expect(code).toBe(2);
  expect(stderr).toContain("unknown option '--frob'");
  expect(stderr).toContain('How the run ended is not recorded.');
});

test('--json prints also which option of a job was refused', async () => {
  configure(nightly);
  const { code, events } = await runHere(home, ['run', 'nightly', '--json', '--frob']);
  expect(code).toBe(2);
  expect(events).toMatchObject([
    { type: 'error', code: 'usage', message: expect.stringContaining("unknown option '--frob'") },
  ]);
});
