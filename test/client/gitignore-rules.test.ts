import { expect, test } from 'vitest';
import { EVERYTHING, treeFilter } from '../../src/client/tree/tree-filter.ts';
import { thrownBy } from '../thrown.ts';

test('answers stay the same however many paths are asked about', () => {
  const filter = treeFilter({ exclude: ['*.o', '!keep*.o', '/tmp/'] });
  const left = Array.from({ length: 5_000 }, (_, number) => `d/${number}.o`).filter((path) =>
    filter.protects(path, false),
  );
  expect(left).toHaveLength(5_000);
  expect(filter.protects('d/keep.o', false)).toBe(false);
  expect(filter.entersDirectory('tmp')).toBe(false);
});

test.each([
  'a\\b',
  '#a',
  '!a',
  ' a ',
  'a[1]',
  '[',
  '...',
  '..a',
  '.a',
  '~',
  'a:b',
  '__proto__',
  'C:',
  'a\nb',
  'ä',
  '\ud800',
  '*',
  'a\\',
])('the name %j is one like any other', (name) => {
  const literally = name.replaceAll(/[\\#![\] *]/g, '\\$&');
  for (const path of [name, `${name}/x`, `d/${name}`]) {
    expect(EVERYTHING.protects(path, false), path).toBe(false);
    expect(treeFilter({ exclude: [literally] }).protects(path, false), path).toBe(true);
    expect(treeFilter({ files: [path] }).protects(path, false), path).toBe(false);
    expect(treeFilter({ exclude: ['other'], include: ['*.c'] }).protects(path, true), path).toBe(false);
  }
});

test.each([
  ['', 'is empty'],
  ['  ', 'is empty'],
  ['!', 'is empty'],
  ['/', 'is empty'],
  ['# a', 'is a comment'],
  ['a[1', 'ends inside a bracket'],
  ['[]', 'ends inside a bracket'],
  ['a\\', 'after a backslash'],
  ['./a', 'which no path has'],
  ['!../a', 'which no path has'],
  ['a//b', 'which no path has'],
])('%j cannot be one', (pattern, problem) => {
  for (const options of [{ include: [pattern] }, { exclude: ['a', pattern] }]) {
    const error = thrownBy(() => treeFilter(options));
    expect(error.code).toBe('usage');
    expect(error.message).toContain(`The pattern ${JSON.stringify(pattern)}`);
    expect(error.message).toContain(problem);
  }
});

test.each([
  '[[:alpha:]]',
  '[!a]',
  '[]]',
  '[a/]',
  '\\[',
  'a\\\\',
  '**/a',
  'a/**',
  '*',
  'a ',
  '...',
  '.a',
  '\\#a',
])('%j can be one', (pattern) =>
  expect(() => treeFilter({ include: [pattern, `!${pattern}`] })).not.toThrow(),
);
