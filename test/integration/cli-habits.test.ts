import { existsSync, lstatSync, mkdirSync, readdirSync, statSync, symlinkSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { inThisProcess } from '../cli/run-here.ts';
import { CliHome, type ServeProcess } from '../support/cli.ts';

// What people who come from cp, scp and ssh expect without being told.
const home = new CliHome();
/** For what needs no process. */
const here = inThisProcess(home);
let served: ServeProcess;

beforeAll(async () => {
  served = await home.serve();
});
afterAll(() => home.close());

describe('permission bits', () => {
  test.each([
    [0o600, 0o600],
    [0o755, 0o755],
    [0o666, 0o644],
  ])('of %i arrive as %i, less what the umask takes, and come back', async (mode, arrived) => {
    const name = `mode-${mode.toString(8)}`;
    const file = home.write(name, 'x');
    await home.startCommand(['chmod', mode.toString(8), file]).ended;
    expect((await home.run(['put', file, served.place(name)])).code).toBe(0);
    expect(statSync(`${served.root}/${name}`).mode & 0o777).toBe(arrived);
    expect((await home.run(['get', served.place(name), `back-${name}`])).code).toBe(0);
    expect(statSync(home.at('work', `back-${name}`)).mode & 0o777).toBe(arrived);
  });
});

describe('--if-exists looks before it sends', () => {
  test.each([
    ['skip', 0],
    ['fail', 10],
  ])('%s', async (what, exit) => {
    const file = home.write(`large-${what}`, Buffer.alloc(3 * 2 ** 20, 1));
    expect((await here.run(['put', file, served.place('taken')])).code).toBe(0);
    const ended = await here.runJson(['put', '--if-exists', what, file, served.place('taken')]);
    expect(ended.code).toBe(exit);
    expect(ended.events.some(({ type }) => type === 'progress')).toBe(false);
    expect(readdirSync(`${served.root}/.sealift/uploads`)).toEqual([]);
  });
});

describe('a target that is a link', () => {
  test('to a file: what it points to is replaced', async () => {
    home.write('work/real', 'old');
    symlinkSync('real', home.at('work', 'link'));
    await home.run(['put', home.write('new', 'new'), served.place('new')]);
    expect((await home.run(['get', served.place('new'), 'link'])).code).toBe(0);
    expect(lstatSync(home.at('work', 'link')).isSymbolicLink()).toBe(true);
    expect(home.read('work/real').toString()).toBe('new');
  });

  test.each([
    ['to nothing', 'nowhere'],
    ['to a device', '/dev/null'],
  ])('%s: left alone', async (_, to) => {
    const name = `link-${to.length}`;
    symlinkSync(to, home.at('work', name));
    expect((await here.run(['get', served.place('new'), name])).code).toBe(10);
    expect(lstatSync(home.at('work', name)).isSymbolicLink()).toBe(true);
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
  });
});

describe('a remote whose server got a new key', () => {
  test('is told as it is called, and mended by the command that is advised', async () => {
    const url = `sealift://127.0.0.1:${served.port}?pin=${served.pin}`;
    expect((await home.run(['remote', 'add', 'box', url])).code).toBe(0);
    const file = home.at('config', 'sealift', 'remotes.toml');
    const wrong = `sha256//${Buffer.alloc(32).toString('base64')}`;
    home.write(
      'config/sealift/remotes.toml',
      home.read('config/sealift/remotes.toml').toString().replaceAll(served.pin, wrong),
    );
    const refused = await home.run(['ls', 'box:']);
    expect(refused).toMatchObject({
      code: 6,
      stderr: expect.stringContaining('sealift trust --replace box'),
    });
    expect((await home.run(['trust', '--replace', '--yes', 'box'])).code).toBe(0);
    expect((await home.run(['ls', 'box:'])).code).toBe(0);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });
});

test('a directory needs --recursive to be fetched, also where one of that name stands here', async () => {
  const file = home.write('work/target/photos/x', 'x');
  expect((await here.run(['put', file, served.place('photos/x')])).code).toBe(0);
  for (const args of [[], ['--if-exists', 'fail'], ['--dry-run']]) {
    const { code, stderr } = await here.run(['get', ...args, served.place('photos'), 'target/']);
    expect({ code, stderr }).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('"photos" is a directory. To fetch it with all in it: --recursive'),
    });
  }
  // A file is no tree: what is in its way is told.
  mkdirSync(home.at('work/other/x'), { recursive: true });
  expect((await here.run(['get', served.place('photos/x'), 'other/'])).code).toBe(10);
});

test('what a directory needs to be removed or read is told', async () => {
  const file = home.write('work/full', 'x');
  expect((await here.run(['put', file, served.place('full/x')])).code).toBe(0);
  for (const args of [['rm'], ['rm', '-n']])
    expect(await here.run([...args, served.place('full')])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('--recursive'),
    });
  expect(await here.run(['cat', served.place('full')])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('sealift get --recursive'),
  });
});

describe('joining', () => {
  test('a bad name does not use the code up', async () => {
    const operator = new CliHome();
    try {
      const started = operator.start([
        'serve',
        operator.at('root'),
        '--host',
        '127.0.0.1',
        '--port',
        '0',
        '--json',
      ]);
      const command = (await started.event('join'))['command'] as string;
      const url = /'(.*)'/.exec(command)?.[1] ?? '';
      expect((await here.run(['remote', 'add', 'my server', url])).code).toBe(2);
      expect((await here.run(['remote', 'add', 'mine', url])).code).toBe(0);
    } finally {
      await operator.close();
    }
  });

  test('brings a token, which holds where SEALIFT_TOKEN is empty', async () => {
    const operator = new CliHome();
    try {
      const args = ['serve', operator.at('root'), '--host', '127.0.0.1', '--port', '0', '--json'];
      const command = (await operator.start(args).event('join'))['command'] as string;
      const url = /'(.*)'/.exec(command)?.[1] ?? '';
      expect((await here.run(['remote', 'add', 'joined', url])).code).toBe(0);
      expect((await here.run(['ls', 'joined:'], { env: { SEALIFT_TOKEN: '' } })).code).toBe(0);
    } finally {
      await operator.close();
    }
  });

  test('a second client is let in by --join', async () => {
    const operator = new CliHome();
    try {
      const args = ['serve', operator.at('root'), '--host', '127.0.0.1', '--port', '0', '--json', '--join'];
      for (const name of ['first', 'second']) {
        const started = operator.start(args);
        const url = /'(.*)'/.exec((await started.event('join'))['command'] as string)?.[1] ?? '';
        expect((await here.run(['remote', 'add', name, url])).code).toBe(0);
        await started.kill('SIGTERM');
      }
      expect(operator.read('root/.sealift/users.toml').toString()).toContain('[principals.client-2]');
    } finally {
      await operator.close();
    }
  });
});

test.each([
  ['0', 6],
  ['false', 6],
  ['1', 0],
  ['perhaps', 2],
])('SEALIFT_INSECURE=%s means what it says', async (value, exit) => {
  const stranger = new CliHome();
  try {
    const { code } = await stranger.run(['ls', served.place()], { env: { SEALIFT_INSECURE: value } });
    expect(code).toBe(exit);
  } finally {
    await stranger.close();
  }
});

test('--port holds for an IPv6 address in brackets and for a host, and a name says it is not saved', async () => {
  const { stderr } = await here.run(['ls', '--retry', '0', '--port', '1', '[::1]:']);
  expect(stderr).toContain('[::1]:1');
});

test('two sources that would become one file are refused', async () => {
  mkdirSync(home.at('work', 'd1'));
  mkdirSync(home.at('work', 'd2'));
  home.write('work/d1/f', '1');
  home.write('work/d2/f', '2');
  expect((await here.run(['put', 'd1/f', 'd2/f', served.place('into/')])).code).toBe(2);
});

test('a pattern that the shell was kept from expanding is told of', async () => {
  const { code, stderr } = await here.run(['put', 'photos/*.jpg', served.place('jpg/')]);
  expect({ code, stderr }).toMatchObject({ code: 4, stderr: expect.stringContaining('without quotes') });
});

test('sync takes --recursive, as what it is', async () => {
  home.write('work/whole/a/b', 'x');
  expect((await here.run(['sync', '-r', 'whole', served.place('whole')])).code).toBe(0);
  expect(existsSync(`${served.root}/whole/a/b`)).toBe(true);
});

describe('a pattern, which no server expands', () => {
  beforeAll(async () => {
    const names = ['one.txt', 'two.txt', 'literal [1].txt'];
    const sources = names.map((name) => home.write(`patterns/${name}`, name));
    expect((await here.run(['put', ...sources, served.place('patterns/')])).code).toBe(0);
  });

  const place = () => served.place('patterns/*.txt');
  test.each<[string, () => string[]]>([
    ['get', () => ['get', place(), '.']],
    ['get to standard output', () => ['get', place(), '-']],
    ['get -r', () => ['get', '-r', served.place('patt?rns'), 'fetched']],
    ['sync', () => ['sync', place(), 'synced']],
    ['check', () => ['check', place(), '.']],
    ['cat', () => ['cat', place()]],
    ['ls', () => ['ls', place()]],
    ['stat', () => ['stat', place()]],
    ['mv', () => ['mv', place(), served.place('elsewhere/')]],
    ['rm', () => ['rm', place()]],
    ['rm -f', () => ['rm', '-f', place()]],
  ])('%s: a usage error that says what to do', async (_, args) => {
    const { code, stdout, stderr } = await here.run(args());
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('patterns are not expanded');
    expect(stderr).toContain(`sealift search ${served.place()} 'patt`);
    expect(readdirSync(`${served.root}/patterns`)).toHaveLength(3);
  });

  test('is none where a file is called so', async () => {
    const literal = served.place('patterns/literal [1].txt');
    expect(await here.run(['cat', literal])).toMatchObject({ code: 0, stdout: 'literal [1].txt' });
    expect((await here.run(['get', literal, '.'])).code).toBe(0);
    expect((await here.run(['rm', literal])).code).toBe(0);
  });
});

test.each(['put', 'get'])(
  'several sources of %s go into a directory, which is made where it is written so',
  async (command) => {
    const local = ['x', 'y'].map((name) => home.write(`work/several/${name}`, name));
    expect((await here.run(['put', ...local, served.place('several/')])).code).toBe(0);
    const sources = command === 'put' ? local : ['x', 'y'].map((name) => served.place(`several/${name}`));
    const target = command === 'put' ? served.place('made') : 'made';
    const refused = await here.run([command, ...sources, target]);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining(`write ${target}/`) });
    const directory = command === 'put' ? `${served.root}/made` : home.at('work/made');
    expect(existsSync(directory)).toBe(false);
    expect((await here.run([command, ...sources, `${target}/`])).code).toBe(0);
    expect((await here.run([command, ...sources, target])).code).toBe(0);
    expect(readdirSync(directory)).toEqual(['x', 'y']);
  },
);
