import { describe, expect, test } from 'vitest';
import { EVERYTHING, treeFilter, type FilterOptions } from '../../src/client/tree/tree-filter.ts';
import { thrownBy } from '../thrown.ts';

/** What a walk that asks the filter meets in a tree; a path that ends in a slash is a directory. */
function walk(options: FilterOptions, tree: string): { taken: string; entered: string; protected: string } {
  const filter = treeFilter(options);
  const paths = tree
    .split(' ')
    .map((text) => ({ path: text.replace(/\/$/, ''), isDirectory: text.endsWith('/') }));
  const those = (isIt: (path: string, isDirectory: boolean) => boolean) =>
    paths
      .filter(({ path, isDirectory }) => isIt(path, isDirectory))
      .map(({ path }) => path)
      .join(' ');
  const takes = (path: string, isDirectory: boolean) =>
    filter.takes({ path, type: isDirectory ? 'directory' : 'file', size: 0, mtimeMs: 0 });
  // Whatever is taken can also be reached, by way of every directory above it.
  for (const { path } of paths.filter(({ path, isDirectory }) => takes(path, isDirectory))) {
    const above = path
      .split('/')
      .slice(0, -1)
      .map((_, index, all) => all.slice(0, index + 1).join('/'));
    expect(
      above.filter((directory) => !filter.entersDirectory(directory)),
      path,
    ).toEqual([]);
  }
  return {
    taken: those(takes),
    entered: those((path, isDirectory) => isDirectory && filter.entersDirectory(path)),
    protected: those((path, isDirectory) => filter.protects(path, isDirectory)),
  };
}

const TREE = 'a.txt b.o docs/ docs/c.txt docs/d.o docs/tmp/ docs/tmp/e.txt tmp/ tmp/f.txt';

describe('patterns', () => {
  test.each<[string, FilterOptions, string, string]>([
    ['without any, all is taken', {}, TREE, 'docs docs/tmp tmp'],
    [
      'what is excluded is left out, wherever it stands, with everything below it',
      { exclude: ['tmp'] },
      'a.txt b.o docs docs/c.txt docs/d.o',
      'docs',
    ],
    [
      'a slash binds a pattern to the top',
      { exclude: ['/tmp', '*.o'] },
      'a.txt docs docs/c.txt docs/tmp docs/tmp/e.txt',
      'docs docs/tmp',
    ],
    [
      'a slash at the end means directories only',
      { exclude: ['docs/', 'a.txt/'] },
      'a.txt b.o tmp tmp/f.txt',
      'tmp',
    ],
    [
      'the last that matches decides',
      { exclude: ['*.txt', '!c.txt', 'tmp'] },
      'b.o docs docs/c.txt docs/d.o',
      'docs',
    ],
    [
      'and so, turned around, the exclude does',
      { exclude: ['!c.txt', '*.txt', 'tmp'] },
      'b.o docs docs/d.o',
      'docs',
    ],
    [
      'the case of letters counts',
      { exclude: ['DOCS', '*.O', 'tmp'] },
      'a.txt b.o docs docs/c.txt docs/d.o',
      'docs',
    ],
    [
      'what is included is taken although a directory above it is excluded, which is then entered but not taken',
      { exclude: ['tmp', '*.o'], include: ['f.txt', '/b.o'] },
      'a.txt b.o docs docs/c.txt tmp/f.txt',
      'docs docs/tmp tmp',
    ],
    [
      'nothing else is taken where nothing is excluded',
      { include: ['*.o'] },
      'b.o docs/d.o',
      'docs docs/tmp tmp',
    ],
    [
      'an included directory takes all below it, and the rest need not be read',
      { include: ['/docs/tmp'] },
      'docs/tmp docs/tmp/e.txt',
      'docs docs/tmp',
    ],
    [
      'from an included directory, nothing can be taken back, nor need more be read for it',
      { include: ['/docs/tmp', '!e.txt'] },
      'docs/tmp docs/tmp/e.txt',
      'docs docs/tmp',
    ],
    [
      'a wildcard ends what is known of the way there',
      { include: ['/docs/*/e.txt', '/a.txt'] },
      'a.txt docs/tmp/e.txt',
      'docs docs/tmp',
    ],
    [
      'an include can take back another',
      { include: ['*.txt', '!e.txt'] },
      'a.txt docs/c.txt tmp/f.txt',
      'docs docs/tmp tmp',
    ],
  ])('%s', (_, options, taken, entered) => {
    const plain = (text: string) => text.replaceAll(/\/(?= |$)/g, '');
    const leftOut = plain(TREE)
      .split(' ')
      .filter((path) => !plain(taken).split(' ').includes(path));
    expect(walk(options, TREE)).toEqual({ taken: plain(taken), entered, protected: leftOut.join(' ') });
  });

  test('the top is always taken, never deleted for a pattern, and read', () => {
    const filter = treeFilter({ exclude: ['*'], include: ['/a'], files: ['b'] });
    expect(filter.takes({ path: '', type: 'directory', size: 0, mtimeMs: 0 })).toBe(true);
    expect(filter.entersDirectory('')).toBe(true);
    expect(filter.protects('', true)).toBe(false);
  });

  test('a link to a directory is no directory', () => {
    const link = { path: 'tmp', type: 'symlink', size: 3, mtimeMs: 0 } as const;
    expect(treeFilter({ exclude: ['tmp/'] }).takes(link)).toBe(true);
    expect(treeFilter({ exclude: ['tmp'] }).takes(link)).toBe(false);
  });
});

describe('a list of files', () => {
  test.each<[string, FilterOptions, string, string]>([
    [
      'takes these, and reads only the way to them',
      { files: ['docs/tmp/e.txt', 'a.txt'] },
      'a.txt docs/tmp/e.txt',
      'docs docs/tmp',
    ],
    [
      'takes a directory with everything below it',
      { files: ['./docs//tmp/'] },
      'docs/tmp docs/tmp/e.txt',
      'docs docs/tmp',
    ],
    [
      'takes all for the top',
      { files: ['.', 'a.txt'] },
      TREE.replaceAll(/\/(?= |$)/g, ''),
      'docs docs/tmp tmp',
    ],
    ['holds no patterns', { files: ['*.txt', 'doc'] }, '', ''],
    [
      'is subject to excludes',
      { files: ['docs', 'tmp/f.txt'], exclude: ['*.o', '/tmp'] },
      'docs docs/c.txt docs/tmp docs/tmp/e.txt',
      'docs docs/tmp',
    ],
    ['and to includes', { files: ['docs'], include: ['e.txt', 'f.txt'] }, 'docs/tmp/e.txt', 'docs docs/tmp'],
    ['that is empty takes nothing', { files: [] }, '', ''],
  ])('%s', (_, options, taken, entered) => {
    const walked = walk(options, TREE);
    expect(walked).toMatchObject({ taken, entered });
    const paths = TREE.replaceAll(/\/(?= |$)/g, '').split(' ');
    expect(walked.protected).toBe(paths.filter((path) => !taken.split(' ').includes(path)).join(' '));
  });

  test('tells what was named, in plain form', () => {
    expect(treeFilter({ files: ['./a', 'b/', 'c//d', 'a', '.'] }).named).toEqual(
      new Set(['a', 'b', 'c/d', '']),
    );
    expect(treeFilter({ exclude: ['a'] }).named).toBeUndefined();
    expect(EVERYTHING.named).toBeUndefined();
  });

  test.each(['', '/a', '/', '..', 'a/../b', '../a', './..'])('%j cannot be in one', (name) => {
    expect(thrownBy(() => treeFilter({ files: ['a', name] }))).toMatchObject({
      code: 'usage',
      message: `${JSON.stringify(name)} is no path inside the tree.`,
    });
  });
});

describe('limits', () => {
  test.each<[string, FilterOptions, { size?: number; mtimeMs?: number }, boolean]>([
    ['the largest', { maxSizeBytes: 10 }, { size: 10 }, true],
    ['larger', { maxSizeBytes: 10 }, { size: 11 }, false],
    ['empty, with the largest 0', { maxSizeBytes: 0 }, { size: 0 }, true],
    ['the smallest', { minSizeBytes: 10 }, { size: 10 }, true],
    ['smaller', { minSizeBytes: 10 }, { size: 9 }, false],
    ['as old as that', { newerThanMs: 1_000 }, { mtimeMs: 1_000 }, true],
    ['older', { newerThanMs: 1_000 }, { mtimeMs: 999.9 }, false],
    ['older than 1970', { newerThanMs: 0 }, { mtimeMs: -1 }, false],
    ['large, though included', { maxSizeBytes: 1, exclude: ['b'], include: ['a'] }, { size: 2 }, false],
  ])('%s', (_, options, attributes, isTaken) => {
    const filter = treeFilter(options);
    const entry = { path: 'a', size: 5, mtimeMs: 5_000, ...attributes };
    expect(filter.takes({ ...entry, type: 'file' })).toBe(isTaken);
    // Only files are judged by them, and nothing at the target is protected by them.
    expect(filter.takes({ ...entry, type: 'directory' })).toBe(true);
    expect(filter.takes({ ...entry, type: 'symlink' })).toBe(true);
    expect(filter.protects('a', false)).toBe(false);
    expect(filter.entersDirectory('a')).toBe(true);
  });
});
