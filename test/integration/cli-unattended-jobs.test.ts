import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, renameSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { inThisProcess } from '../cli/run-here.ts';
import { CliHome, type ServeProcess } from '../support/cli.ts';
import { NobodysHome } from './nobodys-home.ts';

const home = new CliHome();
/** For what needs no process. */
const here = inThisProcess(home);
let server: ServeProcess;

beforeAll(async () => {
  server = await home.serve();
  home.write('tree/a', 'aaa');
  home.write('tree/b', 'b');
  home.write('large', randomBytes(16 * 2 ** 20));
  const job = (name: string, target: string, lines: string) =>
    `[job.${name}]\ntarget = "${target}"\n${lines.replaceAll('@', home.directory)}\n`;
  home.write(
    'config/sealift/config.toml',
    [
      '[status]\nmax-age = "1000d"\n',
      job('nightly', server.place('tree/'), 'source = "@/tree/"\n[job.nightly.options]\ndelete = true'),
      job('files', server.place('files/'), 'command = "put"\nsource = ["@/tree/a", "@/tree/b"]'),
      job('slow', server.place('large'), 'command = "put"\nsource = "@/large"\noptions = ["--bwlimit=1M"]'),
      job('back', home.at('back/'), `command = "get"\nsource = "${server.place('files/a')}"`),
      job('compare', server.place('tree/'), 'command = "check"\nsource = "@/tree/"'),
      job('never', server.place('x'), 'source = "@/tree/"'),
    ].join(''),
  );
});
afterAll(() => home.close());

const recordOf = (job: string) => home.at(`state/sealift/jobs/${job}.json`);

describe('a job', () => {
  test('runs, and tells its status', async () => {
    expect(await home.run(['run', 'nightly', '-q'])).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect((await home.run(['cat', server.place('tree/a')])).stdout).toBe('aaa');
    expect(statSync(recordOf('nightly')).mode & 0o777).toBe(0o600);
    const status = await home.run(['status', 'nightly', '--max-age', '1h']);
    expect(status).toMatchObject({ code: 0, stderr: '' });
    expect(status.stdout).toMatch(
      /^nightly: ok\nlast run {6}ended \S+ ago \(\S+Z\) with exit code 0 after \S+, 2 files, 4B\n$/,
    );
    const { code, events } = await home.runJson(['status', 'nightly']);
    expect(code).toBe(0);
    const run = { begin: expect.any(String), end: expect.any(String), exitCode: 0 };
    const last = { ...run, summary: expect.objectContaining({ files: 2, exitCode: 0 }) };
    const verdict = { type: 'status', job: 'nightly', ok: true, state: 'succeeded', exitCode: 0 };
    expect(events).toEqual([{ ...verdict, last, lastSuccess: last }]);
  });

  test('that would do something does not do it with -n, and leaves no record of that', async () => {
    const before = home.read('state/sealift/jobs/nightly.json').toString();
    home.write('tree/new', 'new');
    const { code, stdout } = await here.run(['run', 'nightly', '-n']);
    expect(code).toBe(0);
    expect(stdout).toContain('new');
    expect((await here.run(['cat', server.place('tree/new')])).code).toBe(4);
    expect(home.read('state/sealift/jobs/nightly.json').toString()).toBe(before);
    rmSync(home.at('tree/new'));
  });

  test('that fails is no success any more, but the last one is told', async () => {
    renameSync(home.at('tree'), home.at('aside'));
    const run = await here.run(['run', 'nightly']);
    renameSync(home.at('aside'), home.at('tree'));
    expect(run.code).toBeGreaterThan(0);
    const status = await here.run(['status', 'nightly']);
    expect(status).toMatchObject({ code: 15, stderr: '' });
    expect(status.stdout).toMatch(
      new RegExp(
        `^nightly: not ok. The last run failed with exit code ${run.code}.\nlast run .*\nlast success .*\n$`,
      ),
    );
    expect((await here.run(['run', 'nightly', '-q'])).code).toBe(0);
    expect((await here.run(['status', 'nightly'])).code).toBe(0);
  });

  test.each(['SIGKILL', 'SIGTERM'] as const)('that is ended by %s is no success', async (signal) => {
    const job = home.start(['run', 'slow', '--json']);
    await job.event('progress');
    const during = await here.runJson(['status', 'slow']);
    expect(during).toMatchObject({ code: 15, events: [{ ok: false, state: 'unfinished' }] });
    const ended = await job.kill(signal);
    expect(ended.code).toBe(signal === 'SIGKILL' ? null : 143);
    const after = await here.run(['status', 'slow']);
    expect(after.code).toBe(15);
    expect(after.stdout).toContain(signal === 'SIGKILL' ? 'or was killed' : 'failed with exit code 143');
    expect(after.stdout).not.toContain('last success');
  });

  test('of several files, or of another command, runs too', async () => {
    expect((await here.run(['run', 'files'])).code).toBe(0);
    expect((await here.run(['ls', server.place('files')])).stdout).toBe('a\nb\n');
    expect((await here.run(['run', 'back', '--if-exists', 'fail'])).code).toBe(0);
    expect(home.read('back/a').toString()).toBe('aaa');
    expect((await here.run(['run', 'back', '--if-exists', 'fail'])).code).toBe(10);
    expect((await here.run(['run', 'compare'])).code).toBe(0);
  });
});

describe('a job that cannot be recorded runs all the same', () => {
  const arrived = () => home.read('root/files/a').toString() === 'aaa';
  beforeEach(() => rmSync(home.at('root/files'), { recursive: true, force: true }));

  test('where its record is no text, which is written anew', async () => {
    home.write('state/sealift/jobs/files.json', Buffer.from([0xff, 0xfe, 0x80]));
    expect(await here.run(['status', 'files'])).toMatchObject({ code: 2, stdout: '' });
    expect(await here.run(['run', 'files', '-q'])).toMatchObject({ code: 0, stderr: '' });
    expect(arrived()).toBe(true);
    expect((await here.run(['status', 'files'])).code).toBe(0);
  });

  test('where a directory stands in the place of its record', async () => {
    rmSync(recordOf('files'), { force: true });
    mkdirSync(recordOf('files'), { recursive: true });
    onTestFinished(() => rmdirSync(recordOf('files')));
    const { code, stderr } = await here.run(['run', 'files']);
    expect(code).toBe(0);
    expect(stderr).toContain('That the run began is not recorded. ');
    expect(stderr).toContain('How the run ended is not recorded. ');
    expect(arrived()).toBe(true);
    expect(await here.run(['status', 'files'])).toMatchObject({ code: 1, stdout: '' });
  });

  test('where the state directory is read-only, and an earlier success is not taken for its own', async () => {
    const nobody = new NobodysHome();
    onTestFinished(() => nobody.close());
    nobody.trust(`${server.host}:${server.port}`, server.pin);
    const job = `[job.files]\ncommand = "put"\nsource = "${nobody.write('a', 'aaa')}"\ntarget = "${server.place('files/')}"\n`;
    nobody.giveAway(nobody.write('config/sealift/config.toml', job));
    nobody.giveAway(nobody.at('a'));
    expect(await nobody.run(['run', 'files', '-q'])).toMatchObject({ code: 0, stderr: '' });
    expect((await nobody.run(['status', 'files'])).code).toBe(0);
    rmSync(home.at('root/files/a'));
    chmodSync(nobody.at('state/sealift/jobs'), 0o500);

    const { code, stderr } = await nobody.run(['run', 'files']);
    expect(code).toBe(0);
    expect(stderr).toContain('That the run began is not recorded. ');
    expect(arrived()).toBe(true);
    const status = await nobody.run(['status', 'files']);
    expect(status.code).toBe(15);
    expect(status.stdout).toContain('files: not ok. The state directory cannot be written: ');
  });
});

describe('status', () => {
  test.each([
    ['a job that never ran', 'never', 15, 'never: not ok. It never ran.\n', ''],
    ['an unknown job', 'other', 2, '', 'There is: nightly, files, slow, back, compare, never.'],
  ])('of %s', async (_, job, code, stdout, stderr) => {
    const ended = await here.run(['status', job]);
    expect(ended).toMatchObject({ code, stdout });
    expect(ended.stderr).toContain(stderr);
    expect(existsSync(recordOf(job))).toBe(false);
  });

  test.each([
    ['2020-01-01T00:00:00.000Z', ['--max-age', '26h'], 15],
    ['2020-01-01T00:00:00.000Z', ['--max-age', '100000d'], 0],
    // As the configuration says.
    ['2020-01-01T00:00:00.000Z', [], 15],
  ])('of a success at %s with %j is %i', async (end, flags, exit) => {
    const last = { begin: end, end, exitCode: 0 };
    home.write('state/sealift/jobs/never.json', JSON.stringify({ last, lastSuccess: last }));
    const { code, stdout } = await here.run(['status', 'never', ...flags]);
    expect(code).toBe(exit);
    expect(stdout).toContain(exit === 0 ? 'never: ok\n' : 'The last run did not end within the last');
  });

  test('of a record that is damaged says so', async () => {
    home.write('state/sealift/jobs/never.json', '{');
    const { code, stderr } = await here.run(['status', 'never']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/bad-configuration: .*never\.json is damaged/);
  });
});
