import { describe, expect, test } from 'vitest';
import {
  baseName,
  checkPath,
  isWithin,
  joinPath,
  MAX_COMPONENT_BYTES,
  MAX_PATH_BYTES,
  parentPath,
  pathProblem,
} from '../../src/transfer/remote-path.ts';
import { codeThrownBy, thrownBy } from '../thrown.ts';

/** A path of exactly this many bytes, with no component that is too long. */
function pathOfBytes(bytes: number): string {
  return `${'abc/'.repeat(Math.floor(bytes / 4))}`.padEnd(bytes, 'x').replace(/\/$/, 'x');
}

describe('a path is taken literally', () => {
  test.each([
    'a',
    'a/b/c',
    '.a',
    'a.',
    '...',
    'a..b/..c/c..',
    ' ',
    'a b',
    '~',
    '~root/$HOME',
    '%2e%2e/%2F',
    'C:\\windows',
    '-rf',
    '*?[a]',
    'naïve/日本/😀',
    '\u00a0\u200b\ufeff',
    'a\u0301',
    'x'.repeat(MAX_COMPONENT_BYTES),
    `${'é'.repeat(127)}x`,
    pathOfBytes(MAX_PATH_BYTES),
  ])('%j', (path) => {
    expect(pathProblem(path)).toBeUndefined();
    expect(() => checkPath(path, { allowRoot: false })).not.toThrow();
  });
});

describe('what is no path', () => {
  test.each([
    ['/', 'empty component'],
    ['/a', 'empty component'],
    ['a/', 'empty component'],
    ['a//b', 'empty component'],
    ['.', 'component "."'],
    ['./a', 'component "."'],
    ['a/./b', 'component "."'],
    ['..', 'component ".."'],
    ['../a', 'component ".."'],
    ['a/../b', 'component ".."'],
    ['a/..', 'component ".."'],
    ['a\0b', 'U+0000 at position 1'],
    ['\u0001', 'U+0001 at position 0'],
    ['a\nb', 'U+000A'],
    ['\u001b[2J', 'U+001B'],
    ['a\u001f', 'U+001F'],
    ['a\u007f', 'U+007F'],
    ['a\u0080', 'U+0080'],
    ['\u009b2J', 'U+009B'],
    ['a\u009f', 'U+009F'],
    ['\ud800', 'lone surrogate'],
    ['a\udc00b', 'lone surrogate'],
    ['x'.repeat(MAX_COMPONENT_BYTES + 1), '255 bytes'],
    ['é'.repeat(128), '255 bytes'],
    [`a/${'x'.repeat(256)}/b`, '255 bytes'],
    [pathOfBytes(MAX_PATH_BYTES + 1), '4096 bytes'],
    [pathOfBytes(5_000), '4096 bytes'],
    ['日/'.repeat(1_024) + 'x', '4096 bytes'],
  ])('%j', (path, problem) => {
    expect(pathProblem(path)).toContain(problem);
    for (const allowRoot of [true, false])
      expect(codeThrownBy(() => checkPath(path, { allowRoot }))).toBe('bad-name');
  });

  test('the path in the message is cut, so that the message fits a header', () => {
    expect(
      thrownBy(() => checkPath('\u0001'.repeat(10_000), { allowRoot: false })).message.length,
    ).toBeLessThan(3_000);
  });
});

test('the root is a path only where it can be meant', () => {
  expect(pathProblem('')).toBeUndefined();
  expect(() => checkPath('', { allowRoot: true })).not.toThrow();
  expect(codeThrownBy(() => checkPath('', { allowRoot: false }))).toBe('bad-name');
});

test.each([
  ['', 'a', 'a'],
  ['a', 'b', 'a/b'],
  ['a/b', 'c.txt', 'a/b/c.txt'],
])('in %j, %j is %j, and back', (directory, name, path) => {
  expect(joinPath(directory, name)).toBe(path);
  expect(parentPath(path)).toBe(directory);
  expect(baseName(path)).toBe(name);
});

test.each([
  ['data', 'data', true],
  ['data/a', 'data', true],
  ['data/a/b', 'data', true],
  ['data/a', '', true],
  ['', '', true],
  ['data-evil', 'data', false],
  ['data-evil/a', 'data', false],
  ['data', 'data/a', false],
  ['', 'data', false],
  ['other/data', 'data', false],
])('%j within %j: %j', (path, directory, within) => expect(isWithin(path, directory)).toBe(within));
