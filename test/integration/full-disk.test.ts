import { randomBytes } from 'node:crypto';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Connector, openFileSource, ResumeKeys, upload } from '../../src/index.ts';
import type { Random } from '../../src/random.ts';
import { effort, held } from '../support/cases.ts';
import { inThisProcess } from '../cli/run-here.ts';
import { startHookService } from '../support/hook-service.ts';
import { CliHome, SEALIFT, type ServeProcess } from '../support/cli.ts';
import type { Ended, RunOptions } from '../support/running-process.ts';
import { plantTree } from '../support/planted-tree.ts';
import { between, pick, trialRandom } from '../support/seeded.ts';
import { canMount } from '../support/mounted-disk.ts';
import { TinyDisk } from '../support/tiny-disk.ts';

const MIB = 2 ** 20;
const TRIALS = effort(15, 1_500);
const FULL = 'the disk of the server is full (no blocks, or no inodes for new names, are left)';

describe.skipIf(!canMount)('a disk that is full', () => {
  const home = new CliHome();
  const here = inThisProcess(home);
  let disk: TinyDisk;
  /** Serves a directory on it, and writes its audit log there. */
  let server: ServeProcess;
  /** Serves a directory of the machine. */
  let roomy: ServeProcess;

  beforeAll(async () => {
    // Room for the records of publications too.
    disk = await TinyDisk.mount({ bytes: 24 * MIB, inodes: 250 + 2 * TRIALS });
    const flags = ['--json', '--host', '127.0.0.1', '--port', '0', '--anonymous', 'write'];
    const args = ['serve', `${disk.path}/root`, ...flags, '--audit-log', `${disk.path}/audit`];
    const process = home.startCommand(disk.command([...SEALIFT, ...args]));
    const { host, port, pin } = (await process.event('listening')) as unknown as ServeProcess;
    home.trust(`${host}:${port}`, pin);
    const place = (path = '') => `sealift://${host}:${port}/${path}`;
    server = { process, root: disk.seen('root'), host, port, pin, place };
    roomy = await home.serve();
  });
  afterEach(() => disk.empty());
  afterAll(async () => {
    await home.close();
    await disk.close();
  });

  /** Runs a command of a client or server that has this disk. */
  function run(args: readonly string[], options?: RunOptions): Promise<Ended> {
    return home.startCommand(disk.command([...SEALIFT, ...args]), options).ended;
  }

  /** What lies on the disk below a directory and is of use to nobody. */
  function temporary(...directory: string[]): string[] {
    const names = readdirSync(disk.seen(...directory), { recursive: true, encoding: 'utf8' });
    return names.filter((name) => /\.sealift-[^/]*$|\.sealift\/uploads\/./.test(name));
  }

  /** Leaves too little room for what takes `bytes`, or perhaps just enough. */
  function limit(random: Random, bytes: number): void {
    if (random.fraction() < 0.7) disk.fill(between(random, 0, bytes + 8_192));
    else disk.fillNames(between(random, 0, 3));
  }

  test('of a server: what does not fit is told, what stood stays, and later it fits', async (context) => {
    const random = trialRandom(context);
    const connector = new Connector({
      address: { host: server.host, port: server.port },
      pins: [server.pin],
    });
    const keys = new ResumeKeys(home.at('keys'));
    const standing = new Map<string, Buffer>();
    for (let trial = 0; trial < TRIALS; trial += 1) {
      const path = pick(random, ['a', 'b', 'below/c', 'far/below/d']);
      const content = randomBytes(pick(random, [0, 1, 3_000, 70_000, MIB, MIB + 1, 3 * MIB]));
      const source = await openFileSource(home.write('source', content));
      const durability = pick(random, ['disk', 'memory'] as const);
      const send = () => upload(connector, source, path, { resume: { keys, name: path }, durability });

      limit(random, content.length);
      const failure = await send().then(
        () => undefined,
        (error: unknown) => error,
      );
      if (failure === undefined) standing.set(path, content);
      else expect(failure).toMatchObject({ code: 'no-space' });
      for (const [name, whole] of standing)
        expect(whole.equals(readFileSync(disk.seen('root', name))), name).toBe(true);
      expect(temporary('root')).toEqual([]);

      disk.empty();
      if (failure !== undefined) await send();
      standing.set(path, content);
      await source[Symbol.asyncDispose]();
      expect(content.equals(readFileSync(disk.seen('root', path)))).toBe(true);
      expect(temporary('root')).toEqual([]);
      held(context, 'full disks');
    }
    await connector[Symbol.asyncDispose]();
  });

  test('of who joins: nothing is lost, and the same line works when there is room', async (context) => {
    const env = { XDG_CONFIG_HOME: `${disk.path}/config` };
    const saved = ['remote', 'add', 'saved', `${roomy.place()}?pin=${roomy.pin}`];
    expect(await run(saved, { env })).toMatchObject({ code: 0 });
    const { stdout } = await here.run(['token', 'add', 'joining', roomy.root, '--join']);
    const join = ['remote', 'add', 'joined', String(/'(.*)'/.exec(stdout)?.[1])];
    disk.fill(0);
    expect(await run(join, { env })).toMatchObject({ code: 11 });
    disk.empty();
    expect(await run(join, { env })).toMatchObject({ code: 0 });
    held(context, 'full disks');
  });

  test.for([
    ['a small file', 5_000],
    ['a large file', 3 * MIB],
  ] as const)('of a server: put of %s ends with 11, and the same again with 0', async ([, size], context) => {
    const content = randomBytes(size);
    const args = ['put', home.write(`put-${size}`, content), server.place('put')];
    disk.fill(size / 2);
    const { code, stderr } = await run(args);
    expect(code).toBe(11);
    expect(stderr).toBe(`sealift: put: no-space: "put" does not fit: ${FULL}.\n`);
    disk.empty();
    expect(await run(args)).toMatchObject({ code: 0 });
    expect(content.equals(readFileSync(disk.seen('root/put')))).toBe(true);
    held(context, 'full disks');
  });

  test('of a server: a file of a tree that finds no inode is named', async () => {
    const tree = await plantTree(home.at('tree'), { small: 'x' });
    disk.fillNames(0);
    const { stderr } = await run(['put', '-r', `${tree}/`, server.place()]);
    expect(stderr).toContain(`no-space: "small" does not fit: ${FULL}.\n`);
  });

  test('of a server: a file that does not fit leaves the room to the next that does', async (context) => {
    disk.fill(2.5 * MIB);
    const before = unusedBytes();
    for (const streams of ['1', '4']) {
      const large = home.write('large', randomBytes(8 * MIB));
      const { code } = await run(['put', large, server.place('large'), '--streams', streams]);
      expect(code).toBe(11);
      expect(temporary('root')).toEqual([]);
      expect(unusedBytes()).toBe(before);
    }
    const small = home.write('small', randomBytes(2 * MIB));
    expect(await run(['put', small, server.place('small')])).toMatchObject({ code: 0 });
    held(context, 'full disks', 2);
  });

  /** What is free, and what the audit log takes: a line of it may need another page at any time. */
  function unusedBytes(): number {
    const { bavail, bsize } = statfsSync(disk.seen());
    return bavail * bsize + statSync(disk.seen('audit')).blocks * 512;
  }

  test('of a server: what is no file is refused too, and what makes room is done', async (context) => {
    const connector = new Connector({
      address: { host: server.host, port: server.port },
      pins: [server.pin],
    });
    const client = await connector.use();
    await client.put('old', Buffer.from('old'));
    disk.fillNames(0);
    await expect(client.mkdir('directory')).rejects.toMatchObject({ code: 'no-space' });
    await expect(client.symlink('link', 'old')).rejects.toMatchObject({ code: 'no-space' });
    await expect(client.move('old', 'directory/new')).rejects.toMatchObject({ code: 'no-space' });
    expect((await client.get('old')).content.toString()).toBe('old');
    await client.move('old', 'new');
    await client.remove('new');
    await client.mkdir('directory');
    await client.remove('directory');
    await connector[Symbol.asyncDispose]();
    held(context, 'full disks', 3);
  });

  test('of a server: it goes on without its audit log, and says how much is missing', async (context) => {
    disk.fill(0);
    // The page of the file that is begun takes some lines still.
    for (let count = 0; count < 40; count += 1) await connectAndLeave();
    await server.process.line((line) => line.includes('the audit log cannot be written'));
    disk.empty();
    await connectAndLeave();
    await server.process.line((line) => line.includes('the audit log is written again'));
    for (const line of readFileSync(disk.seen('audit'), 'utf8').trimEnd().split('\n'))
      if (line.endsWith('}')) expect(JSON.parse(line)).toHaveProperty('event');
    held(context, 'full disks');
  });

  async function connectAndLeave(): Promise<void> {
    const connector = new Connector({
      address: { host: server.host, port: server.port },
      pins: [server.pin],
    });
    await connector.use();
    await connector[Symbol.asyncDispose]();
  }

  test.for([
    ['token add', 'users.toml', (users: string) => ['token', 'add', 'one', '--another', '--users', users]],
    ['token revoke', 'users.toml', (users: string) => ['token', 'revoke', 'one', '--users', users]],
    [
      'remote add',
      'config/sealift/remotes.toml',
      () => ['remote', 'add', 'two', `${roomy.place()}?pin=${roomy.pin}`],
    ],
    ['trust', 'config/sealift/known_servers', () => ['trust', '--yes', `127.0.0.1:${roomy.port}`]],
  ] as const)('of whoever keeps a file: %s leaves it as it was', async ([, name, args], context) => {
    const env = { XDG_CONFIG_HOME: `${disk.path}/config` };
    const change = args(`${disk.path}/users.toml`);
    // Something stands in each of them, or is put there from outside.
    const outside = { env: { XDG_CONFIG_HOME: disk.seen('config') } };
    for (const principal of ['one', 'two'])
      await here.run(['token', 'add', principal, '--users', disk.seen('users.toml')]);
    await here.run(['remote', 'add', 'one', roomy.place()], outside);
    await here.run(['trust', '--yes', `127.0.0.1:${server.port}`], outside);
    const before = readFileSync(disk.seen(name), 'utf8');
    for (const fill of [() => disk.fill(0), () => disk.fillNames(0)]) {
      fill();
      const { code, stderr } = await run(change, { env });
      expect([code, stderr]).toEqual([11, expect.stringContaining('local-no-space')]);
      expect(readFileSync(disk.seen(name), 'utf8')).toBe(before);
      disk.empty();
      expect(temporary()).toEqual([]);
      held(context, 'full disks');
    }
    expect(await run(change, { env })).toMatchObject({ code: 0 });
    expect(readFileSync(disk.seen(name), 'utf8')).not.toBe(before);
  });

  test('of a server that starts, or of an authority that is made: later it can', async (context) => {
    const made = [
      ['serve', `${disk.path}/young`, '--port', '0', '--host', '127.0.0.1', '--json'],
      ['cert', 'init', '--dir', `${disk.path}/authority`],
    ];
    const names = [0, 2].map((left) => () => disk.fillNames(left));
    for (const limit of [...names, ...[0, 4_096, 8_192].map((left) => () => disk.fill(left))]) {
      limit();
      for (const args of made) expect(await run(args), args[0]).toMatchObject({ code: 11 });
      held(context, 'full disks', 2);
    }
    disk.empty();
    const young = home.startCommand(disk.command([...SEALIFT, ...(made[0] as string[])]));
    await young.event('listening');
    expect(await young.kill()).toMatchObject({ code: 0 });
    expect(await run(made[1] as string[])).toMatchObject({ code: 0 });
    expect(temporary('authority')).toEqual([]);
  });

  test.for([
    ['get', 'large'],
    ['get', 'small'],
    ['sync', 'a tree'],
  ] as const)(
    'of a client: %s of %s ends with 11, keeps the old, leaves nothing else, and does the rest later',
    async ([command, what], context) => {
      const one = what === 'a tree' ? '' : what;
      const source = `${command}-${one}`;
      const contents = { large: randomBytes(3 * MIB), small: randomBytes(9_000) };
      for (const [name, content] of Object.entries(contents)) home.write(`root/${source}/${name}`, content);
      mkdirSync(disk.seen(source));
      // That the directory takes over this time does not make a run in which no file arrived a partial one.
      utimesSync(home.at('root', source), 1, 1);
      for (const name of Object.keys(contents)) writeFileSync(disk.seen(source, name), 'old');
      const args = [command, roomy.place(`${source}/${one}`), `${disk.path}/${source}/${one}`];
      for (const fill of [
        () => disk.fill(0),
        () => disk.fill(what === 'large' ? 1.5 * MIB : 4_096),
        () => disk.fillNames(0),
        () => disk.fillNames(1),
      ]) {
        fill();
        const { code, stderr } = await run(args);
        expect([code, stderr]).toEqual([11, expect.stringContaining('local-no-space')]);
        for (const name of Object.keys(contents))
          expect(readFileSync(disk.seen(source, name), 'utf8')).toBe('old');
        expect(temporary(source)).toEqual([]);
        held(context, 'full disks');
      }
      disk.empty();
      expect(await run(args)).toMatchObject({ code: 0 });
      for (const [name, content] of Object.entries(contents))
        if (one === '' || one === name)
          expect(content.equals(readFileSync(disk.seen(source, name)))).toBe(true);
      expect(temporary(source)).toEqual([]);
    },
  );

  describe('of the records of jobs', () => {
    const env = { XDG_STATE_HOME: '' };
    const job = (...options: string[]) => run(['run', 'recorded', ...options], { env });
    const status = () => run(['status', 'recorded'], { env });

    beforeAll(() => {
      env.XDG_STATE_HOME = `${disk.path}/state`;
      mkdirSync(disk.seen('state'));
      const lines = ['[job.recorded]', `source = "${home.at('job')}/"`, `target = "${roomy.place('job/')}"`];
      home.write('config/sealift/config.toml', lines.join('\n'));
    });

    test('the run is made all the same, and an earlier success is not taken for its own', async (context) => {
      for (const [index, fill] of [() => disk.fill(0), () => disk.fillNames(0)].entries()) {
        home.write('job/file', `before ${index}`);
        expect(await job()).toMatchObject({ code: 0 });
        expect(await status()).toMatchObject({ code: 0 });
        fill();
        rmSync(home.at('job'), { recursive: true });
        expect(await job()).toMatchObject({ code: 13 });
        expect(await status()).toMatchObject({ code: 15 });

        disk.empty();
        home.write('job/file', `again ${index}`);
        expect(await job()).toMatchObject({ code: 0 });
        fill();
        home.write('job/file', `changed ${index}`);
        const { code, stderr } = await job('--quiet');
        expect([code, stderr]).toEqual([0, expect.stringContaining('That the run began is not recorded.')]);
        expect(home.read('root/job/file').toString()).toBe(`changed ${index}`);
        disk.empty();
        expect(temporary('state')).toEqual([]);
        held(context, 'full disks', 2);
      }
    });

    test('the end is recorded if there is room then', async (context) => {
      const { origin } = await startHookService(() => {
        disk.empty();
        return 200;
      });
      home.write('job/other', 'other');
      disk.fill(0);
      expect(await job('--on-start', `${origin}/`)).toMatchObject({
        code: 0,
        stderr: expect.not.stringContaining('How the run ended'),
      });
      expect(await status()).toMatchObject({ code: 0 });
      held(context, 'full disks');
    });
  });
});
