import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { chmod, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';

import { checkTrees } from '../../../src/client/tree/check-trees.ts';
import { scanLocal, type ScanOptions } from '../../../src/client/tree/local-scan.ts';
import type { TreeEntry } from '../../../src/client/tree/tree-entry.ts';
import { EVERYTHING, treeFilter } from '../../../src/client/tree/tree-filter.ts';
import { failureOf } from '../../support/failure.ts';
import { contentsAt, LONG_AGO, plantTree, type Planted } from '../../support/planted-tree.ts';
import { temporaryDirectory } from '../../support/test-server.ts';
import { useNobodysRights } from '../../storage/fs/nobodys-rights.ts';
import { copy, startTrees } from './tree-setting.ts';

useNobodysRights();

/** What a scan finds and tells. */
async function scanned(root: string, options: Partial<ScanOptions> = {}) {
  const told = {
    problems: {} as Record<string, string>,
    leftOut: [] as string[],
    temporaries: [] as string[],
    special: [] as string[],
    reserved: [] as string[],
  };
  const messages: string[] = [];
  const entries: TreeEntry[] = [];
  const scan = scanLocal(root, {
    filter: EVERYTHING,
    onProblem: ({ code, message }, path) => {
      told.problems[path] = code;
      messages.push(message);
    },
    onLeftOut: (path) => told.leftOut.push(path),
    onSpecial: (path) => told.special.push(path),
    onReserved: (path) => told.reserved.push(path),
    onTemporary: (path) => told.temporaries.push(path),
    ...options,
  });
  for await (const batch of scan) entries.push(...batch);
  return { entries, paths: entries.map(({ path }) => path), ...told, messages };
}

const planted = async (tree: Record<string, Planted>) =>
  plantTree(join(await temporaryDirectory(), 'root'), tree);

test('everything is found once, directories before what they hold, by name', async () => {
  const root = await planted({
    'b/c/d': { content: 'xyz', mode: 0o604, mtimeMs: -1.5 },
    'b/a': { link: '../nowhere', mtimeMs: 1_000.9 },
    'b/': { mode: 0o751 },
    a: '',
  });
  const { entries, ...told } = await scanned(root);
  expect(
    entries.map(({ path, type, size, mode, mtimeMs, target }) => [path, type, size, mode, mtimeMs, target]),
  ).toEqual([
    ['', 'directory', 0, expect.any(Number), expect.any(Number), undefined],
    ['a', 'file', 0, expect.any(Number), LONG_AGO, undefined],
    ['b', 'directory', 0, 0o751, LONG_AGO, undefined],
    ['b/a', 'symlink', 10, 0o777, 1_000, '../nowhere'],
    ['b/c', 'directory', 0, expect.any(Number), expect.any(Number), undefined],
    ['b/c/d', 'file', 3, 0o604, -2, undefined],
  ]);
  expect(told).toMatchObject({ problems: {}, leftOut: [], temporaries: [] });
});

test('a directory of more names than are looked at together, and many directories', async () => {
  const names = Array.from({ length: 700 }, (_, number) => `f${number}`);
  const root = await planted(
    Object.fromEntries(
      names.flatMap((name, n) => [
        [name, ''],
        [`d${n % 40}/${name}`, ''],
      ]),
    ),
  );
  const { paths } = await scanned(root);
  expect(paths).toHaveLength(1 + 700 + 40 + 700);
  expect(new Set(paths).size).toBe(paths.length);
  expect((await scanned(root)).paths).toEqual(paths);
});

test('the top may be a link, and a file; nothing else', async () => {
  const root = await planted({ 'tree/a': 'x', dangling: { link: 'nowhere' }, link: { link: 'tree' } });
  expect((await scanned(join(root, 'link'))).paths).toEqual(['', 'a']);
  expect((await scanned(join(root, 'tree/a'))).entries).toMatchObject([{ path: '', type: 'file', size: 1 }]);
  for (const [name, code] of [
    ['dangling', 'local-not-found'],
    ['missing', 'local-not-found'],
    ['tree/a/b', 'local-not-found'],
    ['/dev/null', 'local-file'],
  ] as const)
    expect(await failureOf(scanned(name.startsWith('/') ? name : join(root, name)))).toMatchObject({ code });
});

test('what has no content is passed over, and what is our own; only what a transfer leaves without a word', async () => {
  const root = await planted({
    a: '',
    '.sealift/key': 'secret',
    'd/.SEALIFT/key': 'secret',
    'd/.sealift-0123456789abcdef.part': '',
    'd/.sealift-0123456789abcdef.lock': '',
    'd/.sealift-aaaaaaaaaaaaaaaa.part/x': '',
    'd/.sealift-bbbbbbbbbbbbbbbb.part': { link: 'a' },
    'SEALIF~1': 'data',
    '.sealift-other': '',
  });
  execFileSync('mkfifo', [join(root, 'fifo')]);
  const server = createServer().listen(join(root, 'socket'));
  onTestFinished(() => void server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const { paths, problems, special, reserved, temporaries } = await scanned(root);
  expect(paths).toEqual(['', '.sealift-other', 'a', 'd']);
  expect(problems).toEqual({});
  expect(special).toEqual(['fifo', 'socket']);
  expect(reserved).toEqual([
    ...['.sealift', 'SEALIF~1', 'd/.SEALIFT'],
    ...['d/.sealift-aaaaaaaaaaaaaaaa.part', 'd/.sealift-bbbbbbbbbbbbbbbb.part'],
  ]);
  expect(temporaries).toEqual([
    ...['d/.sealift-0123456789abcdef.lock', 'd/.sealift-0123456789abcdef.part'],
    'd/.sealift-bbbbbbbbbbbbbbbb.part',
  ]);
  const excluding = await scanned(root, { filter: treeFilter({ exclude: ['fifo', '.sealift/', 'd/'] }) });
  expect(excluding).toMatchObject({ special: ['socket'], reserved: ['SEALIF~1'] });
});

test('what has no content is skipped, and what has its name at the target stays', async () => {
  const trees = await startTrees('put', { a: 'a', 'd/x': 'x' }, { 'd/fifo': 'kept', 'd/old': 'o', tmp: 't' });
  for (const name of ['d/fifo', 'tmp']) execFileSync('mkfifo', [join(trees.source, name)]);
  const { told, isComplete } = await copy(trees.direction(), {
    plan: { filter: treeFilter({ exclude: ['tmp'] }) },
  });
  expect(told).toMatchObject({ failed: {}, skipped: { 'd/fifo': 'special' } });
  expect(isComplete).toBe(true);
  expect(await contentsAt(trees.target)).toEqual({
    a: 'a',
    'd/': '',
    'd/x': 'x',
    'd/fifo': 'kept',
    tmp: 't',
  });
  expect(Object.keys(told.skipped)).not.toContain('tmp');
  const direction = trees.direction();
  const options = { filter: EVERYTHING, onProblem: () => undefined, isHopeless: () => false };
  expect(await Array.fromAsync(checkTrees(direction, options))).toEqual([]);
  await direction[Symbol.asyncDispose]();
});

test('names that no path can say are told with the place where they go wrong', async () => {
  const root = await planted({
    good: '',
    'line\nbreak': '',
    'bell\u0007/file': '',
    '\ufffd': 'a name like others',
  });
  const raw = (...bytes: number[]) => Buffer.concat([Buffer.from(`${root}/`), Buffer.from(bytes)]);
  writeFileSync(raw(0x61, 0xff, 0x62), '');
  mkdirSync(raw(0xc3));
  const { paths, problems, messages } = await scanned(root);
  expect(paths).toEqual(['', 'good', '\ufffd']);
  expect(problems).toEqual({
    'line\nbreak': 'bad-name',
    'bell\u0007': 'bad-name',
    'a\ufffdb': 'bad-name',
    '\ufffd': 'bad-name',
  });
  expect(messages.sort()).toEqual([
    '"bell\\u0007" holds the control character U+0007 at position 4, and cannot be sent.',
    '"line\\nbreak" holds the control character U+000A at position 4, and cannot be sent.',
    'The name "aÿb" is not UTF-8 (byte 0xff at position 1), and cannot be sent.',
    'The name "Ã" is not UTF-8 (byte 0xc3 at position 0), and cannot be sent.',
  ]);
});

test('what goes while the scan goes on is not there; what comes after is not missed for it', async () => {
  const root = await planted({ 'a/x': '', 'b/x': '', 'c/x': '', f: '' });
  const paths: string[] = [];
  const problems: string[] = [];
  const onProblem: ScanOptions['onProblem'] = (_, path) => problems.push(path);
  for await (const batch of scanLocal(root, { filter: EVERYTHING, onProblem })) {
    paths.push(...batch.map(({ path }) => path));
    if (paths.includes('a')) rmSync(join(root, 'b'), { recursive: true, force: true });
  }
  expect(paths).toEqual(['', 'a', 'b', 'c', 'f', 'a/x', 'c/x']);
  // It was told of as a directory, so that nothing may be removed for what it lacks.
  expect(problems).toEqual(['b']);
});

describe('where files go while a flat directory is looked at', () => {
  /** Scans a directory of more files than are looked at together, and calls `change` when the first of them are told. */
  const scanChanging = async (change: (directory: string) => void) => {
    const names = Array.from({ length: 700 }, (_, number) => `f${number}`);
    const root = await planted({ ...Object.fromEntries(names.map((name) => [`d/${name}`, ''])), z: '' });
    const problems: [path: string, code: string][] = [];
    const paths: string[] = [];
    const onProblem: ScanOptions['onProblem'] = ({ code }, path) => problems.push([path, code]);
    for await (const batch of scanLocal(root, { filter: EVERYTHING, onProblem })) {
      paths.push(...batch.map(({ path }) => path));
      if (paths.at(-1)?.startsWith('d/') === true && paths.length < 400) change(join(root, 'd'));
    }
    return { problems, count: paths.length };
  };

  test('they are not there, if it stays', async () => {
    const { problems, count } = await scanChanging((directory) => rmSync(join(directory, 'f9')));
    expect([problems, count]).toEqual([[], 3 + 699]);
  });

  test.each<[name: string, change: (directory: string) => void]>([
    ['is gone with them', (directory) => rmSync(directory, { recursive: true })],
    [
      'has another in its place, as where a file system is unmounted',
      (directory) => {
        renameSync(directory, `${directory}-before`);
        mkdirSync(directory);
      },
    ],
  ])('it is told if it %s', async (_, change) => {
    expect((await scanChanging(change)).problems).toEqual([['d', 'local-file']]);
  });
});

test('a filter says what is read and what is left out', async () => {
  const root = await planted({ 'tmp/a': '', 'src/a': 'xxxx', 'src/b': 'x', 'src/c.o': 'xxxx' });
  chmodSync(join(root, 'tmp'), 0);
  const { paths, leftOut, problems } = await scanned(root, {
    filter: treeFilter({ exclude: ['tmp', '*.o'], maxSizeBytes: 3 }),
  });
  expect([paths, leftOut, problems]).toEqual([['', 'src', 'src/b'], ['src/a'], {}]);
  await chmod(join(root, 'tmp'), 0o700);
});

test('somebody says stop', async () => {
  const root = await planted({ 'a/b': '' });
  const signal = AbortSignal.abort();
  expect(await failureOf(scanned(root, { signal }))).toMatchObject({ code: 'aborted' });
});

describe('what may not be read', () => {
  test('is told, and keeps nothing else from being found', async () => {
    const root = await planted({ 'a/x': '', 'closed/x': '', 'listed/x': '', secret: '', z: '' });
    for (const [name, mode] of [
      ['closed', 0o300],
      ['listed', 0o600],
      ['secret', 0],
    ] as const)
      await chmod(join(root, name), mode);
    const { paths, problems } = await scanned(root);
    // That a file cannot be opened shows only when it is to be sent.
    expect(paths).toEqual(['', 'a', 'closed', 'listed', 'secret', 'z', 'a/x']);
    expect(problems).toEqual({ closed: 'local-file', 'listed/x': 'local-file' });
    for (const name of ['closed', 'listed']) await chmod(join(root, name), 0o700);
    await chmod(root, 0o300);
    expect((await scanned(root)).problems).toEqual({ '': 'local-file' });
    await chmod(root, 0o700);
  });

  test('is named in the end, all else arrives, and nothing is removed', async () => {
    const trees = await startTrees(
      'put',
      { a: 'a', 'd/secret': 's', 'closed/x': 'x', z: 'z' },
      { extra: 'e' },
    );
    await chmod(join(trees.source, 'd/secret'), 0);
    await chmod(join(trees.source, 'closed'), 0);
    const { told, isComplete } = await copy(trees.direction());
    expect([told.failed, isComplete]).toEqual([{ closed: 'local-file', 'd/secret': 'local-file' }, false]);
    expect(told.done).toEqual(expect.arrayContaining(['file a', 'file z', 'directory d']));
    await chmod(join(trees.source, 'closed'), 0o700);
    symlinkSync('a', join(trees.source, 'l'));
    await rm(trees.source, { recursive: true });
  });
});
