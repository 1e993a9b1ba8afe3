import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CliHome, events, type ServeProcess } from '../support/cli.ts';

const home = new CliHome();
let server: ServeProcess;

beforeAll(async () => {
  server = await home.serve();
});
afterAll(() => home.close());

const cat = async (path: string) => (await home.run(['cat', '--', server.place(path)])).stdout;

describe('names', () => {
  test.each([
    ['with spaces', ' a  b .txt'],
    ['with quotes', `it's "so" \`x\` $HOME \\`],
    ['with emoji', 'päper 😀.txt'],
    ['with percent and question mark', 'a%20b?c#d&e=f'],
    ['that begins with a dash', '-rf'],
    ['of 255 bytes', `${'x'.repeat(251)}.txt`],
    ['with a colon', 'a:b'],
  ])('%s come there and back', async (_, name) => {
    writeFileSync(home.at('work', name), name);
    const local = name.includes(':') ? `./${name}` : name;
    expect(await home.run(['put', '--', local, server.place('names/')])).toMatchObject({ code: 0 });
    expect((await home.run(['ls', server.place('names')])).stdout.split('\n')).toContain(name);
    mkdirSync(home.at('work', 'back'), { recursive: true });
    expect(await home.run(['get', '--', server.place(`names/${name}`), 'back'])).toMatchObject({ code: 0 });
    expect(home.read(`work/back/${name}`).toString()).toBe(name);
  });
});

describe('where a file goes', () => {
  beforeAll(() => {
    home.write('work/src.txt', 'source');
  });

  test.each([
    ['to a name', 'to/name', 'to/name'],
    ['into a directory that is not there yet', 'to/new/', 'to/new/src.txt'],
    ['into a directory that is there', 'to/new', 'to/new/src.txt'],
    ['into the root', '', 'src.txt'],
  ])('put %s', async (_, target, path) => {
    expect((await home.run(['put', 'src.txt', server.place(target)])).code).toBe(0);
    expect(await cat(path)).toBe('source');
  });

  test.each([
    ['to a name', 'got/name', 'got/name'],
    ['into a directory that is not there yet', 'got/new/', 'got/new/src.txt'],
    ['into a directory that is there', 'got/new', 'got/new/src.txt'],
  ])('get %s', async (_, target, path) => {
    expect((await home.run(['get', server.place('src.txt'), target])).code).toBe(0);
    expect(home.read(`work/${path}`).toString()).toBe('source');
  });

  test('get of several onto a file is refused before anything is fetched', async () => {
    const { code, stderr } = await home.run([
      'get',
      server.place('src.txt'),
      server.place('to/name'),
      'src.txt',
    ]);
    expect(code).toBe(2);
    expect(stderr).toContain('src.txt is no directory');
  });
});

describe('several files in one call', () => {
  beforeAll(() => {
    for (const name of ['a', 'b', 'c']) home.write(`work/${name}`, name);
  });

  test('all go, and are counted', async () => {
    const put = await home.runJson(['put', 'a', 'b', 'c', server.place('many')]);
    expect(put.code).toBe(0);
    expect(put.events[0]).toMatchObject({ type: 'start', files: 3, bytes: 3 });
    expect(put.events.at(-1)).toMatchObject({ type: 'summary', files: 3, failed: 0, exitCode: 0 });
    const places = ['a', 'b', 'c'].map((name) => server.place(`many/${name}`));
    expect((await home.run(['cat', ...places])).stdout).toBe('abc');
    const got = await home.run(['get', ...places, 'many/']);
    expect(got.stderr).toMatch(/\n3 of 3 files, 3B in \S+\n$/);
    expect(home.read('work/many/c').toString()).toBe('c');
  });

  test('some that fail are exit code 3, and the rest is done', async () => {
    const put = await home.runJson(['put', 'a', 'none', 'c', server.place('some')]);
    expect(put.code).toBe(3);
    expect(put.events.at(-1)).toMatchObject({ files: 2, failed: 1, exitCode: 3 });
    expect(await cat('some/c')).toBe('c');
    const got = await home.run(['get', server.place('some/none'), server.place('some/a'), 'some/']);
    expect(got.code).toBe(3);
    expect(home.read('work/some/a').toString()).toBe('a');
    expect((await home.run(['cat', server.place('some/none'), server.place('some/a')])).code).toBe(3);
    expect((await home.run(['rm', server.place('some/none'), server.place('some/a')])).code).toBe(3);
  });

  test('all that fail for one reason are the code of that reason', async () => {
    expect((await home.run(['put', 'none', 'never', server.place('x/')])).code).toBe(4);
    expect((await home.run(['get', server.place('none'), server.place('never'), 'x/'])).code).toBe(4);
    expect((await home.run(['rm', server.place('none'), server.place('never')])).code).toBe(4);
  });

  test('a directory among them is refused, the others go', async () => {
    mkdirSync(home.at('work', 'folder'), { recursive: true });
    const { code, stderr } = await home.run(['put', 'folder', 'a', server.place('mixed/')]);
    expect(code).toBe(3);
    expect(stderr).toContain('folder is a directory');
    expect(await cat('mixed/a')).toBe('a');
  });
});

describe('standard input and output', () => {
  const large = Buffer.alloc(2 ** 21 + 17, 'Sealift ');

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['a line', Buffer.from('line\n')],
    ['more than two blocks', large],
  ])('%s goes there and back, its size unknown', async (_, input) => {
    const put = await home.runJson(['put', '-', server.place('stdin')], { input });
    expect(put.code).toBe(0);
    expect(put.events[0]).toMatchObject({ bytes: null });
    expect(put.events[1]).toMatchObject({ path: 'stdin', size: input.length });
    const got = await home.run(['get', server.place('stdin'), '-']);
    expect(got.bytes.equals(input)).toBe(true);
    expect((await home.run(['cat', server.place('stdin')])).bytes.equals(input)).toBe(true);
  });

  test('with the data on standard output, --json goes to standard error', async () => {
    await home.run(['put', '-', server.place('json')], { input: 'data' });
    const { stdout, stderr } = await home.run(['get', '--json', server.place('json'), '-']);
    expect(stdout).toBe('data');
    expect(events(stderr).map(({ type }) => type)).toEqual(['start', 'file', 'summary']);
  });
});

describe('--if-exists', () => {
  const OLD = 'old';
  const NEW = 'newer';
  const RENAMED = [
    ['overwrite', 0, NEW, false],
    ['skip', 0, OLD, false],
    ['fail', 10, OLD, false],
    ['rename', 0, OLD, true],
  ] as const;

  test.each(RENAMED)('%s, on the server: exit code %i', async (what, exit, content, isRenamed) => {
    const directory = `put-${what}`;
    home.write('work/f.txt', OLD);
    await home.run(['put', 'f.txt', server.place(`${directory}/`)]);
    home.write('work/f.txt', NEW);
    const { code, events: told } = await home.runJson([
      'put',
      '--if-exists',
      what,
      'f.txt',
      server.place(`${directory}/`),
    ]);
    expect(code).toBe(exit);
    expect(told.at(-1)).toMatchObject({ skipped: what === 'skip' ? 1 : 0, exitCode: exit });
    expect(await cat(`${directory}/f.txt`)).toBe(content);
    expect(await cat(`${directory}/f-1.txt`)).toBe(isRenamed ? NEW : '');
  });

  test.each(RENAMED)('%s, here: exit code %i', async (what, exit, content, isRenamed) => {
    home.write('work/n.txt', NEW);
    await home.run(['put', 'n.txt', server.place('new.txt')]);
    home.write(`work/get-${what}/f.txt`, OLD);
    const { code } = await home.run([
      'get',
      '--if-exists',
      what,
      server.place('new.txt'),
      `get-${what}/f.txt`,
    ]);
    expect(code).toBe(exit);
    expect(home.read(`work/get-${what}/f.txt`).toString()).toBe(content);
    expect(existsSync(home.at(`work/get-${what}/f-1.txt`))).toBe(isRenamed);
  });
});

test('what is no ordinary file is neither sent nor replaced', async () => {
  home.write('work/real', 'real');
  symlinkSync('/dev/null', home.at('work', 'device'));
  expect((await home.run(['put', '/dev/null', server.place('device')])).stderr).toContain('no ordinary file');
  await home.run(['put', 'real', server.place('real')]);
  const { code, stderr } = await home.run(['get', server.place('real'), '/dev/null']);
  expect(code).toBe(10);
  expect(stderr).toContain('/dev/null is no ordinary file');
});

test('clean lists what is left, and removes it unless it is to be only shown', async () => {
  const partial = home.write('left/.sealift-0123456789abcdef.part', 'left over');
  home.write('left/.sealift-notes.part', 'mine');
  const shown = await home.run(['clean', '-n', home.at('left')]);
  expect(shown).toMatchObject({ code: 0, stderr: '' });
  expect(shown.stdout).toMatch(/^\S+0123456789abcdef\.part\t9B\t\S+ old\n$/);
  expect((await home.run(['clean', '--older-than', '1d', home.at('left')])).stdout).toBe('');
  const { events: told } = await home.runJson(['clean', home.at('left')]);
  expect(told).toMatchObject([{ type: 'partial', path: partial, size: 9, removed: true }]);
  expect(existsSync(partial)).toBe(false);
  expect(existsSync(home.at('left/.sealift-notes.part'))).toBe(true);
  expect((await home.run(['clean', home.at('nowhere')])).code).toBe(4);
});
